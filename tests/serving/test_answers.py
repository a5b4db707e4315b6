"""Answers are changed wherever their parts are cut, and left alone where they are something else."""

from __future__ import annotations

import asyncio
import json

import pytest

from s1_hf.serving.answers import Edited, Thinking


class Counting:
    """Numbers events, and makes an error of a whole answer that says so."""

    def __init__(self) -> None:
        self.events = 0

    async def whole(self, status, answer):
        return (400, {"bad": True}) if answer.get("wrong") else (status, {**answer, "seen": True})

    async def event(self, event):
        self.events += 1
        return {**event, "number": self.events}


def sent_by(kind: bytes, *parts: bytes, status: int = 200) -> list[dict]:
    sent = []

    async def send(message):
        sent.append(message)

    async def run():
        edited = Edited(send, Counting())
        headers = [(b"content-type", kind), (b"content-length", b"1")]
        await edited({"type": "http.response.start", "status": status, "headers": headers})
        for number, body in enumerate(parts, 1):
            await edited({"type": "http.response.body", "body": body, "more_body": number < len(parts)})

    asyncio.run(run())
    return sent


def test_a_whole_answer_is_changed_once_it_is_whole_and_so_is_its_length():
    start, body = sent_by(b"application/json", b'{"a', b'": "\xc3', b'\xa4"}')
    assert json.loads(body["body"]) == {"a": "ä", "seen": True}
    assert start["status"] == 200 and dict(start["headers"])[b"content-length"] == str(len(body["body"])).encode()


def test_a_whole_answer_may_become_an_error():
    start, body = sent_by(b"application/json", b'{"wrong": true}')
    assert start["status"] == 400 and json.loads(body["body"]) == {"bad": True}


STREAM = b'data: {"a": "\xc3\xa4"}\n\ndata: {"a": 2}\n\nevent: x\ndata: {"a": 3}\n\ndata: {broken\n\ndata: [DONE]\n\n'


@pytest.mark.parametrize("size", [1, 3, 7, 1000])
def test_a_stream_is_changed_event_by_event_however_it_is_cut(size):
    parts = [STREAM[i : i + size] for i in range(0, len(STREAM), size)]
    _, *bodies = sent_by(b"text/event-stream; charset=utf-8", *parts)
    events = b"".join(body["body"] for body in bodies).decode().split("\n\n")
    assert [json.loads(event[6:]) for event in events[:2]] == [{"a": "ä", "number": 1}, {"a": 2, "number": 2}]
    assert events[2:] == ['event: x\ndata: {"a": 3}', "data: {broken", "data: [DONE]", ""]
    assert [body["more_body"] for body in bodies] == [True] * (len(bodies) - 1) + [False]


def test_a_stream_that_ends_in_the_middle_of_an_event_is_sent_to_its_end():
    _, *bodies = sent_by(b"text/event-stream", b"data: {}\n\ndata: [DO", b"NE]")
    assert b"".join(body["body"] for body in bodies) == b'data: {"number": 1}\n\ndata: [DONE]'


def test_anything_else_is_left_alone():
    _, body = sent_by(b"text/plain", b"data: {}\n\n")
    assert body["body"] == b"data: {}\n\n"


def test_thinking_is_counted_where_the_usage_is():
    thinking = Thinking()
    thinking.count({}, [{"thinking_tokens": 3}])
    later = {"usage": {"completion_tokens_details": {"other": 1}}}
    thinking.count(later, [{"thinking_tokens": 4}])
    assert later["usage"]["completion_tokens_details"] == {"other": 1, "reasoning_tokens": 7}
    without = {"usage": None}
    thinking.count(without, [])
    assert without == {"usage": None}
