"""The few words of ASGI that a middleware needs (https://asgi.readthedocs.io): bodies in, JSON out, keys."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from typing import Any

from s1_hf.forcing.values import shown
from s1_hf.records import parse

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[MutableMapping[str, Any], Receive, Send], Awaitable[None]]


MOST_BYTES = 16_000_000
"""Of a request's body."""


async def read_body(receive: Receive, send: Send) -> bytes | None:
    """The whole body of a request; `None` if the client hung up before its end, or was told that it is too much."""
    parts, length = [], 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            return None
        parts.append(message.get("body", b""))
        length += len(parts[-1])
        if length > MOST_BYTES:
            said = f"The request has to have at most {MOST_BYTES:,} bytes, but has more."
            await send_json(send, 413, error_of(said, 413))
            return None
        if not message.get("more_body", False):
            return b"".join(parts)


async def read_object(receive: Receive, send: Send) -> dict[str, Any] | None:
    """The body of a request as a JSON object; `None` as for [`read_body`].

    Raises:
        ValueError: it is none, or one that servers read in different ways, or fail on: with a name twice in one object,
            numbers that are none, or half characters.
    """
    body = await read_body(receive, send)
    return None if body is None else await asyncio.to_thread(_object_in, body)  # others are served meanwhile


def _object_in(body: bytes) -> dict[str, Any]:
    found = parse(body, "The request", any_size=True)
    if not isinstance(found, dict):
        raise ValueError("The request has to be a JSON object.")
    try:
        json.dumps(found, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        raise ValueError("The request holds a lone surrogate: half of a character, in one of its texts.") from None
    return found


def replaying(body: bytes, receive: Receive) -> Receive:
    """What an application is given in the place of `receive`, whose body was read: this one, then the rest."""
    first: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def replay() -> Message:
        return first.pop() if first else await receive()

    return replay


def with_length(scope: MutableMapping[str, Any], body: bytes) -> MutableMapping[str, Any]:
    """The scope of a request whose body has become this one."""
    headers = [(name, value) for name, value in scope["headers"] if name.lower() != b"content-length"]
    return {**scope, "headers": [*headers, (b"content-length", str(len(body)).encode())]}


async def send_json(send: Send, status: int, value: Any) -> None:
    """A whole answer."""
    body = json.dumps(value).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def error_of(message: str, status: int = 400) -> dict[str, Any]:
    """An error as OpenAI's clients read it."""
    kinds = {401: "AuthenticationError", 403: "PermissionDeniedError"}
    kind = kinds.get(status, "BadRequestError")
    return {"error": {"message": message, "type": kind, "param": None, "code": status}}


READING = ("GET", "HEAD", "OPTIONS")
"""Methods that change nothing, and have nothing generated."""

NOT_JSON = (415, "The body has to be JSON, and the request to say so: `Content-Type: application/json`.")

STRANGER = (401, "This server wants a key: `Authorization: Bearer KEY`.")
"""The answer to who lacks the key: a status, and why."""


def not_served(path: str, generating: Iterable[str]) -> tuple[int, str]:
    """The answer to a request that would not have its budget, or is not known to have nothing generated."""
    return 403, (
        f"{shown(path)} is not served here, where every request is to have its budget. What generates is "
        f"{', '.join(generating)}."
    )


async def refuse(send: Send, status: int, why: str) -> None:
    """An answer without a look at the request."""
    await send_json(send, status, error_of(why, status))


def is_json(scope: MutableMapping[str, Any]) -> bool:
    """Whether a request says that its body is JSON; a page of another origin cannot say so without being allowed."""
    kind = next((value for name, value in scope["headers"] if name.lower() == b"content-type"), b"")
    return bool(kind.split(b";")[0].strip().lower() == b"application/json")


def has_key(scope: MutableMapping[str, Any], keys: Iterable[str]) -> bool:
    """Whether a request bears one of these keys; how long that takes tells nothing about them."""
    given = next((value for name, value in scope["headers"] if name.lower() == b"authorization"), b"")
    scheme, _, key = given.partition(b" ")
    digest = hashlib.sha256(key.strip()).digest()
    found = False
    for one in keys:
        found |= hmac.compare_digest(digest, hashlib.sha256(one.encode()).digest())
    return found and scheme.lower() == b"bearer"
