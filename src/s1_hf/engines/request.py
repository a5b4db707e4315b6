"""What is asked of an engine."""

from __future__ import annotations

import hashlib
import json
import math
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Protocol

from s1_hf.forcing.budget import NO_INTERVENTION, Budget
from s1_hf.forcing.values import is_count, is_number
from s1_hf.records import COUNT, OBJECT, TEXT, Kind, Schema, check, or_null, parse

if TYPE_CHECKING:
    from transformers import LogitsProcessor, PreTrainedTokenizerBase

    from s1_hf.forcing.confidence import Confidence
    from s1_hf.forcing.formats import ThinkingFormat
    from s1_hf.forcing.pauses import Begun, Pause
    from s1_hf.generation.chats import Completion


@dataclass(frozen=True, kw_only=True)
class Sampling:
    """How tokens are drawn. What is not given is off.

    Args:
        temperature (`float`, defaults to 1): above 0.
        top_p (`float`, defaults to 1): above 0, at most 1.
        top_k (`int`, defaults to 0): 0 is all tokens.
        min_p (`float`, *optional*): from 0 to 1.

    Raises:
        ValueError: a value is out of its range; the message names everything that is wrong.
    """

    temperature: float = 1.0
    top_p: float = 1.0
    top_k: int = 0
    min_p: float | None = None

    def __post_init__(self) -> None:
        bad = []
        if not is_number(self.temperature) or not 0 < self.temperature < math.inf:
            bad.append(f"`temperature` has to be a number above 0, but is {self.temperature!r}.")
        if not is_number(self.top_p) or not 0 < self.top_p <= 1:
            bad.append(f"`top_p` has to be a number above 0 and at most 1, but is {self.top_p!r}.")
        if not is_count(self.top_k) or self.top_k < 0:
            bad.append(f"`top_k` has to be an integer of at least 0, but is {self.top_k!r}.")
        if self.min_p is not None and not (is_number(self.min_p) and 0 <= self.min_p <= 1):
            bad.append(f"`min_p` has to be a number from 0 to 1, or None, but is {self.min_p!r}.")
        if bad:
            raise ValueError(" ".join(bad))


class Steering(Protocol):
    """More than a budget to steer rows by, such as a countdown of steps; a frozen dataclass of its settings."""

    def format(self, tokenizer: PreTrainedTokenizerBase, format: ThinkingFormat) -> ThinkingFormat:
        """The thinking format to use in place of `format`."""

    def processor(self, tokenizer: PreTrainedTokenizerBase, format: ThinkingFormat) -> LogitsProcessor:
        """A new processor for one batch, to stand before budget forcing."""

    def finished(self, processor: LogitsProcessor, row: int, completion: Completion) -> Completion:
        """The completion of the batch's `row`-th row, with what the processor did to it."""


Place = tuple[tuple[int, ...], "Begun | None"]
"""A prompt, and what a row has got."""


@dataclass(frozen=True, kw_only=True)
class Request:
    """One answer that is wanted, and everything that decides about it except for the model.

    Args:
        prompt (`tuple[int, ...]`): token ids.
        budget ([`Budget`]): one value for each of its fields, not one per prompt.
        max_new_tokens (`int`): of thinking and answer together.
        max_answer_tokens (`int`, *optional*): see [`AnswerLengthCriteria`].
        give_up_after (`int`, *optional*): the row is given up with its first thinking token beyond this many.
        sampling ([`Sampling`], *optional*): by default decoding is greedy.
        seed (`int`, defaults to 0): for this row's draws, see [`seed_of`].
        repetition_penalty (`float`, defaults to 1): as in `generate`.
        steering ([`Steering`], *optional*): more to steer the row by.
        pause ([`Pause`], *optional*): where the row pauses while it thinks; its completion then has a `begun`.
        begun ([`Begun`], *optional*): what it goes on from, of a completion to the same prompt that has paused. The
            completion then begins with that.
        confidence ([`Confidence`], *optional*): how sure the model is of the row's tokens is measured; its completion
            then has `confidences`, and with `below` the row may be given up.
        task, problem (`str`) and sample, attempt (`int`): what the answer is for.
    """

    prompt: tuple[int, ...]
    max_new_tokens: int
    budget: Budget = NO_INTERVENTION
    max_answer_tokens: int | None = None
    give_up_after: int | None = None
    sampling: Sampling | None = None
    seed: int = 0
    repetition_penalty: float = 1.0
    steering: Steering | None = None
    pause: Pause | None = None
    begun: Begun | None = None
    confidence: Confidence | None = None
    task: str = ""
    problem: str = ""
    sample: int = 0
    attempt: int = 0

    @cached_property
    def key(self) -> str:
        """Tells this request from all others to the same model: a hash of everything above."""
        everything = {**vars(self)}
        everything.pop("key", None)
        everything["budget"] = self.budget.changed()  # a later version may have more fields
        everything["sampling"] = self.sampling and asdict(self.sampling)
        everything["seed"] = self.seed if self.sampling else None
        if self.steering is not None:
            everything["steering"] = [type(self.steering).__name__, asdict(self.steering)]  # type: ignore[call-overload]
        for name in ("pause", "begun", "confidence"):  # earlier versions had none of them
            one = everything.pop(name)
            if one is not None:
                everything[name] = asdict(one)
        return digest(everything)[:32]

    @property
    def got(self) -> tuple[int, ...]:
        """The generated tokens that it goes on from."""
        return () if self.begun is None else self.begun.ids

    @property
    def place(self) -> Place:
        """Where it begins: its prompt, and what it goes on from.

        Not the tokens alone: a Wait may have been forced, after which fewer ignores are left, or be the model's own.
        """
        return self.prompt, self.begun

    @property
    def batch_key(self) -> Any:
        """What the rows of a batch have to have in common."""
        shared = self.budget
        if shared.max_thinking_tokens != "auto":
            shared = shared.shared()
        lengths = (self.max_new_tokens, self.max_answer_tokens)
        measured = self.confidence and (self.confidence.top, self.confidence.window)
        return (
            self.task, shared, lengths, self.sampling, self.repetition_penalty, self.steering, self.pause, measured
        )  # fmt: skip


def check_pauses(request: Request) -> None:
    """Raises a `ValueError` for a request that cannot pause, or go on, as it says."""
    if request.pause is None and request.begun is None:
        return
    if request.give_up_after is not None or request.steering is not None:
        raise ValueError("A request that pauses can neither be given up nor be steered. Leave one of them out.")
    if request.confidence is not None and request.confidence.below is not None:
        raise ValueError(
            "A request that pauses cannot be given up by its confidence, whose window would reach back before the "
            "pause. Leave `below` and `window` out: it is measured all the same."
        )
    if request.budget.max_thinking_tokens == "auto":
        raise ValueError('A request that pauses cannot have the cap "auto", which depends on the batch. Give a number.')
    if request.begun is not None and len(request.begun.ids) >= request.max_new_tokens:
        raise ValueError(
            f"`max_new_tokens` has to be more than the {len(request.begun.ids)} tokens that the row goes on from, but "
            f"is {request.max_new_tokens}."
        )


def check_streamed(request: Request) -> None:
    """Raises a `ValueError` for a request whose text cannot be told while it is written."""
    if request.pause is not None or request.begun is not None:
        raise ValueError("A row that pauses or goes on is not streamed. Leave `pause` and `begun` out, or run it.")
    if request.confidence is not None:
        raise ValueError("A row that is told while it is written is not measured. Leave `confidence` out.")


def seed_of(seed: int, task: str, problem: str, sample: int = 0, attempt: int = 0) -> int:
    """The seed of one answer's draws under the `seed` of a run: 63 bits.

    It is the same in an evaluation, a sweep, a method and in traces, so that one seed draws the same in all of them.

    Args:
        task (`str`): without lighteval's number of shots.
    """
    return int(digest([seed, task, problem, sample, attempt])[:16], 16) >> 1


def digest(value: Any) -> str:
    """SHA-256 of a value of JSON types, whatever the order of its keys."""
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()


# -- a request beside its answer --------------------------------------------------------------------------------------

_KEPT = ("max_new_tokens", "max_answer_tokens", "give_up_after", "seed", "repetition_penalty", "sample", "attempt")
_SEED = Kind("a whole number below 2^63", lambda value: type(value) is int and 0 <= value < 2**63)
_NUMBER = Kind("a number", is_number)
_REQUEST: Schema = {"key": TEXT, "max_new_tokens": COUNT}
_MORE: Schema = {
    "max_answer_tokens": or_null(COUNT), "give_up_after": or_null(COUNT), "seed": _SEED, "repetition_penalty": _NUMBER,
    "sample": COUNT, "attempt": COUNT, "sampling": or_null(OBJECT), "confidence": or_null(OBJECT),
}  # fmt: skip
_SAMPLING: Schema = {"temperature": _NUMBER, "top_p": _NUMBER, "top_k": COUNT, "min_p": or_null(_NUMBER)}
_MEASURED: Schema = {"top": or_null(COUNT), "window": or_null(COUNT), "below": or_null(_NUMBER)}


def request_as_text(request: Request) -> str:
    """What decides about an answer besides model, prompt and budget, in JSON, for a row of results; and the key."""
    told = {"key": request.key, **{name: getattr(request, name) for name in _KEPT}}
    told["sampling"] = request.sampling and asdict(request.sampling)
    if request.confidence is not None:
        told["confidence"] = asdict(request.confidence)
    return json.dumps(told)


def request_from_text(text: str, where: str, **more: Any) -> tuple[Request, str]:
    """The request that [`request_as_text`] described, with `more` of its fields, and the key that it had.

    They are the same request if it has that key again.

    Raises:
        ValueError: it is none.
    """
    told = parse(text, where)
    check(told, _REQUEST, where, optional=_MORE, others=False)
    key, drawn, measured = told.pop("key"), told.pop("sampling", None), told.pop("confidence", None)
    if drawn is not None:
        check(drawn, {}, where, optional=_SAMPLING, others=False)
    if measured is not None:
        from s1_hf.forcing.confidence import Confidence  # with torch, which commands do without until they run

        check(measured, {}, where, optional=_MEASURED, others=False)
        told["confidence"] = Confidence(**measured)
    return Request(**told, sampling=drawn and Sampling(**drawn), **more), key
