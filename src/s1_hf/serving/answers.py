"""Answers of a server, changed on their way to the client: whole ones, and streams event by event."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any, Protocol

from s1_hf.forcing.report import forced_positions
from s1_hf.records import parse
from s1_hf.serving.asgi import Message, Send


class Editor(Protocol):
    """What changes answers of a server."""

    async def whole(self, status: int, answer: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        """The status and the answer in the place of a whole one, which may be an error."""
        ...

    async def event(self, event: dict[str, Any]) -> dict[str, Any]:
        """The event in the place of one of a stream."""
        ...


class Edited:
    """The `send` of an application whose answers an [`Editor`] changes."""

    def __init__(self, send: Send, editor: Editor) -> None:
        self._send, self._editor = send, editor
        self._kind = ""  # of the answer: JSON, a stream of events, or another that is left alone
        self._start: Message = {}
        self._left = b""  # of a whole answer what has come so far, of a stream the event that is not whole yet

    async def __call__(self, message: Message) -> None:
        """A message of the application."""
        if message["type"] == "http.response.start":
            await self._begin(message)
        elif message["type"] == "http.response.body" and self._kind == "json":
            await self._whole(message)
        elif message["type"] == "http.response.body" and self._kind == "stream":
            await self._part(message)
        else:
            await self._send(message)

    async def _begin(self, message: Message) -> None:
        headers = {name.lower(): value for name, value in message["headers"]}
        kind = headers.get(b"content-type", b"")
        if kind.startswith(b"application/json"):
            self._kind, self._start = "json", message  # the status may change yet
            return
        if message["status"] == 200 and kind.startswith(b"text/event-stream"):
            self._kind = "stream"
        await self._send(message)

    async def _whole(self, message: Message) -> None:
        self._left += message.get("body", b"")
        if message.get("more_body", False):
            return
        status, answer = await self._editor.whole(self._start["status"], parse(self._left, "The answer", strict=False))
        body = json.dumps(answer, ensure_ascii=False).encode("utf-8", "surrogatepass")
        others = [(name, value) for name, value in self._start["headers"] if name.lower() != b"content-length"]
        headers = [*others, (b"content-length", str(len(body)).encode())]
        await self._send({**self._start, "status": status, "headers": headers})
        await self._send({**message, "body": body})

    async def _part(self, message: Message) -> None:
        *events, self._left = (self._left + message.get("body", b"")).split(b"\n\n")
        sent = b""
        for event in events:
            sent += await self._edited(event) + b"\n\n"
        if not message.get("more_body", False):
            sent, self._left = sent + self._left, b""
        await self._send({**message, "body": sent})

    async def _edited(self, event: bytes) -> bytes:
        prefix = b"data: "
        if not event.startswith(prefix + b"{"):  # the end, "[DONE]"
            return event
        try:
            found = parse(event[len(prefix) :], "The event", strict=False)
        except ValueError:
            return event
        changed = await self._editor.event(found)
        return prefix + json.dumps(changed, ensure_ascii=False).encode("utf-8", "surrogatepass")


def as_fields(report: Any) -> dict[str, Any]:
    """A [`Report`] as JSON types: its fields, with the positions of forced tokens, and of how many tokens it is."""
    fields = dict(vars(report))
    fields["forced"] = forced_positions(report.forced)
    fields["tokens"] = len(report.forced)
    return fields


class Thinking:
    """Counts the thinking tokens of an answer, whose usage may come in another event than the reports."""

    def __init__(self) -> None:
        self._tokens = 0

    def count(self, answer: dict[str, Any], reports: Iterable[dict[str, Any]]) -> None:
        """Say in the usage of an answer, or event, how many tokens were thinking, where OpenAI's API says that."""
        self._tokens += sum(report["thinking_tokens"] for report in reports)
        usage = answer.get("usage")
        if isinstance(usage, dict):
            details = usage.get("completion_tokens_details") or {}
            usage["completion_tokens_details"] = {**details, "reasoning_tokens": self._tokens}
