"""JSON to and from a server, whatever goes wrong on the way."""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from s1_hf.engines.endpoint import connection as connections
from s1_hf.engines.endpoint.connection import Connection, Missing, Patience


class Told(ThreadingHTTPServer):
    """Replies what it is told, in turn, the last for ever: a status, headers and a body, or `None`, a cut."""

    daemon_threads = True

    def __init__(self, *replies):
        super().__init__(("127.0.0.1", 0), Handler)
        self.replies, self.asked = list(replies), []
        threading.Thread(target=self.serve_forever, args=(0.01,), daemon=True).start()
        self.url = f"http://127.0.0.1:{self.server_port}/v1"

    def handle_error(self, request, client_address):
        """A client that gave up is no error here."""


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.server.asked.append((self.path, body, dict(self.headers)))
        replies = self.server.replies
        reply = replies.pop(0) if len(replies) > 1 else replies[0]
        if callable(reply):
            reply = reply()
        if reply is None:
            self.close_connection = True
            self.connection.shutdown(2)
            return
        status, headers, data = reply
        data = data if isinstance(data, bytes) else json.dumps(data).encode()
        self.send_response(status)
        for name, value in {"Content-Length": str(len(data)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(data)

    do_GET = do_POST

    def log_message(self, *args):
        pass


GOOD = (200, {}, {"a": 1})


@pytest.fixture
def waits(monkeypatch):
    """How long was waited between tries; nothing is."""
    found = []
    monkeypatch.setattr(connections.time, "sleep", found.append)
    return found


@pytest.fixture
def told():
    servers = []

    def make(*replies):
        servers.append(Told(*replies))
        return servers[-1]

    yield make
    for one in servers:
        one.shutdown()
        one.server_close()


@pytest.fixture
def to():
    opened = []

    def make(server, *, key=None, url=None, **patience):
        given = Patience(**{"timeout_s": 20.0} | patience)
        opened.append(Connection(url or server.url, api_key=key, patience=given, connections=4))
        return opened[-1]

    yield make
    for one in opened:
        one.close()


@pytest.mark.parametrize(
    "fault",
    [
        (429, {}, {"error": {"message": "slower"}}),
        (500, {}, b"Internal Server Error"),
        (503, {}, {"detail": "loading"}),
        (408, {}, {}),
        (200, {}, b"<html>busy</html>"),
        (200, {}, b'{"a": '),
        (200, {"Content-Length": "100"}, b'{"a": 1'),
        (200, {}, b"\xff\xfe"),
        None,
    ],
    ids=["429", "500", "503", "408", "html", "torn", "short", "no text", "cut"],
)
def test_what_is_lost_is_asked_for_again(told, to, waits, fault):
    server = told(GOOD, fault, fault, GOOD)
    one = to(server, timeout_s=2.0)
    assert one.ask("x", {"q": 1}) == {"a": 1}
    assert one.ask("x", {"q": 2}) == {"a": 1}
    assert [json.loads(body)["q"] for _, body, _ in server.asked] == [1, 2, 2, 2]
    assert len(waits) == 2 and waits[1] > waits[0] > 0


def test_a_reply_that_is_read_wrongly_is_asked_for_again(told, to, waits):
    server = told((200, {}, {"b": 1}), GOOD)

    def read(said):
        if "a" not in said:
            raise ValueError("it lacks `a`")
        return said["a"]

    assert to(server).ask("x", read=read) == 1


def test_a_reply_that_does_not_come_is_lost(told, to, waits):
    never = threading.Event()
    server = told(GOOD, lambda: never.wait(5) and None, GOOD)
    one = to(server, timeout_s=0.3)
    one.ask("x")
    assert one.ask("x") == {"a": 1}
    never.set()


def test_sockets_are_open_while_anybody_asks(told, to):
    one = to(told(GOOD))
    with one.used():
        with one.used():
            one.ask("x")
        opened = one._opened
        assert opened is not None
    assert one._opened is None and opened.is_closed
    with one.used():
        assert one.ask("x") == {"a": 1}


def test_patience_ends(told, to, waits):
    server = told((503, {}, {"message": "no room"}))
    with pytest.raises(
        ConnectionError, match=r"does not answer, after 4 tries: status 503: no room\. What is finished"
    ):
        to(server, max_retries=3).ask("x")
    assert len(server.asked) == 4


def test_an_address_where_nobody_answers_is_given_up_soon(to, waits):
    said = r"127.0.0.1:9/v1 does not answer, after 3 tries \(it has never answered, .*: ConnectError"
    with pytest.raises(ConnectionError, match=said):
        to(None, url="http://127.0.0.1:9/v1", max_retries=50).ask("models")
    assert len(waits) == 2


def test_the_server_says_how_long_to_wait(told, to, waits):
    said = [(429, {"Retry-After": text}, {}) for text in ("17", "9999", "soon")]
    server = told(*said, GOOD)
    assert to(server).ask("x") == {"a": 1}
    assert waits[:2] == [17.0, 120.0] and waits[2] < 5


@pytest.mark.parametrize(("status", "error"), [(400, ValueError), (422, ValueError), (401, ConnectionError),
                                               (403, ConnectionError), (404, Missing), (405, Missing)])  # fmt: skip
def test_a_refusal_is_final(told, to, waits, status, error):
    server = told((status, {}, {"error": {"message": "we do not do that"}}))
    with pytest.raises(error, match="we do not do that"):
        to(server).ask("x")
    assert len(server.asked) == 1 and not waits


def test_after_a_loss_the_server_is_looked_at_before_anything_else(told, to, waits):
    server = told(GOOD, None, GOOD)
    one = to(server)
    one.on_return = lambda: one.ask("again", returns=False)
    one.ask("x", {})
    one.ask("x", {})
    one.ask("x", {})
    assert [path for path, _, _ in server.asked] == ["/v1/x", "/v1/x", "/v1/again", "/v1/x", "/v1/x"]


def test_an_error_of_that_look_is_raised(told, to, waits):
    server = told(GOOD, None, GOOD)
    one = to(server)

    def look():
        raise ConnectionError("it is another one")

    one.on_return = look
    one.ask("x")
    with pytest.raises(ConnectionError, match="it is another one"):
        one.ask("x")


def test_keys_are_sent_and_stand_in_no_error(told, to, waits):
    server = told((401, {}, {"error": "Unauthorized: Bearer sk-secret-key-1"}))
    with pytest.raises(ConnectionError, match="status 401") as raised:
        to(server, key="sk-secret-key-1").ask("x")
    assert server.asked[0][2]["Authorization"] == "Bearer sk-secret-key-1"
    assert "sk-secret-key-1" not in str(raised.value)


@pytest.mark.parametrize("status", [400, 401, 404, 503])
def test_what_a_server_says_ends_in_one_full_stop_or_in_ours(told, to, waits, status):
    one = to(told(*[(status, {}, {"error": {"message": "Bear a `KEY`."}})] * 3))
    with pytest.raises((ValueError, ConnectionError, Missing)) as raised:
        one.ask("x")
    assert "Bear a `KEY`" in str(raised.value) and ".." not in str(raised.value)


def test_a_login_is_sent_instead_and_stands_in_no_error(told, to, waits):
    server = told((401, {}, b"no"))
    address = server.url.replace("://", "://me:pass-word-1@")
    with pytest.raises(ConnectionError) as raised:
        to(server, key="sk-secret-key-1", url=address).ask("x")
    assert server.asked[0][2]["Authorization"].startswith("Basic ")
    assert "pass-word-1" not in str(raised.value) and "me" not in server.asked[0][0]


def test_paths_are_below_the_address_or_beside_it(told, to):
    server = told(GOOD)
    one = to(server, url=server.url + "/")
    one.ask("models")
    one.ask("/version")
    assert [path for path, _, _ in server.asked] == ["/v1/models", "/version"]


@pytest.mark.parametrize(("name", "value"), [("timeout_s", 0), ("timeout_s", float("nan")), ("max_retries", -1)])
def test_patience_is_checked(name, value):
    with pytest.raises(ValueError, match=f"`{name}` has to be"):
        Patience(**{name: value})
