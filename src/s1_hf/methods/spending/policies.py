"""Who thinks longer, given one total of tokens for a set of problems: decisions, the same in a replay and a run."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Protocol, TypeVar

from s1_hf.methods.exits.trials import streak

if TYPE_CHECKING:
    from s1_hf.grading.extraction import AnswerKind
    from s1_hf.methods.exits.trials import Trial

Policy = Literal["uniform", "stability", "confidence"]
"""Who thinks on first: all alike; the least settled; the least confident."""


class Walk(Protocol):
    """A problem that is thought about from level to level.

    Attributes:
        trials (`list[Trial]`): answers so far.
        level (`int`): to how many levels it has come.
        spent (`int`): tokens so far.
    """

    trials: list[Trial]
    level: int
    spent: int

    @property
    def is_over(self) -> bool:
        """Whether it has ended, so that nothing is left to spend on it."""

    @property
    def awaits(self) -> bool:
        """Whether it has paused without an answer."""

    @property
    def thinking_tokens(self) -> int:
        """With how many it thinks on."""

    @property
    def kind(self) -> AnswerKind:
        """Of its answers."""


W = TypeVar("W", bound=Walk)


@dataclass(frozen=True)
class Terms:
    """On what a total is spent.

    Args:
        caps (`tuple[int, ...]`): the levels, growing, in thinking tokens.
        reserve (`int`): the most tokens that closing a row's thinking and its answer can take.
        opening (`int`): the most that come before its thinking.
        round_size (`int`): how many problems think on together.
    """

    caps: tuple[int, ...]
    reserve: int
    opening: int
    round_size: int


def spend(
    walks: Sequence[W],
    total: int,
    policy: Policy,
    terms: Terms,
    think_on: Callable[[list[W]], None],
    try_answers: Callable[[list[W]], None],
) -> None:
    """Spend at most `total` tokens on these problems, in rounds.

    In each round the problems that can think on are ordered: by the policy, then by their level, then by their place in
    the list. Problems that have not begun come first. In this order each gets its next level, if the most that this can
    take still fits into what is left, up to `round_size` of them; those for whom it does not fit are passed over. Then
    they think on to that level. Under `"uniform"` nobody answers on the way: what an answer may take is set aside for
    each that has begun, and they all answer in the end. Under the other policies each answers at every level, which is
    paid for. It is over when nobody can get another level.

    Args:
        walks (`Sequence[Walk]`): none has begun.
        think_on, try_answers (`Callable`): take some of them to their next levels, and have those answer that await it.
    """
    while True:
        left = total - sum(walk.spent for walk in walks)
        left -= terms.reserve * sum(walk.awaits for walk in walks)
        chosen: list[W] = []
        for walk in _ordered(walks, policy, len(terms.caps)):
            most = _most(walk, terms)
            if most <= left and len(chosen) < terms.round_size:
                chosen.append(walk)
                left -= most
        if not chosen:
            break
        think_on(chosen)
        if policy != "uniform":
            try_answers(chosen)
    try_answers([walk for walk in walks if walk.awaits])


def _ordered(walks: Sequence[W], policy: Policy, levels: int) -> list[W]:
    able = [walk for walk in walks if not walk.is_over and walk.level < levels]
    return sorted(able, key=lambda walk: (walk.level > 0, _settled(walk, policy), walk.level))  # stable: then as listed


def _settled(walk: Walk, policy: Policy) -> float:
    """How little a problem that has begun needs to think on."""
    if policy == "uniform" or not walk.trials:
        return 0
    if policy == "stability":
        return streak(walk.trials, walk.kind)
    confidence = walk.trials[-1].row.confidence
    return -1 if confidence is None or walk.trials[-1].row.extracted is None else confidence


def _most(walk: Walk, terms: Terms) -> int:
    """The most tokens that the next level of a problem can take, beside what is set aside for it."""
    thinking = max(terms.caps[walk.level] - walk.thinking_tokens, 0)
    opening = 0 if walk.thinking_tokens else terms.opening
    return opening + thinking + (0 if walk.awaits else terms.reserve)
