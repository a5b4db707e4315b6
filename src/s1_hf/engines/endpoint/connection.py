"""A server's address, and JSON to and from it, with retries."""

from __future__ import annotations

import json
import random
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from s1_hf._lazy import require
from s1_hf.engines.endpoint.options import wrong_address
from s1_hf.records import parse
from s1_hf.secrets import login_of, secrets_in, shown_address, without_login, without_secrets
from s1_hf.visible import shortened

if TYPE_CHECKING:
    import httpx

RESUME = "What is finished is kept: fix that, and rerun the same to resume."
"""The end of an error that ends a run."""

_AGAIN = (408, 409, 425, 429)  # and 5xx: another time may do better
_FIRST_TRIES = 3
"""Of an address that has never answered."""

_JSON = {"Content-Type": "application/json"}
_FIRST_WAIT_S, _LONGEST_WAIT_S, _LONGEST_SAID_S = 0.5, 30.0, 120.0


@dataclass(frozen=True)
class Patience:
    """How long a request is waited for, and how often it is made again.

    Args:
        timeout_s (`float`): without any byte of a reply.
        max_retries (`int`): of each request, two at most until the address has answered; the waits between them double
            from half a second to half a minute, unless the server says how long (`Retry-After`).

    Raises:
        ValueError: a value is out of its range.
    """

    timeout_s: float = 1800.0
    max_retries: int = 8

    def __post_init__(self) -> None:
        bad = []
        if not self.timeout_s > 0:
            bad.append(f"`timeout_s` has to be positive, but is {self.timeout_s}.")
        if self.max_retries < 0:
            bad.append(f"`max_retries` has to be 0 or more, but is {self.max_retries}.")
        if bad:
            raise ValueError(" ".join(bad))


class Lost(Exception):
    """A request that may do better another time."""

    def __init__(self, why: str, wait_s: float | None = None) -> None:
        super().__init__(why)
        self.wait_s = wait_s


class Missing(Exception):
    """There is no such route, or no such model."""


class Connection:
    """JSON to and from a server.

    Whatever is lost on the way is asked for again: connections that are refused or cut, time-outs, rate limits, errors
    of the server, replies that cannot be read. When the server answers again, it may be another one: `on_return` is
    called before anything else is asked. Keys and passwords stand in no error.

    Args:
        base_url (`str`): such as `"http://localhost:8000/v1"`, perhaps with a login, which is sent instead of a key.
        api_key (`str`, *optional*): sent as a bearer token.
        connections (`int`): how many requests there may be at a time.

    Raises:
        ValueError: this is no address.
    """

    def __init__(self, base_url: str, *, api_key: str | None, patience: Patience, connections: int) -> None:
        if bad := wrong_address(base_url):
            raise ValueError(" ".join(bad))
        self.shown = shown_address(base_url).rstrip("/")
        self._patience, self._secrets = patience, [api_key, *secrets_in(base_url)]
        self.on_return: Callable[[], None] | None = None
        self._is_lost, self._has_answered, self._lock = False, False, threading.Lock()
        self._opening = threading.Lock()
        login, headers = login_of(base_url), {}
        if api_key and login is None:
            headers["Authorization"] = f"Bearer {api_key}"
        self._httpx = require("httpx", "eval")
        self._base = without_login(base_url).rstrip("/")
        self._settings: dict[str, Any] = {
            "headers": headers,
            "auth": login,
            "timeout": self._httpx.Timeout(patience.timeout_s, connect=min(30.0, patience.timeout_s)),
            "limits": self._httpx.Limits(max_connections=connections + 1, max_keepalive_connections=connections + 1),
        }
        self._opened: httpx.Client | None = None
        self._users = 0

    @contextmanager
    def used(self) -> Iterator[None]:
        """While something is asked; where nothing is any more, the sockets are closed."""
        with self._opening:
            self._users += 1
        try:
            yield
        finally:
            with self._opening:
                self._users -= 1
                is_idle = not self._users
            if is_idle:
                self.close()

    def close(self) -> None:
        """Let the server's connections go; they are made anew when they are needed."""
        with self._opening:
            if self._opened is not None:
                self._opened.close()
                self._opened = None

    @property
    def _client(self) -> httpx.Client:
        if self._opened is None:
            with self._opening:
                if self._opened is None:
                    self._opened = self._httpx.Client(**self._settings)
        return self._opened

    def ask(
        self, path: str, body: Any = None, *, read: Callable[[Any], Any] = lambda reply: reply, returns: bool = True
    ) -> Any:
        """What the server says; asked again as long as there is patience.

        Args:
            path (`str`): below the address; one that begins with a slash, below the address without its `/v1`.
            body (*optional*): JSON types, that are posted; without it the path is got.
            read (`Callable`): makes of the reply what is wanted; a `ValueError` of it is a reply that cannot be read.
            returns (`bool`): call `on_return`; not while it runs.

        Raises:
            ValueError: the server refuses the request. Missing: there is no such thing. ConnectionError: the server
                cannot be reached, or refuses everything, or every reply was lost.
        """
        tries = self._patience.max_retries + 1
        for attempt in range(tries):
            try:
                if returns:
                    self._see_who_returned()
                return self._once(path, body, read)
            except Lost as lost:
                self._is_lost = True
                why = lost
            if not self._has_answered and attempt + 1 >= _FIRST_TRIES:  # perhaps it is no server at all
                tries = attempt + 1
                break
            if attempt + 1 < tries:
                time.sleep(_wait_s(attempt) if why.wait_s is None else why.wait_s)
        is_short = tries <= self._patience.max_retries
        never = " (it has never answered, so no more were made: is that its address?)" if is_short else ""
        raise ConnectionError(f"{self.shown} does not answer, after {tries} tries{never}: {why}. {RESUME}")

    def _see_who_returned(self) -> None:
        if not self._is_lost:
            return
        with self._lock:  # one thread looks, and the others wait for what it finds
            if self._is_lost and self.on_return is not None:
                self.on_return()
            self._is_lost = False

    def events(self, path: str, body: Any) -> Iterator[Any]:
        """What the server says bit by bit, each of it JSON; asked for once. The server is told when nobody listens.

        Raises:
            ValueError, Missing: as [`ask`]. ConnectionError: the same, or the connection was lost in between.
        """
        self._see_who_returned()
        content = json.dumps(body, allow_nan=False).encode()
        try:
            with self._client.stream("POST", self._url(path), content=content, headers=_JSON) as reply:
                self._has_answered = True
                if reply.status_code != 200:
                    reply.read()
                    self._refuse(reply)
                for said in _events_in(reply.iter_bytes()):
                    yield parse(said, "an event of the reply", strict=False)
        except (self._httpx.TransportError, Lost) as error:
            self._is_lost = True
            raise ConnectionError(
                f"{self.shown} was lost: {self._clean(f'{type(error).__name__}: {error}')}."
            ) from None

    def _url(self, path: str) -> str:
        return self._base.removesuffix("/v1") + path if path.startswith("/") else self._base + "/" + path

    def _once(self, path: str, body: Any, read: Callable[[Any], Any]) -> Any:
        url = self._url(path)
        try:
            if body is None:
                reply = self._client.get(url)
            else:
                content = json.dumps(body, allow_nan=False).encode()
                reply = self._client.post(url, content=content, headers=_JSON)
        except self._httpx.TransportError as error:
            raise Lost(self._clean(f"{type(error).__name__}: {error}")) from None
        self._has_answered = True
        if reply.status_code != 200:
            self._refuse(reply)
        try:
            return read(parse(reply.content, "the reply", strict=False))
        except ValueError as error:
            raise Lost(self._clean(f"no reply that can be read ({error})")) from None

    def _refuse(self, reply: httpx.Response) -> None:
        status, said = reply.status_code, self._clean(_message_of(reply))
        if status in _AGAIN or status >= 500:
            raise Lost(f"status {status}: {said}", _said_wait_s(reply))
        if status in (404, 405):
            raise Missing(said)
        if status in (400, 413, 422):
            raise ValueError(f"{self.shown} refuses a request: {said}.")
        raise ConnectionError(f"{self.shown} refuses everything (status {status}): {said}. {RESUME}")

    def _clean(self, said: str) -> str:
        """Some servers repeat what they were sent. Without the full stop: it stands inside a sentence of ours."""
        return shortened(without_secrets(said, self._secrets), 1000).rstrip(".")


def _events_in(chunks: Iterator[bytes]) -> Iterator[bytes]:
    """The data of server-sent events of one line each, up to the one that says that nothing follows."""
    left = b""
    for chunk in chunks:
        *lines, left = (left + chunk).split(b"\n")
        for line in lines:
            said = line.removeprefix(b"data:").strip()
            if said == b"[DONE]":
                return
            if said and line.startswith(b"data:"):
                yield said


def _message_of(reply: httpx.Response) -> str:
    """What an error says: of vLLM and OpenAI `error.message`, of FastAPI `detail`; of anything else its beginning."""
    try:
        said: Any = parse(reply.content, "the reply", strict=False)
    except ValueError:
        return reply.text[:300]
    for name in ("error", "message", "detail"):
        if isinstance(said, dict) and name in said:
            said = said[name]
    return str(said)


def _wait_s(attempt: int) -> float:
    """Half a second and twice as long each time, never quite the same, so that clients do not come back together."""
    return min(_FIRST_WAIT_S * 2**attempt, _LONGEST_WAIT_S) * random.Random().uniform(0.75, 1.25)


def _said_wait_s(reply: httpx.Response) -> float | None:
    """How long the server asks to be left alone, if it says."""
    try:
        return min(max(float(reply.headers.get("Retry-After", "")), 0.0), _LONGEST_SAID_S)
    except ValueError:
        return None
