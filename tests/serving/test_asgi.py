"""Bodies, answers and keys of requests."""

from __future__ import annotations

import asyncio
import json

import pytest

from s1_hf.serving.asgi import error_of, has_key, read_body, replaying, send_json, with_length


def receiving(*messages):
    left = list(messages)

    async def receive():
        return left.pop(0)

    return receive


def part(body: bytes, more: bool = False) -> dict:
    return {"type": "http.request", "body": body, "more_body": more}


def test_a_body_is_read_to_its_end_and_one_that_is_cut_off_is_none():
    assert asyncio.run(read_body(receiving(part(b"a", True), part(b"b")), None)) == b"ab"
    assert asyncio.run(read_body(receiving(part(b"a", True), {"type": "http.disconnect"}), None)) is None


def test_a_body_without_end_is_refused_while_it_is_read():
    sent, read = [], []

    async def receive():
        read.append(1)
        return part(bytes(1_000_000), True)

    async def send(message):
        sent.append(message)

    assert asyncio.run(read_body(receive, send)) is None
    assert sent[0]["status"] == 413 and "at most 16,000,000 bytes" in json.loads(sent[1]["body"])["error"]["message"]
    assert len(read) == 17


def test_a_body_is_read_again_and_then_the_connection():
    async def run():
        receive = replaying(b"new", receiving({"type": "http.disconnect"}))
        return await receive(), await receive()

    first, second = asyncio.run(run())
    assert (first["body"], second["type"]) == (b"new", "http.disconnect")


def test_a_new_body_has_its_length():
    scope = with_length({"headers": [(b"Content-Length", b"3"), (b"a", b"b")]}, b"12345")
    assert scope["headers"] == [(b"a", b"b"), (b"content-length", b"5")]


def test_json_is_sent_whole():
    sent = []

    async def send(message):
        sent.append(message)

    asyncio.run(send_json(send, 400, error_of("wrong")))
    assert sent[0]["status"] == 400 and json.loads(sent[1]["body"])["error"]["message"] == "wrong"


@pytest.mark.parametrize(
    ("header", "is_known"),
    [
        (b"Bearer right", True),
        (b"bearer right", True),
        (b"Bearer  right ", True),
        (b"Bearer other", True),
        (b"Bearer wrong", False),
        (b"Basic right", False),
        (b"right", False),
        (b"Bearer", False),
        (b"", False),
        (b"Bearer \xff", False),
    ],
)
def test_a_key_is_one_of_those_that_are_known(header, is_known):
    assert has_key({"headers": [(b"Authorization", header)]}, ["right", "other"]) is is_known
    assert not has_key({"headers": []}, ["right"])
