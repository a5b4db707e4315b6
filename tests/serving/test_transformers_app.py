"""The middleware of `transformers serve` around a stand-in for its application; the real one:
`test_transformers_server.py`."""

from __future__ import annotations

import asyncio
import copy
import json
from types import SimpleNamespace

import pytest
import torch

from s1_hf import embedded
from s1_hf.forcing.report import Report
from s1_hf.generation.exported import Told
from s1_hf.serving import transformers_app
from s1_hf.serving.asgi import send_json
from s1_hf.serving.bounds import Bounds
from s1_hf.serving.transformers_app import Served, TransformersMiddleware
from s1_hf.serving.transformers_request import Asked


def told(length: int) -> Told:
    report = Report(thinking_tokens=1, ended="cut", ends_ignored=0, forced=(False,) * length, answer_tokens=1)
    return Told(report, list(range(length)), torch.zeros(length, 7))


def test_reports_that_nobody_fetches_are_forgotten_the_oldest_first(monkeypatch):
    monkeypatch.setattr(transformers_app, "MOST_TOKENS", 100)
    app = TransformersMiddleware(None, Served("m", None, None, None))
    wanted = lambda key: app._reports([(key, list(range(40)))], False)["reports"][0]  # noqa: E731
    for key in ("a", "b", "b", "c"):  # the same tokens, too
        app.keep(key, told(40))
    assert "error" in wanted("a")
    assert wanted("b")["tokens"] == 40 == wanted("c")["tokens"]
    assert "error" in wanted("b") and app._tokens == 0


def test_a_key_that_comes_again_keeps_both_reports():
    app = TransformersMiddleware(None, Served("m", None, None, None))
    app.keep("a", told(2))
    app.keep("a", told(3))
    (first, second) = app._reports([("a", [0, 1]), ("a", [0, 1, 2])], False)["reports"]
    assert (first["tokens"], second["tokens"]) == (2, 3) and app._tokens == 0


class Server:
    """The middleware around an application that does what it is told."""

    def __init__(self, reply=None, template: str | None = "{{ messages }}") -> None:
        tokenizer = SimpleNamespace(chat_template=template)
        asked = Asked({}, {}, None, None, None, 0, None, False, True)
        reader = SimpleNamespace(read=lambda body, path: asked)
        self.reached: list[str] = []
        self._reply = reply
        served = Served("lamps", tokenizer, reader, 1024, bounds=Bounds(1024, 13))
        self.app = TransformersMiddleware(self._application, served)

    async def _application(self, scope, receive, send):
        self.reached.append(scope["path"])
        if self._reply is not None:
            self._reply()
        await send_json(send, 200, {})

    def request(
        self, method: str, path: str, body: dict | None = None, kind: bytes = b"application/json"
    ) -> tuple[int, dict]:
        sent: list[dict] = []

        async def receive():
            return {"type": "http.request", "body": json.dumps(body or {}).encode(), "more_body": False}

        async def send(message):
            sent.append(message)

        headers = [(b"content-type", kind)]
        asyncio.run(self.app({"type": "http", "method": method, "path": path, "headers": headers}, receive, send))
        return sent[0]["status"], json.loads(sent[1]["body"])


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/v1/systemone"), ("POST", "/v1/audio/transcriptions"), ("POST", "/v1/chat/completions/"),
        ("POST", "/v1/embeddings"), ("POST", "/v1/models"), ("DELETE", "/v1/models"), ("PUT", "/v1/completions"),
        ("POST", "/health"), ("POST", "//v1/completions"),
    ],
)  # fmt: skip
def test_what_is_not_known_to_keep_budgets_is_refused(method, path):
    server = Server()
    status, said = server.request(method, path, {"prompt": "a"})
    assert status == 403 and f"'{path}' is not served here" in said["error"]["message"] and server.reached == []


def test_every_route_of_the_server_is_known():
    """A new one that generates would be refused; this says that it is there."""
    server = pytest.importorskip("transformers.cli.serving.server")
    pytest.importorskip("fastapi")
    app = server.build_server(*[None] * 7)
    methods = {route.path: route.methods - {"HEAD", "OPTIONS"} for route in app.routes}
    posts = {path for path, known in methods.items() if known - {"GET"}}
    judged = {"/v1/chat/completions", "/v1/completions", "/v1/responses"}
    assert posts == judged | {"/load_model", "/reset", "/v1/systemone", "/v1/audio/transcriptions"}


@pytest.mark.parametrize("path", ["/health", "/docs", "/openapi.json", "/v1/chat/completions"])
def test_what_only_reads_passes(path):
    server = Server()
    assert server.request("GET", path) == (200, {}) and server.reached == [path]


@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/s1_hf/reports"])
@pytest.mark.parametrize("kind", [b"text/plain", b"", b"application/x-www-form-urlencoded"])
def test_a_body_that_does_not_say_that_it_is_json_is_not_read(path, kind):
    server = Server()
    status, said = server.request("POST", path, CHAT, kind)
    assert status == 415 and "application/json" in said["error"]["message"] and server.reached == []
    assert server.request("POST", "/v1/chat/completions", CHAT, b"Application/JSON; charset=utf-8")[0] == 200


@pytest.mark.parametrize(
    ("path", "body", "message"),
    [
        ("/v1/completions", {"prompt": "x " * 10_000}, "The prompt has to fit"),
        ("/v1/chat/completions", {"messages": [{"role": "user", "content": "a"}] * 5000}, "The prompt has to fit"),
        ("/v1/s1_hf/reports", {"reports": [{}] * 1001}, "`reports` has to be at most 1,000 at once, but is 1,001"),
    ],
    ids=["text", "messages", "reports"],
)
def test_what_would_keep_the_server_busy_is_refused_unread(path, body, message, monkeypatch):
    monkeypatch.setattr(transformers_app, "checked", None)
    server = Server()
    status, said = server.request("POST", path, body)
    assert status == 400 and message in said["error"]["message"] and server.reached == []


def test_sockets_are_closed():
    server, sent = Server(), []

    async def send(message):
        sent.append(message)

    asyncio.run(server.app({"type": "websocket", "path": "/v1/realtime"}, None, send))
    assert sent == [{"type": "websocket.close", "code": 1008}] and server.reached == []


CHAT = {"messages": [{"role": "user", "content": "Hi"}]}


def test_what_a_chat_template_refuses_is_the_requests_fault():
    tokenizer = copy.deepcopy(embedded.load()[1])
    tokenizer.chat_template = "{{ raise_exception('Roles have to alternate.') }}"
    server = Server(lambda: tokenizer.apply_chat_template(CHAT["messages"]))
    status, said = server.request("POST", "/v1/chat/completions", CHAT)
    assert status == 400
    assert said["error"]["message"] == "The chat template of lamps does not take this request: Roles have to alternate."


def test_a_model_without_a_chat_template_says_how_it_is_asked():
    tokenizer = copy.deepcopy(embedded.load()[1])
    tokenizer.chat_template = None
    server = Server(lambda: tokenizer.apply_chat_template(CHAT["messages"]), template=None)
    status, said = server.request("POST", "/v1/chat/completions", CHAT)
    assert status == 400 and "lamps has no chat template. Ask it by /v1/completions" in said["error"]["message"]


def test_other_faults_are_the_servers():
    def fail():
        raise ValueError("out of memory")

    with pytest.raises(ValueError, match="out of memory"):
        Server(fail).request("POST", "/v1/chat/completions", CHAT)
