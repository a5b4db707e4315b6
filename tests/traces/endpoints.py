"""An OpenAI-compatible endpoint that does as it is told."""

from __future__ import annotations

import json
import threading
import time
from collections import defaultdict
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass
class Reply:
    """What is sent back: a message, or `body` as it is, after `wait_s`."""

    message: dict[str, Any] = field(default_factory=lambda: {"content": "Answer: 1", "reasoning_content": "One."})
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes | None = None
    finish_reason: str = "stop"
    usage: dict[str, Any] | None = None
    choice: dict[str, Any] = field(default_factory=dict)  # beside the message
    wait_s: float = 0.0
    drop: bool = False  # the connection, without a reply

    def data(self) -> bytes:
        if self.body is not None:
            return self.body
        if self.status != 200:
            return json.dumps({"error": {"message": "so it is told"}}).encode()
        choice = {"index": 0, "finish_reason": self.finish_reason, "message": {"role": "assistant", **self.message}}
        choice |= self.choice
        reply = {"id": "1", "object": "chat.completion", "created": 0, "model": "m", "choices": [choice]}
        return json.dumps(reply | {"usage": self.usage}).encode()


class FakeEndpoint(ThreadingHTTPServer):
    """OpenAI-compatible. `replies` has for a question what is sent for it, in turn, the last for ever."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.replies: dict[str, list[Reply]] = defaultdict(lambda: [Reply()])
        self.asked: list[dict[str, Any]] = []
        self.keys: set[str] = set()
        self.barrier: threading.Barrier | None = None
        self.models = ["m"]
        self.now = self.most = 0  # requests at a time
        self.lock = threading.Lock()

    def count(self, more: int) -> None:
        with self.lock:
            self.now += more
            self.most = max(self.most, self.now)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that gave up is no error here."""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/v1"

    @property
    def questions(self) -> list[str]:
        return [request["messages"][-1]["content"] for request in self.asked]


class _Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        data = json.dumps({"data": [{"id": name} for name in self.server.models]}).encode()  # type: ignore[attr-defined]
        self.send_response(200)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def do_POST(self) -> None:
        endpoint: FakeEndpoint = self.server  # type: ignore[assignment]
        request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        endpoint.asked.append(request)
        endpoint.keys.add(self.headers["Authorization"])
        endpoint.count(1)
        if endpoint.barrier is not None:
            endpoint.barrier.wait(timeout=20)
        replies = endpoint.replies[request["messages"][-1]["content"]]
        reply = replies.pop(0) if len(replies) > 1 else replies[0]
        time.sleep(reply.wait_s)
        data = reply.data()
        endpoint.count(-1)
        if reply.drop:
            self.close_connection = True
            return
        self.send_response(reply.status)
        for name, value in {
            "Content-Type": "application/json",
            "Content-Length": str(len(data)),
            **reply.headers,
        }.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *args: object) -> None:
        pass
