"""What is scored, what comes back, and what it cost."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, Protocol, get_args

from s1_hf.forcing.values import is_many, is_number, not_unicode, shown

Question = str | Sequence[Mapping[str, Any]]
Aggregation = Literal["last", "min", "product", "mean"]


@dataclass(frozen=True)
class Candidate:
    """A question and what a model has written so far.

    Args:
        question (`str` or a chat): without a system prompt for the model that answers, unless the scorer is to see it.
        steps (`Sequence[str]`): the texts of the thinking's steps, in order, without what separates them.
        answer (`str`, *optional*): what follows the thinking; given if and only if the candidate is finished, empty if
            it is finished without one.

    Raises:
        TypeError: a field is of another type, such as one text in place of a list of steps.
        ValueError: there is neither a step nor an answer, or a text is not Unicode.
    """

    question: Question
    steps: Sequence[str]
    answer: str | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.question, str) and not _is_chat(self.question):
            raise TypeError(
                '`question` has to be a text or a chat, [{"role": "user", "content": "..."}], but is '
                f"{shown(self.question)}."
            )
        if isinstance(self.steps, str) or not all(isinstance(step, str) for step in self.steps):
            raise TypeError(f"`steps` has to be a list of texts, one per step, but is {self.steps!r}.")
        if self.answer is not None and not isinstance(self.answer, str):
            raise TypeError(f"`answer` has to be a text, or None if it is not finished, but is {self.answer!r}.")
        object.__setattr__(self, "steps", tuple(self.steps))
        if not self.parts:
            raise ValueError("A candidate has to have at least one step or an answer, but has neither.")
        contents = [self.question] if isinstance(self.question, str) else [one.get("content") for one in self.question]
        for text in (*contents, *self.parts):
            if isinstance(text, str) and (fault := not_unicode(text)):
                raise ValueError(f"The texts of a candidate have to be Unicode, but in {shown(text)} {fault}.")

    @property
    def is_finished(self) -> bool:
        """Whether it has its answer."""
        return self.answer is not None

    @property
    def parts(self) -> tuple[str, ...]:
        """The steps, and after them the answer if there is one."""
        return (*self.steps,) if self.answer is None else (*self.steps, self.answer)

    @property
    def question_text(self) -> str:
        """The question as a text.

        Raises:
            ValueError: it is a chat of more than one message.
        """
        if isinstance(self.question, str):
            return self.question
        if len(self.question) != 1:
            raise ValueError(
                f"This scorer takes the question as one text, but it is a chat of {len(self.question)} messages. Pass "
                "the text of the question."
            )
        return str(self.question[0]["content"])


@dataclass(frozen=True)
class ScoringCost:
    """What scores cost, in tokens of the reward model, padding left out.

    Args:
        tokens (`int`): that went through the model.
        uncached_tokens (`int`): that would have, had every candidate been scored anew and by itself.
        padding_tokens (`int`): that went through the model besides, in batches of different lengths.
    """

    tokens: int = 0
    uncached_tokens: int = 0
    padding_tokens: int = 0

    def __add__(self, other: ScoringCost) -> ScoringCost:
        return ScoringCost(
            self.tokens + other.tokens,
            self.uncached_tokens + other.uncached_tokens,
            self.padding_tokens + other.padding_tokens,
        )


class Scores(NamedTuple):
    """The numbers of each candidate, in the order in which they were given, and what all of them cost together."""

    values: list[tuple[float, ...]]
    cost: ScoringCost


class Scorer(Protocol):
    """Gives numbers to candidates: the higher, the better."""

    @property
    def identity(self) -> dict[str, Any]:
        """Everything that decides about a number besides the candidate, as JSON types."""

    @property
    def of_steps(self) -> bool:
        """Whether there is one number for each of a candidate's `parts`, finished or not (a process reward model).

        If not, there is a single one for the answer, and unfinished candidates are refused (an outcome reward model).
        """

    def scores(self, candidates: Sequence[Candidate]) -> Scores:
        """The numbers of many candidates at once; raises a `ValueError` before anything is run."""


def aggregate(values: Sequence[float], how: Aggregation = "last") -> float:
    """One number for a candidate: its last, its smallest, the product or the mean of all.

    Which of them is best differs from model to model: for Math-Shepherd's its authors take the smallest
    (https://arxiv.org/abs/2312.08935), others the last (https://arxiv.org/abs/2408.03314) or the product
    (https://arxiv.org/abs/2305.20050).

    Raises:
        ValueError: there are no values, one is not a finite number, or there is no such way.

    Example:

    ```python
    >>> from s1_hf.scoring import aggregate
    >>> [aggregate((0.5, 0.25, 1.0), how) for how in ("last", "min", "product", "mean")]
    [1.0, 0.25, 0.125, 0.5833333333333334]

    ```
    """
    if how not in get_args(Aggregation):
        raise ValueError(f"`how` has to be one of {', '.join(map(repr, get_args(Aggregation)))}, but is {how!r}.")
    if not len(values):
        raise ValueError("`values` has to hold at least one number, but is empty.")
    if not all(is_number(value) and math.isfinite(value) for value in values):
        raise ValueError(f"`values` has to hold finite numbers, but is {shown(values)}.")
    if how == "last":
        return values[-1]
    if how == "min":
        return min(values)
    if how == "product":
        return math.prod(values)
    return sum(values) / len(values)


def _is_chat(value: object) -> bool:
    return is_many(value) and len(value) > 0 and all(isinstance(one, Mapping) for one in value)  # type: ignore[arg-type, attr-defined]


def check_finished(candidates: Sequence[Candidate], scorer: str) -> None:
    """Raises a `ValueError` if any is not finished."""
    unfinished = sum(not one.is_finished for one in candidates)
    if unfinished:
        raise ValueError(
            f"{scorer} scores answers, but {unfinished} of {len(candidates)} candidates have none. Score finished "
            "candidates only, or use a process reward model."
        )
