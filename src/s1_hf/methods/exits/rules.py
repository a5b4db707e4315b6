"""When thinking stops early, by the answers that were tried so far."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from s1_hf.forcing.values import is_count, is_number
from s1_hf.methods.exits.trials import streak

if TYPE_CHECKING:
    from s1_hf.grading.extraction import AnswerKind
    from s1_hf.methods.exits.trials import Trial


class Rule(Protocol):
    """Says when thinking stops; a frozen dataclass of its settings."""

    @property
    def kind(self) -> str:
        """One word, of the method's name."""

    @property
    def name(self) -> str:
        """Of the setting."""

    @property
    def needs_confidence(self) -> bool:
        """Whether rows have to have a `confidence`."""

    def stops(self, trials: Sequence[Trial], kind: AnswerKind = "math") -> bool:
        """Whether it stops after the last of these, having let the others pass."""


@dataclass(frozen=True)
class Stable:
    """Stops when an answer has been given `times` times in a row.

    The last `times` trials have answers, which are all equal to the last one by [`s1_hf.grading.group_equivalent`]. A
    trial without an answer breaks the row.

    Args:
        times (`int`, defaults to 2): with 1 the first answer of all stops it.

    Raises:
        ValueError: `times` is not positive.
    """

    times: int = 2

    def __post_init__(self) -> None:
        if not is_count(self.times) or self.times < 1:
            raise ValueError(f"`times` has to be an integer of at least 1, but is {self.times!r}.")

    @property
    def kind(self) -> str:
        return "stable"

    @property
    def name(self) -> str:
        return f"stable {self.times}"

    @property
    def needs_confidence(self) -> bool:
        return False

    def stops(self, trials: Sequence[Trial], kind: AnswerKind = "math") -> bool:
        """See [`Rule`]."""
        return streak(trials[-self.times :], kind) >= self.times


@dataclass(frozen=True)
class Confident:
    """Stops when the model is sure of the answer that was tried: DEER's rule (https://arxiv.org/abs/2504.15895).

    Its confidence is the geometric mean of the probability of the most likely token, over those tokens of the answer
    that the model chose: the end of sequence and what was forced do not count. An answer has to be found, too.

    Args:
        threshold (`float`, defaults to 0.95): from 0 to 1.

    Raises:
        ValueError: `threshold` is out of range.
    """

    threshold: float = 0.95

    def __post_init__(self) -> None:
        if not is_number(self.threshold) or not 0 <= self.threshold <= 1:
            raise ValueError(f"`threshold` has to be a number from 0 to 1, but is {self.threshold!r}.")

    @property
    def kind(self) -> str:
        return "confident"

    @property
    def name(self) -> str:
        return f"confident {self.threshold:g}"

    @property
    def needs_confidence(self) -> bool:
        return True

    def stops(self, trials: Sequence[Trial], kind: AnswerKind = "math") -> bool:
        """See [`Rule`]."""
        row = trials[-1].row
        return row.extracted is not None and row.confidence is not None and row.confidence >= self.threshold


def stop_at(trials: Sequence[Trial], rule: Rule, kind: AnswerKind = "math") -> int:
    """The index of the trial after which thinking stops: the first at which the rule says so, or else the last."""
    for index in range(len(trials) - 1):
        if rule.stops(trials[: index + 1], kind):
            return index
    return len(trials) - 1
