"""A row beside the slow reference, with the rounding of low precision told apart from faults.

Two kernels add in other orders, so that of two tokens whose scores are all but equal one may win here and the other
there. Where a host's row leaves the reference's, the reference is asked how far its scores of the tokens in question
lay apart. If that is within the rounding at this place, the reference takes the host's token and goes on from there,
so that a fault behind it is still found; if not, it is a fault.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch

from s1_hf.conformance.cases import reference_row
from s1_hf.conformance.reference import Delimiters, Row
from s1_hf.engines.request import Request
from s1_hf.generation.chats import Completion

WINDOW = 12
"""Tokens before a difference among which the choice is looked for that led to it."""

Logits = Callable[[Sequence[int]], torch.Tensor]


@dataclass
class Reference:
    """What rows of one model are compared with.

    Args:
        logits (`Callable`): from the ids of a row to the scores of its next token, without a cache; `(vocab_size,)`.
        delimiters ([`Delimiters`]): the contract's words for the format.
        tokenizer ([`PreTrainedTokenizerBase`]): the model's.
        precision (`float`): the relative rounding of scores.
        other_ways (`Sequence[Callable]`): more ways to compute the same scores, which show how much of them is noise.
    """

    logits: Logits
    delimiters: Delimiters
    tokenizer: Any
    precision: float
    other_ways: Sequence[Logits] = ()
    _known: dict[tuple[int, ...], torch.Tensor] = field(default_factory=dict, repr=False)

    def scores(self, ids: Sequence[int]) -> torch.Tensor:
        """`logits`, each row once, in float32 on the CPU."""
        key = tuple(ids)
        if key not in self._known:
            self._known[key] = self.logits(ids).detach().float().cpu()
        return self._known[key]

    def row(self, request: Request, choose: Callable[[torch.Tensor], int] | None = None) -> Row:
        """What the reference makes of a request."""
        options: dict[str, Any] = {} if choose is None else {"choose": choose}
        return reference_row(
            self.scores,
            request.prompt,
            self.delimiters,
            self.tokenizer,
            request.budget,
            max_new_tokens=request.max_new_tokens,
            **options,
        )

    def rounding(self, ids: Sequence[int]) -> float:
        """How far apart scores behind `ids` may lie and still be equal but for rounding."""
        scores = self.scores(ids)
        likely = scores.topk(min(20, len(scores))).indices
        noise = 0.0
        for way in self.other_ways:
            other = way(ids).detach().float().cpu()
            noise = max(noise, float((other - scores)[likely].abs().max()))
        return 4 * noise + 2 * self.precision * float(scores[likely].abs().max())


@dataclass(frozen=True)
class Compared:
    """A row beside the reference.

    Args:
        row ([`Row`]): the reference's, which has taken the host's tokens where rounding leaves both open.
        fault (`str`): what is wrong, empty if nothing is.
        roundings (`int`): how many choices are open to rounding and were made otherwise than by the reference.
        margin (`float`): the largest difference between the scores of two such tokens.
    """

    row: Row
    fault: str = ""
    roundings: int = 0
    margin: float = 0.0


@dataclass(frozen=True)
class _Choice:
    """One question to the decoding rule."""

    place: int  # of the token in what is generated
    ids: tuple[int, ...]
    scores: torch.Tensor


def compare(reference: Reference, request: Request, got: Completion) -> Compared:
    """Hold what a host has made of a greedy request against the reference."""
    if len(got.forced) != len(got.token_ids) or got.forced != got.report.forced:
        return Compared(reference.row(request), "the mask of forced tokens does not go with the ids")
    taken: dict[int, int] = {}  # by the number of the choice: tokens other than the reference's own
    margin = 0.0
    row, choices = _follow(reference, request, taken)
    while (place := _first_difference(row, got)) is not None:
        found = _another_choice(reference, request, got, taken, choices, place)
        if found is None:
            return Compared(row, _in_words(reference, row, got, place, choices), len(taken), margin)
        taken, apart = found
        margin = max(margin, apart)
        row, choices = _follow(reference, request, taken)
    return Compared(row, _difference_of_reports(reference, row, got), len(taken), margin)


def _follow(reference: Reference, request: Request, taken: dict[int, int]) -> tuple[Row, list[_Choice]]:
    """The reference's row with the choices in `taken` made otherwise, and all choices in their order."""
    choices: list[_Choice] = []
    asked: list[tuple[int, ...]] = []

    def scores(ids: list[int]) -> torch.Tensor:
        asked.append(tuple(ids))
        return reference.scores(ids)

    def choose(found: torch.Tensor) -> int:
        number = len(choices)
        choices.append(_Choice(len(asked[-1]) - len(request.prompt), asked[-1], found))
        return taken.get(number, int(found.argmax()))

    row = reference_row(
        scores,
        request.prompt,
        reference.delimiters,
        reference.tokenizer,
        request.budget,
        max_new_tokens=request.max_new_tokens,
        choose=choose,
    )
    return row, choices


def _first_difference(row: Row, got: Completion) -> int | None:
    """Where the ids, or what is forced of them, are not the reference's."""
    ours = list(zip(got.token_ids, got.forced, strict=True))
    theirs = list(zip(row.new, row.forced, strict=True))
    for place, (one, other) in enumerate(zip(ours, theirs, strict=False)):
        if one != other:
            return place
    return None if len(ours) == len(theirs) else min(len(ours), len(theirs))


def _another_choice(
    reference: Reference,
    request: Request,
    got: Completion,
    taken: dict[int, int],
    choices: Sequence[_Choice],
    place: int,
) -> tuple[dict[int, int], float] | None:
    """`taken` with one more choice that rounding leaves open, so that the rows agree for longer; and its margin."""
    near = [i for i, choice in enumerate(choices) if place - WINDOW <= choice.place <= place and i not in taken]
    for number in reversed(near):
        choice = choices[number]
        limit = reference.rounding(choice.ids)
        best, ranked = choice.scores.topk(min(8, len(choice.scores)))
        own = int(choice.scores.argmax())  # of several that are alike, it may stand anywhere among them
        for score, token in zip(best.tolist(), ranked.tolist(), strict=True):
            apart = float(best[0]) - score
            if not apart <= limit:
                break
            if token == own:
                continue
            trial = {i: other for i, other in taken.items() if i < number} | {number: token}
            row, _ = _follow(reference, request, trial)
            there = _first_difference(row, got)
            if there is None or there > place:
                return trial, apart
    return None


def _in_words(reference: Reference, row: Row, got: Completion, place: int, choices: Sequence[_Choice]) -> str:
    """What stands at the place of a fault, here and in the reference, and how sure the reference is."""
    texts = reference.delimiters.texts

    def told(ids: Sequence[int], forced: Sequence[bool]) -> str:
        if place >= len(ids):
            return "nothing"
        text = texts[ids[place]] if ids[place] < len(texts) else f"id {ids[place]}"
        return f"{text!r}{' (forced)' if forced[place] else ''}"

    said = f"token {place} is {told(got.token_ids, got.forced)} where the reference has {told(row.new, row.forced)}"
    before = [choice for choice in choices if choice.place <= place]
    if before:
        two = before[-1].scores.topk(2).values.tolist()
        limit = reference.rounding(before[-1].ids)
        said += f"; its best two scores lie {two[0] - two[1]:.3g} apart, of which rounding explains {limit:.2g}"
    return said


def _difference_of_reports(reference: Reference, row: Row, got: Completion) -> str:
    """What a report says otherwise than the reference."""
    wanted = {
        "thinking_tokens": row.thinking_tokens,
        "ended": row.ended,
        "ends_ignored": row.ends_ignored,
        "answer_tokens": row.answer_tokens(reference.delimiters.eos),
    }
    for name, value in wanted.items():
        own = getattr(got.report, name)
        if own != value:
            return f"the report's `{name}` is {own!r} where the reference has {value!r}"
    return ""
