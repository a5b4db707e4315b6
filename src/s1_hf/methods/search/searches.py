"""REBASE, beam search over steps and particle filtering: one loop, and a rule for each."""

from __future__ import annotations

import warnings
from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, replace
from random import Random
from typing import TYPE_CHECKING, get_args

from s1_hf.engines.request import digest
from s1_hf.forcing.budget import NO_INTERVENTION, Budget, BudgetWarning
from s1_hf.forcing.pauses import Pause
from s1_hf.forcing.values import is_count
from s1_hf.grading import grade
from s1_hf.methods.method import check_point
from s1_hf.methods.parallel import named
from s1_hf.methods.search.allocation import Resampling, balanced, beams, log_odds, resampled, softmax
from s1_hf.methods.search.electing import Election, elected
from s1_hf.methods.search.scored import ScoredMethod, check_temperature
from s1_hf.methods.search.tree import Tree
from s1_hf.results.rows import Row, promising_nothing, row_of

if TYPE_CHECKING:
    from s1_hf.engines.request import Request
    from s1_hf.methods.bench import Bench
    from s1_hf.results.rows import Problem


@dataclass(frozen=True, kw_only=True)
class Search(ScoredMethod):
    """What searches have in common: rows pause at the ends of their steps, are scored, and go on as a rule says.

    A search of width N begins as N samples of the problem, the same that a vote of N has. At the end of every step each
    row is scored with what came before, and the rule gives N places to them: a row that has its answer keeps one, one
    without a place is given up, and one with several branches off. The last step of a row goes to its end. When all
    have ended, one answer is elected. Width 1 is plain sampling; nothing is scored then.

    Rows of all widths that are the same are generated once. A problem is searched as many times as the bench has
    `samples`.

    Args:
        scorer ([`Scorer`]): of steps.
        widths (`Sequence[int]`): N, each of which is a setting.
        election (`str`): how the answer is chosen among those of the rows, see [`elected`].
        aggregation (`str`): which number a row has, see [`aggregate`].
        separator (`str`): what ends a step.
        max_step_tokens (`int`, *optional*): a longer step ends here.
        max_steps (`int`, *optional*): rows with so many steps go to their ends as they are.
        point ([`Budget`]): caps, minimums and ignores, which hold for each row over all of its steps.

    Raises:
        ValueError: a value is out of range, or the scorer scores answers only.
    """

    max_step_tokens: int | None = None
    max_steps: int | None = None
    point: Budget = NO_INTERVENTION

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.scorer.of_steps:
            raise ValueError(
                "`scorer` has to score steps (a process reward model), but this one scores answers only. `BestOfN` can "
                "use it."
            )
        if self.max_steps is not None and (not is_count(self.max_steps) or self.max_steps < 1):
            raise ValueError(f"`max_steps` has to be an integer of at least 1, but is {self.max_steps!r}.")
        check_point(self.point)
        self._pause  # noqa: B018

    @property
    @abstractmethod
    def kind(self) -> str:
        """The `method` of its rows without a budget."""

    @abstractmethod
    def choice(self, rewards: Sequence[float], ended: Sequence[bool], width: int, random: Random) -> list[int]:
        """See [`Choice`]."""

    @property
    def names(self) -> list[str]:
        own = type(self).election
        kind = self.kind if self.election == own else f"{self.kind}, {self.election} answer"
        return [named(kind, self.point)]

    def grid(self) -> list[Budget]:
        return [self.point]

    def check(self, bench: Bench) -> None:
        bench.runner.check([self._root(bench, problem, 0) for problem in bench.problems])

    def answers(self, bench: Bench) -> int:
        return max(self.widths) * (bench.samples or 1)

    def rows(self, bench: Bench, problems: Sequence[Problem]) -> list[Row]:
        # 1. Where each search begins.
        trees: list[tuple[int, Tree]] = []  # with their numbers
        for width in self.widths:
            for problem in problems:
                trees += [(s, self._tree(bench, problem, width, s)) for s in range(bench.samples or 1)]
        # 2. Step after step, all of them together: searches of several widths share rows.
        rewards = self.rewards(bench)
        while asked := {request.key: request for _, tree in trees for request in tree.asked}:
            done = bench.complete(list(asked.values()))
            for _, tree in trees:
                if tree.asked:
                    tree.grow(done, rewards)
                    tree.choose(self.choice)
        # 3. The answers.
        return [self._row(bench, tree, sample) for sample, tree in trees]

    def finish(self, rows: list[Row]) -> list[Row]:
        """Warns if there was nothing to search."""
        texts = ("".join(piece["text"] for piece in row.transcript) for row in rows)
        if self.max_step_tokens is None and not any(self.separator in text for text in texts):
            warnings.warn(
                f"`separator` {self.separator!r} never stood in any thinking, so that no row had steps, and the search "
                "was a vote among samples. Name what ends the steps of this model, such as '\\n'.",
                BudgetWarning,
                stacklevel=2,
            )
        return rows

    @property
    def _pause(self) -> Pause:
        return Pause(self.separator, self.max_step_tokens)

    def _root(self, bench: Bench, problem: Problem, sample: int) -> Request:
        (budget,) = bench.budgets([self.point])
        request = bench.request(problem, budget=budget, sample=sample, sampled=True)
        return replace(request, pause=self._pause)

    def _tree(self, bench: Bench, problem: Problem, width: int, number: int) -> Tree:
        roots = [self._root(bench, problem, number * width + i) for i in range(width)]
        seed = int(digest([bench.seed, problem.task, problem.id, number, width, self.kind])[:16], 16)
        return Tree(problem, roots, max_steps=self.max_steps, seed=seed)

    def _row(self, bench: Bench, tree: Tree, sample: int) -> Row:
        problem = tree.problem
        verdicts = [grade(row.completion, problem.gold, problem.kind) for row in tree.rows]
        answers = [verdict.extracted for verdict in verdicts]
        index = elected(answers, [row.reward for row in tree.rows], self.election, problem.kind)
        best, verdict = tree.rows[index], verdicts[index]
        row = row_of(
            best.completion, problem, bench.runner.tokenizer, request=best.request, method=self.names[0],
            setting=f"width {tree.width}", graded=(verdict.correct, verdict.extracted), tries=tree.leaves,
            total_tokens=tree.total_tokens, scorer_tokens=tree.scorer_tokens,
        )  # fmt: skip
        return replace(
            promising_nothing(row),
            sample=sample,
            thinking_tokens=tree.thinking_tokens,
            answer_tokens=tree.answer_tokens,
            request=None,  # one does not say what the others were
        )


@dataclass(frozen=True, kw_only=True)
class Rebase(Search):
    """REBASE, reward balanced search (https://arxiv.org/abs/2408.00724), which the paper compares with (figure 7).

    Of the N places those of ended rows are taken, the others go to the rows in proportion to `exp(reward /
    temperature)`, see [`balanced`]. The answer is elected by votes weighted by the last rewards. With equal rewards it
    is majority voting over N samples.

    Args:
        temperature (`float`, defaults to 0.2): of the balance, as in the paper; for rewards from 0 to 1.
    """

    election: Election = "weighted"
    temperature: float = 0.2

    def __post_init__(self) -> None:
        super().__post_init__()
        check_temperature(self.temperature)

    @property
    def kind(self) -> str:
        return "REBASE"

    def choice(self, rewards: Sequence[float], ended: Sequence[bool], width: int, random: Random) -> list[int]:
        live = [reward for reward, over in zip(rewards, ended, strict=True) if not over]
        counts = iter(balanced(live, width - sum(ended), self.temperature))
        return [1 if over else next(counts) for over in ended]


@dataclass(frozen=True, kw_only=True)
class BeamSearch(Search):
    """Beam search over steps (https://arxiv.org/abs/2408.03314).

    Of the N places those of ended rows are taken; the rows with the highest rewards go on `expand` times each, until
    there is no place left, see [`beams`]. The answer is that of the highest last reward.

    Args:
        expand (`int`, defaults to 4): M; N / M rows go on.
    """

    expand: int = 4

    def __post_init__(self) -> None:
        super().__post_init__()
        if not is_count(self.expand) or self.expand < 1:
            raise ValueError(f"`expand` has to be an integer of at least 1, but is {self.expand!r}.")

    @property
    def kind(self) -> str:
        return "beam search"

    def choice(self, rewards: Sequence[float], ended: Sequence[bool], width: int, random: Random) -> list[int]:
        live = [reward for reward, over in zip(rewards, ended, strict=True) if not over]
        counts = iter(beams(live, width - sum(ended), self.expand))
        return [1 if over else next(counts) for over in ended]


@dataclass(frozen=True, kw_only=True)
class ParticleFiltering(Search):
    """Particle filtering (https://arxiv.org/abs/2502.01618): after each step N rows are drawn from those there are.

    A row is drawn with a probability in proportion to its odds, `r / (1 - r)`, for a temperature of 1: softmax of
    [`log_odds`]. Ended rows are drawn with the others, may be there several times, and may be lost; when all have ended
    nothing is drawn any more. The answer is that of the highest last reward.

    Args:
        temperature (`float`, defaults to 1): of the softmax.
        resampling (`str`, defaults to `"multinomial"`): or `"systematic"`, see [`resampled`].
    """

    temperature: float = 1.0
    resampling: Resampling = "multinomial"

    def __post_init__(self) -> None:
        super().__post_init__()
        check_temperature(self.temperature)
        if self.resampling not in get_args(Resampling):
            raise ValueError(f"`resampling` has to be 'multinomial' or 'systematic', but is {self.resampling!r}.")

    @property
    def kind(self) -> str:
        return "particle filtering"

    def choice(self, rewards: Sequence[float], ended: Sequence[bool], width: int, random: Random) -> list[int]:
        if width == 1:
            return [1]
        weights = softmax([log_odds(reward) for reward in rewards], self.temperature)
        return resampled(weights, width, random, self.resampling)
