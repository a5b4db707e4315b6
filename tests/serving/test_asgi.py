"""Bodies, answers and keys of requests."""

from __future__ import annotations

import asyncio
import json

import pytest

from s1_hf.serving.asgi import error_of, has_key, read_body, read_object, replaying, send_json, with_length


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


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b'{"vllm_xargs": {"num_ignores": 1, "num_ignores": 2}}', "the name 'num_ignores' comes twice in one object"),
        (b'{"temperature": NaN}', "not finite"),
        (b'{"temperature": 1e999}', "not finite"),
        (b'{"prompt": "\\ud800"}', "half of a character"),
        (b'{"\\udfff": 1}', "half of a character"),
        (b"[1]", "has to be a JSON object"),
    ],
    ids=str,
)
def test_what_servers_would_read_in_different_ways_is_no_request(body, message):
    with pytest.raises(ValueError, match=message):
        asyncio.run(read_object(receiving(part(body)), None))


def test_a_request_is_read_as_it_is():
    body = {"max_tokens": 10**30, "prompt": "é\U0001f600", "a": [None, True, {"a": 1.5}]}
    for text in (json.dumps(body), json.dumps(body, ensure_ascii=False)):
        assert asyncio.run(read_object(receiving(part(text.encode())), None)) == body


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
