"""What is asked of a server in vLLM's words, and what it replies."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from s1_hf.engines.endpoint.connection import RESUME, Connection, Missing
from s1_hf.records import COUNT, LIST, OBJECT, TEXT, Kind, check, counts_below, or_null

if TYPE_CHECKING:
    from collections.abc import Mapping

_ENDED = ("stop", "length")
_IDS = "token_id:"
_NUMBER = Kind("a number", lambda value: isinstance(value, (int, float)) and not isinstance(value, bool))


@dataclass(frozen=True)
class Served:
    """The model that a server runs, as it says.

    Args:
        name (`str`): by which it is asked.
        root (`str`, *optional*): where the server has it from.
        context (`int`, *optional*): tokens of prompt and output together.
        vllm (`str`, *optional*): the version of vLLM.
    """

    name: str
    root: str | None
    context: int | None
    vllm: str | None


@dataclass(frozen=True)
class Reply:
    """A completion.

    Args:
        ids (`list[int]`): what was generated, the end included.
        text (`str`): the same as a text.
        picks (`list[int]`, *optional*): the most likely token at each place, if it was asked for.
        read, cached (`int`): tokens of the prompt, and how many of them the server did not have to compute.
    """

    ids: list[int]
    text: str
    picks: list[int] | None
    read: int
    cached: int


class Server:
    """A server that completes prompts of token ids, as vLLM's does.

    Args:
        connection ([`Connection`]): to it.
        num_ids (`int`): how many ids the tokenizer has.
    """

    def __init__(self, connection: Connection, num_ids: int) -> None:
        self.connection, self._num_ids = connection, num_ids

    def served(self, wanted: str | None, known_as: Sequence[str] = (), *, returns: bool = True) -> Served:
        """The model that is to be asked.

        Args:
            wanted (`str`, *optional*): its name there; by default the only one, or the first of `known_as`.

        Raises:
            ValueError: it is not there, or there are several.
        """
        try:
            models = self.connection.ask("models", read=_models_of, returns=returns)
        except Missing:
            raise ValueError(
                f"{self.connection.shown} has no /models: is that the address of an OpenAI-compatible server? It "
                "mostly ends in /v1."
            ) from None
        names = [one["id"] for one in models]
        known = names if len(names) == 1 else [one for one in known_as if one in names]
        name = wanted or next(iter(known), "")
        if name not in names:
            has = f"has no model {name!r}, but" if name else "has several models, or none:"
            raise ValueError(f"{self.connection.shown} {has} {', '.join(names[:10])}. Name it: `--served-name`.")
        one = models[names.index(name)]
        return Served(name, one.get("root"), one.get("max_model_len"), self._version(returns))

    def complete(self, body: Mapping[str, Any], *, returns: bool = True) -> Reply:
        """Complete a prompt; `body` says how.

        Raises:
            NoIds: the server does not say which tokens it generated. ValueError: it refuses the request.
            ConnectionError: it cannot be reached, or has no such model.
        """
        reply: Reply = self.read(body, lambda said: self._reply_of(said, body), returns)
        return reply

    def stream(self, body: Mapping[str, Any]) -> Iterator[Reply]:
        """Complete a prompt bit by bit: replies of new tokens, without their texts.

        Raises:
            NoIds, ValueError: as [`complete`]. ConnectionError: likewise, or the stream was cut, or is none.
        """
        try:
            for said in self.connection.events("completions", {**body, "stream": True}):
                if isinstance(said, dict) and "error" in said:
                    raise ValueError(f"it has an error in place of tokens: {said['error']!r:.300}")
                if part := self._part_of(said, body):
                    yield part
        except Missing as missing:
            raise ConnectionError(
                f"{self.connection.shown} completes nothing as {body['model']!r}: {missing}."
            ) from None

    def _part_of(self, said: Any, body: Mapping[str, Any]) -> Reply | None:
        check(said, {"choices": LIST}, "an event")
        if not said["choices"]:  # the usage
            return None
        choice = said["choices"][0]
        check(choice, {"text": TEXT}, "its choice")
        if choice.get("token_ids") is None:
            if choice["text"] == "":
                return None
            raise NoIds
        check(choice, {"token_ids": counts_below(self._num_ids)}, "its choice")
        ids = choice["token_ids"]
        picks = _picks_of(choice, ids) if ids and "logprobs" in body else None
        return Reply(ids, "", picks, len(body["prompt"]), 0)

    def read(self, body: Mapping[str, Any], read: Callable[[Any], Any], returns: bool) -> Any:
        """Likewise, but that `read` makes of the server's answer what is wanted."""
        try:
            return self.connection.ask("completions", body, read=read, returns=returns)
        except Missing as missing:
            raise ConnectionError(
                f"{self.connection.shown} completes nothing as {body['model']!r}: {missing}. {RESUME}"
            ) from None

    def _version(self, returns: bool) -> str | None:
        try:
            found: str | None = self.connection.ask("/version", read=_version_of, returns=returns)
        except (Missing, ValueError):
            return None
        return found

    def _reply_of(self, said: Any, body: Mapping[str, Any]) -> Reply:
        choice, usage = _choice_of(said, body["model"])
        if choice.get("token_ids") is None:
            raise NoIds
        check(choice, {"token_ids": counts_below(self._num_ids)}, "its choice")
        ids = choice["token_ids"]
        if len(ids) > body["max_tokens"] or not ids:
            raise ValueError(f"it has {len(ids)} tokens, where up to {body['max_tokens']} were asked for")
        picks = _picks_of(choice, ids) if "logprobs" in body else None
        return Reply(ids, choice["text"], picks, len(body["prompt"]), _cached_in(usage))


@dataclass(frozen=True)
class TextReply:
    """A completion that is told as a text.

    Args:
        text (`str`): without what ended it.
        ended (`bool`): whether an end, or a text to stop at, ended it.
        end (`int` or `str`, *optional*): which, if the server says.
        read (`int`, *optional*): tokens of the prompt, as the server counts them.
        cached (`int`): how many of them it did not have to compute.
    """

    text: str
    ended: bool
    end: int | str | None
    read: int | None
    cached: int


def text_reply_of(said: Any, model: str) -> TextReply:
    """A completion of [`Connection.ask`], of which only its text is looked at."""
    choice, usage = _choice_of(said, model)
    check(usage, {}, "its usage", optional={"prompt_tokens": or_null(COUNT)})
    end = choice.get("stop_reason", choice.get("matched_stop"))  # vLLM's name, and SGLang's
    ended = choice["finish_reason"] == "stop"
    return TextReply(choice["text"], ended, end, usage.get("prompt_tokens"), _cached_in(usage))


def _choice_of(said: Any, model: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """The one choice of a completion, and its usage."""
    check(said, {"choices": LIST}, "it", optional={"usage": or_null(OBJECT), "model": TEXT})
    if len(said["choices"]) != 1:
        raise ValueError(f"it has to have one choice, but has {len(said['choices'])}")
    if said.get("model", model) != model:
        raise ValueError(f"it is of another model, {said['model']!r}")
    choice = said["choices"][0]
    check(choice, {"text": TEXT, "finish_reason": TEXT}, "its choice")
    if choice["finish_reason"] not in _ENDED:
        raise ValueError(f"its `finish_reason` is {choice['finish_reason']!r}")
    return choice, said.get("usage") or {}


def _cached_in(usage: dict[str, Any]) -> int:
    details = usage.get("prompt_tokens_details") or {}
    check(details, {}, "its usage", optional={"cached_tokens": or_null(COUNT)})
    return details.get("cached_tokens") or 0


class NoIds(Exception):
    """The server says in texts, and not in ids, what it has generated."""


def _models_of(said: Any) -> list[dict[str, Any]]:
    check(said, {"data": LIST}, "it")
    for one in said["data"]:
        check(one, {"id": TEXT}, "a model", optional={"root": or_null(TEXT), "max_model_len": or_null(COUNT)})
    found: list[dict[str, Any]] = said["data"]
    return found


def _version_of(said: Any) -> str | None:
    check(said, {}, "it", optional={"version": TEXT})
    return said.get("version")


def _picks_of(choice: Any, ids: Sequence[int]) -> list[int]:
    """The most likely token at each place: the one that was taken, if none is more likely."""
    check(choice, {"logprobs": OBJECT}, "its choice")
    logprobs = choice["logprobs"]
    check(logprobs, {"token_logprobs": LIST, "top_logprobs": LIST}, "its log-probabilities")
    own, tops = logprobs["token_logprobs"], logprobs["top_logprobs"]
    if len(own) != len(ids) or len(tops) != len(ids):
        raise ValueError(f"it has {len(tops)} log-probabilities of {len(ids)} tokens")
    picks = []
    for token, value, top in zip(ids, own, tops, strict=True):
        check(top, {}, "its log-probabilities")
        check(top, dict.fromkeys(top, _NUMBER), "its log-probabilities")
        best = max(top, key=top.__getitem__)
        is_best = _NUMBER.fits(value) and value >= top[best]
        picks.append(token if is_best else int(best.removeprefix(_IDS)))
    return picks
