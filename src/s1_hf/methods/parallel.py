"""Parallel scaling: votes among independent samples, at equal total tokens beside the sequential curves."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from s1_hf.forcing.budget import NO_INTERVENTION, Budget
from s1_hf.forcing.report import UNCLOSED
from s1_hf.forcing.values import is_count
from s1_hf.generation.grids import grid
from s1_hf.grading import group_equivalent
from s1_hf.methods.forcing import OF_THE_BENCH, Cue, with_cue
from s1_hf.methods.method import Method, check_counts, disjoint
from s1_hf.results.rows import Row, promising_nothing, row_of

if TYPE_CHECKING:
    from s1_hf.grading.extraction import AnswerKind
    from s1_hf.methods.bench import Bench
    from s1_hf.methods.confidence.samples import Sample
    from s1_hf.results.rows import Problem

VOTING, SHORTEST = "majority voting", "short-m@k"


@dataclass(frozen=True)
class Parallel(Method):
    """Majority votes and short-m@k over the same samples; with a grid of budgets, sequential times parallel scaling.

    Every problem is sampled `samples` times, once for all votes and all budgets (see [`sweep`]). Of k samples each,
    there are `samples // k` disjoint groups, which are the `sample`s of the rows. See [`vote`] and [`shortest_of`].
    Nothing is promised.

    Args:
        samples (`int`): of each problem.
        votes (`Sequence[int]`): k of the majority votes; 1 is the samples themselves.
        shortest (`Sequence[tuple[int, int]]`): m and k of short-m@k.
        max_thinking_tokens, num_ignores, wait_text: as in [`BudgetForcing`]. Under each of its settings but "no
            intervention" the methods bear its name, so that each gives a curve over k: `majority voting, cap 500`.

    Raises:
        ValueError: there is nothing to do, or a number is out of range.
    """

    samples: int
    votes: Sequence[int] = ()
    shortest: Sequence[tuple[int, int]] = ()
    max_thinking_tokens: Sequence[int | None] = (None,)
    num_ignores: Sequence[int] = (0,)
    wait_text: Cue = OF_THE_BENCH

    def __post_init__(self) -> None:
        if not is_count(self.samples) or self.samples < 1:
            raise ValueError(f"`samples` has to be an integer of at least 1, but is {self.samples!r}.")
        if not self.votes and not self.shortest:
            raise ValueError("`votes` or `shortest` has to be given, such as `votes=[1, 2, 4]` or `shortest=[(1, 4)]`.")
        if self.votes:
            check_counts("votes", self.votes)
        _check_pairs(self.shortest)
        most = max([*self.votes, *(k for _, k in self.shortest)])
        if most > self.samples:
            raise ValueError(
                f"`samples` has to be at least the largest k, {most}, but is {self.samples}. Raise it, or vote among "
                "fewer."
            )
        grid(self.max_thinking_tokens, self.num_ignores)
        with_cue(NO_INTERVENTION, self.wait_text)

    @property
    def names(self) -> list[str]:
        names = []
        for kind in [VOTING] * bool(self.votes) + [SHORTEST] * bool(self.shortest):
            names += [named(kind, point) for point in self.grid()]
        return names

    def check(self, bench: Bench) -> None:
        bench.check(bench.problems, self.grid(), budget=with_cue(bench.budget, self.wait_text))

    def answers(self, bench: Bench) -> int:
        return self.samples

    def rows(self, bench: Bench, problems: Sequence[Problem]) -> list[Row]:
        # 1. The samples of each problem under each point.
        kinds = {(problem.task, problem.id): problem.kind for problem in problems}
        samples: dict[tuple[Budget, tuple[str, str]], list[Row]] = {}
        answers = bench.answers(
            problems, self.grid(), budget=with_cue(bench.budget, self.wait_text), samples=self.samples
        )
        for point, problem, request, done in answers:
            row = row_of(done, problem, bench.runner.tokenizer, request=request, method="samples", setting=point.name)
            samples.setdefault((point, (problem.task, problem.id)), []).append(row)
        # 2. What they elect.
        rows = []
        for (point, name), of_problem in samples.items():
            for row in self._combined(of_problem, kinds[name]):
                rows.append(replace(row, method=named(row.method, point)))
        return rows

    def grid(self) -> list[Budget]:
        return grid(self.max_thinking_tokens, self.num_ignores)

    def _combined(self, rows: list[Row], kind: AnswerKind) -> Iterator[Row]:
        for k in self.votes:
            yield from vote(rows, k, kind)
        for m, k in self.shortest:
            yield from shortest_of(rows, m, k, kind)


def vote(samples: Sequence[Row], k: int, kind: AnswerKind = "math") -> list[Row]:
    """Majority votes of k samples each (self-consistency; s1, figure 4b).

    The samples of a problem, in the order of their numbers, are cut into disjoint groups of k; what is left over does
    not vote. Elected is the answer given most often, answers being the same by [`group_equivalent`]; of answers given
    equally often, the one given first. No answer has no vote; without any vote the row has no answer and is wrong. As
    in [`s1_hf.tasks.scoring.Votes`].

    Args:
        samples (`Sequence[Row]`): independent answers under one setting, to any number of problems of one `kind`.
        k (`int`): voters.

    Returns:
        `list[Row]`: tokens are sums over the voters, `tries` is k, all else that of the first who gave the elected
        answer.

    Raises:
        ValueError: `k` is not positive, or a problem has fewer than k samples.

    Example:

    ```python
    >>> from s1_hf.methods import vote
    >>> from s1_hf.results.rows import Row
    >>> said = [("7", False, 30), ("0.5", True, 20), ("1/2", True, 10)]
    >>> samples = [Row("m", "s", "t", "p", i, n, 2, right, "natural", extracted=answer, total_tokens=n + 4)
    ...            for i, (answer, right, n) in enumerate(said)]
    >>> row, = vote(samples, k=3)
    >>> row.setting, row.extracted, row.correct, row.thinking_tokens, row.total_tokens
    ('3 votes', '0.5', True, 60, 72)

    ```
    """
    rows = []
    for number, voters in groups_of(samples, k):
        elected = elected_row(voters, kind)
        rows.append(
            replace(
                promising_nothing(elected),
                method=VOTING,
                setting=f"{k} vote{'s' * (k > 1)}",
                sample=number,
                **together(voters),
            )
        )
    return rows


def shortest_of(samples: Sequence[Row], m: int, k: int, kind: AnswerKind = "math") -> list[Row]:
    """short-m@k (https://arxiv.org/abs/2505.17813): of k samples, the m that finish thinking first vote.

    Groups are made as in [`vote`]. Among the m shortest thinkings (of equally long ones the earlier sample's) the
    answer given most often is elected, of answers given equally often the one with the shortest thinking. Thinking
    that did not end finishes last and has no answer. `m=1` is first-finish search.

    Counted is what early stopping would have generated: the m whole, and of each of the others as much thinking as
    the m-th had, or its own if that is less.

    Args:
        samples, kind: as in [`vote`].
        m, k (`int`): from 1 to k; from m up.

    Returns:
        `list[Row]`: as [`vote`].

    Raises:
        ValueError: as [`vote`], or `m` is not from 1 to k.

    Example:

    ```python
    >>> from s1_hf.methods import shortest_of
    >>> from s1_hf.results.rows import Row
    >>> samples = [Row("m", "s", "t", "p", i, n, 2, n < 25, "natural", extracted=str(n), total_tokens=n + 4)
    ...            for i, n in enumerate([30, 20, 50])]
    >>> row, = shortest_of(samples, m=1, k=3)
    >>> row.setting, row.extracted, row.thinking_tokens, row.total_tokens
    ('shortest 1 of 3', '20', 60, 64)

    ```
    """
    _check_pairs([(m, k)])
    rows = []
    for number, group in groups_of(samples, k):
        ordered = sorted(group, key=lambda row: (row.ended in UNCLOSED, row.thinking_tokens))
        first, others = ordered[:m], ordered[m:]
        spent = [min(row.thinking_tokens, first[-1].thinking_tokens) for row in others]
        if first[-1].ended in UNCLOSED:
            first, others, spent = ordered, [], []  # fewer than m finish: all run to their ends
        rows.append(
            replace(
                promising_nothing(elected_row(first[:m], kind)),
                method=SHORTEST,
                setting=f"shortest {m} of {k}",
                sample=number,
                tries=k,
                thinking_tokens=sum(row.thinking_tokens for row in first) + sum(spent),
                answer_tokens=sum(row.answer_tokens for row in first),
                total_tokens=sum(row.total_tokens for row in first) + sum(spent),
            )
        )
    return rows


def together(samples: Sequence[Row | Sample]) -> dict[str, Any]:
    """The columns of a row that count its samples and their tokens, which are all of these."""
    return {
        "tries": len(samples),
        "thinking_tokens": sum(one.thinking_tokens for one in samples),
        "answer_tokens": sum(one.answer_tokens for one in samples),
        "total_tokens": sum(one.total_tokens for one in samples),
    }


def groups_of(samples: Sequence[Row], k: int) -> Iterator[tuple[int, Sequence[Row]]]:
    """Disjoint groups of k samples of one problem, numbered within the problem."""
    check_counts("k", [k])
    of_problem: dict[tuple[str, str], list[Row]] = {}
    for row in samples:
        of_problem.setdefault((row.task, row.problem), []).append(row)
    for (_, problem), rows in of_problem.items():
        if len(rows) < k:
            raise ValueError(
                f"`samples` has to hold at least k={k} of each problem, but has {len(rows)} of {problem!r}."
            )
        rows.sort(key=lambda row: row.sample)
        yield from disjoint(rows, k)


def elected_row(voters: Sequence[Row], kind: AnswerKind) -> Row:
    """The row of the first who gave the answer given most often; the first of all, wrong, if none gave any."""
    groups = group_equivalent([row.extracted for row in voters], kind)
    if not groups:
        return voters[0]
    return voters[max(groups, key=len)[0]]  # the first of equals; groups stand in the order of their first members


def named(kind: str, point: Budget) -> str:
    """A method's name under one of its budgets."""
    return kind if point == NO_INTERVENTION else f"{kind}, {point.name}"


def _check_pairs(pairs: Any) -> None:
    listed = isinstance(pairs, Sequence) and all(isinstance(p, Sequence) and len(p) == 2 for p in pairs)
    good = listed and all(is_count(m) and is_count(k) and 1 <= m <= k for m, k in pairs)
    if not good or len(set(map(tuple, pairs))) < len(pairs):
        raise ValueError(f"`shortest` has to be made of different pairs (m, k) with 1 <= m <= k, but is {pairs!r}.")
