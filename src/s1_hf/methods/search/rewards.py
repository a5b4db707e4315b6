"""What a scorer says of completions, with its tokens counted, and kept beside them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, Protocol

from s1_hf.engines.ledger import REMEDY
from s1_hf.engines.request import digest
from s1_hf.methods.kept import Kept, NotKept
from s1_hf.records import COUNT, Kind, Schema, check
from s1_hf.scoring import Candidate, aggregate

if TYPE_CHECKING:
    from s1_hf.generation.chats import Completion
    from s1_hf.methods.bench import Bench
    from s1_hf.results.rows import Problem
    from s1_hf.scoring import Scorer
    from s1_hf.scoring.scorer import Aggregation


class Scored(NamedTuple):
    """One number for each completion, and the scorer's tokens for all of them together."""

    rewards: list[float]
    tokens: int


class Rewards(Protocol):
    """Scores completions."""

    def of(self, problem: Problem, completions: Sequence[Completion]) -> Scored:
        """Of completions to one problem; those that say the same are scored once."""


@dataclass(frozen=True)
class Asking:
    """[`Rewards`] that a scorer is asked for.

    Tokens are those that it takes to score every completion from its beginning: what a scorer still knows from other
    rows makes it faster, and no row cheaper.

    Args:
        scorer ([`Scorer`]): is asked once for all completions of a call.
        aggregation (`str`): makes one number of those of the steps and the answer, see [`aggregate`].
        separator (`str`): between steps.
    """

    scorer: Scorer
    aggregation: Aggregation
    separator: str

    def of(self, problem: Problem, completions: Sequence[Completion]) -> Scored:
        """See [`Rewards`].

        Raises:
            FloatingPointError: a reward is not finite.
        """
        candidates = [candidate_of(problem, completion, self.separator) for completion in completions]
        asked = list({_said(one): one for one in candidates}.values())
        found = self.scorer.scores(asked)
        rewards = {}
        for one, values in zip(asked, found.values, strict=True):
            if not all(map(math.isfinite, values)):
                raise FloatingPointError(
                    f"Rewards have to be finite, but the scorer gives {values} for an answer to problem "
                    f"{problem.id!r}. Load a reward model with another `dtype`."
                )
            rewards[_said(one)] = aggregate(values, self.aggregation)
        return Scored([rewards[_said(one)] for one in candidates], found.cost.uncached_tokens)

    def key(self, problem: Problem, completions: Sequence[Completion]) -> str:
        """Tells these scores from all others: everything that decides about them."""
        said = [[one.thinking, one.answer, one.begun is None] for one in completions]
        how = [self.scorer.identity, self.aggregation, self.separator]
        return digest(["rewards", how, problem.question, said])[:32]


class FromLedger:
    """[`Rewards`] from the ledger of a bench that keeps what is finished, and asked for what is not there.

    A resumed search then chooses as it did before, to the last bit.
    """

    def __init__(self, asking: Asking, kept: Kept) -> None:
        self._asking, self._kept = asking, kept

    def of(self, problem: Problem, completions: Sequence[Completion]) -> Scored:
        """See [`Rewards`].

        Raises:
            NotKept: they are not there, and nothing may be computed. ValueError: an entry is none of these scores.
        """
        ledger, key = self._kept.ledger, self._asking.key(problem, completions)
        found = ledger.find([key]).get(key)
        if found is not None:
            where = ledger.where(key)
            check(found, _SCORED, where, others=False, remedy=REMEDY)
            if len(found["rewards"]) != len(completions):
                raise ValueError(f"{where} does not hold the rewards of {len(completions)} rows. {REMEDY}")
            return Scored([float(one) for one in found["rewards"]], found["scorer_tokens"])
        if not self._kept.generates:
            raise NotKept
        scored = self._asking.of(problem, completions)
        ledger.append({key: {"rewards": scored.rewards, "scorer_tokens": scored.tokens}})
        return scored


def rewards_of(asking: Asking, bench: Bench) -> Rewards:
    """Kept where the bench keeps its completions."""
    return FromLedger(asking, bench.runner) if isinstance(bench.runner, Kept) else asking


def candidate_of(problem: Problem, completion: Completion, separator: str) -> Candidate:
    """What a scorer sees of a completion: the steps of its thinking and, unless it has paused, its answer."""
    parts = [part.strip() for part in completion.thinking.split(separator)]
    steps = [part for part in parts if part]
    if completion.begun is None:
        return Candidate(problem.question, steps, completion.answer)
    return Candidate(problem.question, steps or [""])


def _said(candidate: Candidate) -> tuple[tuple[str, ...], str | None]:
    return tuple(candidate.steps), candidate.answer


def _are_numbers(value: object) -> bool:
    return isinstance(value, list) and all(type(one) in (int, float) for one in value)


_SCORED: Schema = {"rewards": Kind("a list of numbers", _are_numbers), "scorer_tokens": COUNT}
