"""What every engine does: runs requests, and sweeps them over a grid of budgets."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from s1_hf.engines.continuing import Continuing, begun_of
from s1_hf.engines.ledger import REMEDY
from s1_hf.engines.request import Request, digest
from s1_hf.forcing.report import ENDED_NAMES, Report, forced_at, forced_positions
from s1_hf.generation.chats import Completion
from s1_hf.generation.streaming import PieceKind
from s1_hf.records import COUNT, TEXT, Kind, Schema, check, counts_below, one_of

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

    from s1_hf.engines.ledger import Ledger
    from s1_hf.forcing.budget import Budget
    from s1_hf.forcing.formats import ThinkingFormat
    from s1_hf.generation.sweep import Cost

Step = Callable[[int], Any]
"""Told, at every token, how many rows got one. What it raises, such as [`Stopped`], ends the run there."""

Write = Callable[[str, PieceKind], Any]
"""Told each piece of a text while it is written, and what it is; see [`ThinkingStreamer`]."""


class Stopped(Exception):
    """For a [`Step`]: nobody waits for the rest."""


class Finished(NamedTuple):
    """A request and its completion."""

    request: Request
    completion: Completion


class SweptBatch(NamedTuple):
    """A batch of requests under every setting of a grid: `of_settings[s][r]`, whose requests have that setting."""

    of_settings: list[list[Finished]]
    cost: Cost

    def joined(self, other: SweptBatch) -> SweptBatch:
        """Both batches as one."""
        pairs = zip(self.of_settings, other.of_settings, strict=True)
        return SweptBatch([one + more for one, more in pairs], self.cost + other.cost)


class Engine(Protocol):
    """Runs requests on one model.

    Args of all methods:
        on_step ([`Step`]): must not wait for the device.
    """

    @property
    def tokenizer(self) -> PreTrainedTokenizerBase:
        """The model's."""

    @property
    def format(self) -> ThinkingFormat:
        """How the model opens and closes its thinking."""

    @property
    def context(self) -> int | None:
        """How many tokens a prompt and what follows it may have, if that is known."""

    @property
    def identity(self) -> dict[str, Any]:
        """Everything that decides about an answer besides its request, as JSON types: the weights, the format."""

    def check(self, requests: Sequence[Request]) -> None:
        """Raises a `ValueError` for requests that cannot be run; reads no weights."""

    def plan(self, requests: Sequence[Request]) -> list[list[Request]]:
        """What shares a batch, at first; of several processes, this one's share."""

    def run(self, requests: Sequence[Request], on_step: Step) -> Iterator[list[Finished]]:
        """Some requests at a time, as soon as they are finished."""

    def check_sweep(self, settings: Sequence[Budget]) -> None:
        """Raises a `ValueError` for settings, or a model, that cannot be swept; reads no weights."""

    def sweep(self, requests: Sequence[Request], settings: Sequence[Budget], on_step: Step) -> Iterator[SweptBatch]:
        """Batch after batch, whole, under every setting; the requests' own caps and ignores do not count."""


class StreamingEngine(Engine, Protocol):
    """An engine that tells a text while it is written: every one that runs a model."""

    @property
    def ends(self) -> list[int]:
        """The ids that end a sequence."""

    def stream(self, request: Request, write: Write, on_step: Step) -> Completion:
        """One request, whose text is handed over while it is written.

        Where only the completion's report tells what was forced, such text comes as thinking or answer.
        """


class Recorded:
    """An engine that keeps what is finished in a ledger, and takes from there what it holds.

    Entries are kept by request and by everything else that decides about it, so that one ledger may serve engines with
    other weights.

    Args:
        engine ([`Engine`]): generates what is missing.
        ledger ([`Ledger`]): may hold what others have finished.
        wait_for_everyone (`Callable`, *optional*): called when this process has read the ledger, before it writes.
    """

    def __init__(self, engine: Engine, ledger: Ledger, wait_for_everyone: Callable[[], Any] = lambda: None) -> None:
        self._engine, self._ledger, self._wait = engine, ledger, wait_for_everyone
        self._identity = digest(engine.identity)
        self._continuing = Continuing(ledger)

    def found(self, requests: Sequence[Request]) -> list[Finished]:
        """Those that are finished.

        Raises:
            ValueError: an entry of the ledger is no completion, or not one of its request.
        """
        keys = [self._key(one) for one in requests]
        kept = self._ledger.find(keys)
        self._continuing.forget(requests)
        found = []
        whole: list[tuple[Request, str, Any]] = []
        for one, key in zip(requests, keys, strict=True):
            if key in kept:
                entry = self._checked(one, kept[key], self._ledger.where(key))
                found.append(Finished(one, completion_from(entry)))
                whole.append((one, key, entry))
        self._continuing.remember(whole)
        return found

    def run(self, requests: Sequence[Request], on_step: Step) -> Iterator[list[Finished]]:
        """First what the ledger holds, in one list that may be empty, then the rest as it is finished."""
        found = self.found(requests)
        self._wait()
        yield found
        done = {finished.request.key for finished in found}
        for batch in self._engine.run([one for one in requests if one.key not in done], on_step):
            self._ledger.append(self._entries(batch))
            yield batch

    def sweep(self, requests: Sequence[Request], settings: Sequence[Budget], on_step: Step) -> Iterator[SweptBatch]:
        """Batch after batch of those requests that lack any setting, under those settings that lack any request."""
        lacking, left = self._lacking(requests, settings)
        self._wait()
        for batch in self._engine.sweep(lacking, left, on_step) if left else ():
            entries: dict[str, Any] = {}
            for of_setting in batch.of_settings:
                entries |= self._entries(of_setting)
            self._ledger.append(entries)
            yield batch

    def missing(self, requests: Sequence[Request], settings: Sequence[Budget]) -> list[Request]:
        """Those that lack any setting."""
        return self._lacking(requests, settings)[0]

    def _lacking(self, requests: Sequence[Request], settings: Sequence[Budget]) -> tuple[list[Request], list[Budget]]:
        """The requests that lack any setting, and the settings that lack any request."""
        kept = self._ledger.keys()
        lacking, left = [], set()
        for one in requests:
            lacks = [setting for setting in settings if self._key(under(one, setting)) not in kept]
            if lacks:
                lacking.append(one)
                left.update(lacks)
        return lacking, [setting for setting in settings if setting in left]

    def _key(self, request: Request) -> str:
        return digest([self._identity, request.key])[:32]

    def _checked(self, request: Request, entry: Any, where: str) -> Any:
        """The whole entry, which has to be a completion, and one that this request can have."""
        try:
            entry = self._continuing.whole(entry, where)
            check_completion(entry, where)
            asked = _names(request)
            others = [name for name in asked if entry.get(name) != asked[name]]
            if others or len(entry["token_ids"]) > request.max_new_tokens:
                raise ValueError(f"{where} does not answer what it was asked for ({asked}).")
            if tuple(entry["token_ids"][: len(request.got)]) != request.got:
                raise ValueError(f"{where} does not go on from what it was asked to.")
            new = len(entry["token_ids"]) - len(request.got)
            if request.confidence is not None and len(entry.get("confidences", ())) != new:
                raise ValueError(f"{where} does not hold the confidences of its {new} tokens.")
        except ValueError as error:
            raise ValueError(f"{error} {REMEDY}") from None
        return entry

    def _entries(self, batch: Sequence[Finished]) -> dict[str, dict[str, Any]]:
        """To be kept. Rows that go on from what is kept are entered without it."""
        entries = {}
        whole = []
        for request, completion in batch:
            key, entry = self._key(request), _names(request) | completion_to_dict(completion)
            entries[key] = self._continuing.shortened(request, entry)
            whole.append((request, key, entry))
        self._continuing.remember(whole)
        return entries


def _names(request: Request) -> dict[str, Any]:
    """What an entry says for people; its key says it all."""
    return {"task": request.task, "problem": request.problem, "sample": request.sample}


def finished_batch(requests: Sequence[Request], completions: Sequence[Completion]) -> list[Finished]:
    """Requests with their completions, in the same order."""
    return [Finished(request, completion) for request, completion in zip(requests, completions, strict=True)]


def under(request: Request, setting: Budget) -> Request:
    """The same request under one setting of a sweep.

    Raises:
        ValueError: it pauses, or goes on from a pause, which rows of a sweep cannot.
    """
    if request.pause is not None or request.begun is not None:
        raise ValueError("A request that is swept can neither pause nor go on from a pause. Run it under each budget.")
    return replace(request, budget=setting)


def completion_to_dict(completion: Completion) -> dict[str, Any]:
    """A completion as JSON types, for a ledger."""
    report = completion.report
    more: dict[str, Any] = {}
    if completion.begun is not None:
        more["state"] = list(map(int, completion.begun.state))
    if completion.confidences is not None:
        more["confidences"] = list(completion.confidences)
    return more | {
        "thinking": completion.thinking,
        "answer": completion.answer,
        "output": completion.text,
        "token_ids": list(completion.token_ids),
        "forced": forced_positions(completion.forced),
        "thinking_tokens": report.thinking_tokens,
        "ended": report.ended,
        "ends_ignored": report.ends_ignored,
        "answer_tokens": report.answer_tokens,
    }


_TOKEN_IDS = 2**31  # more than any vocabulary has
_COMPLETION: Schema = {
    "thinking": TEXT, "answer": TEXT, "output": TEXT, "token_ids": counts_below(_TOKEN_IDS),
    "forced": counts_below(_TOKEN_IDS), "thinking_tokens": COUNT, "ended": one_of(ENDED_NAMES), "ends_ignored": COUNT,
    "answer_tokens": COUNT,
}  # fmt: skip
_NATS = Kind("a list of numbers of at least 0", lambda value: isinstance(value, list) and all(map(_is_nat, value)))
_MORE: Schema = {"state": counts_below(_TOKEN_IDS), "confidences": _NATS}


def check_completion(entry: Any, where: str) -> None:
    """Refuse what [`completion_to_dict`] has not written.

    Raises:
        ValueError: a field is missing, of another type, or does not go with the others.
    """
    check(entry, _COMPLETION, where, optional=_MORE)
    length, forced = len(entry["token_ids"]), entry["forced"]
    if forced and (max(forced) >= length or len(set(forced)) < len(forced)):
        raise ValueError(f"{where}: `forced` has to hold different positions in `token_ids`, but does not.")
    if entry["answer_tokens"] > length or (entry["output"] and length == 0):
        raise ValueError(f"{where}: `token_ids` has to hold all tokens, but holds {length:,}, fewer than were counted.")


def completion_from(entry: dict[str, Any]) -> Completion:
    """The completion that [`completion_to_dict`] described, of an entry that [`check_completion`] has let through."""
    begun = begun_of(entry) if "state" in entry else None
    ids = tuple(entry["token_ids"])
    forced = forced_at(entry["forced"], len(ids))
    report = Report(
        thinking_tokens=entry["thinking_tokens"],
        ended=entry["ended"],
        ends_ignored=entry["ends_ignored"],
        forced=forced,
        answer_tokens=entry["answer_tokens"],
    )
    confidences = tuple(map(float, entry["confidences"])) if "confidences" in entry else None
    return Completion(entry["thinking"], entry["answer"], entry["output"], ids, forced, report, begun, confidences)


def _is_nat(value: Any) -> bool:
    return type(value) in (int, float) and value >= 0
