"""Adaptive self-consistency: sample one after the other, and stop when the vote is decided."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any, Literal, get_args

from s1_hf.forcing.budget import NO_INTERVENTION, Budget
from s1_hf.forcing.values import is_count, is_number
from s1_hf.grading import group_equivalent
from s1_hf.methods.method import Method, check_counts, check_point
from s1_hf.methods.parallel import elected_row, groups_of, named, together
from s1_hf.methods.rejection import CHUNK_BATCHES
from s1_hf.metrics import beta_lead, dirichlet_lead
from s1_hf.results.rows import Row, promising_nothing, row_of

if TYPE_CHECKING:
    from s1_hf.engines.request import Request
    from s1_hf.grading.extraction import AnswerKind
    from s1_hf.methods.bench import Bench
    from s1_hf.results.rows import Problem

Decision = Literal["beta", "dirichlet"]
"""Which rule decides a vote: see [`s1_hf.metrics.beta_lead`] and [`s1_hf.metrics.dirichlet_lead`]."""


@dataclass(frozen=True)
class Adaptive(Method):
    """Adaptive self-consistency (https://arxiv.org/abs/2305.11860): votes among as many samples as it takes.

    Each problem is sampled in the order of the samples' numbers, `round_size` at a time, until the vote is decided or
    there are as many samples as there may be. After every sample, in that order, the vote so far is looked at; with the
    first at which the chance that its leader is the most likely answer is at least `threshold`, it is decided.

    Decisions look only at whole prefixes 1, ..., n of the numbers, and never at who has finished first. So neither
    lengths, batches nor the size of rounds change who votes, and the law of the answer is that of sampling one by one.
    Voting on what finishes first, as many do, favours answers with short thinking, and leaves the tokens of cancelled
    samples out; for that there is [`shortest_of`], which says so. A larger round only generates more than is needed;
    all of that is counted.

    The samples are those of [`Parallel`]. A problem is voted on as many times as the bench has `samples`, each time
    among others. Nothing is promised.

    Args:
        most (`Sequence[int]`): the most samples, each of which is a setting.
        rule (`str`, defaults to `"beta"`): `"beta"` compares the two leading answers, `"dirichlet"` all of them.
        threshold (`float`, defaults to 0.95): above 1/2, below 1.
        round_size (`int`, defaults to 1): samples of a problem that are generated together.
        point ([`Budget`]): caps, minimums and ignores.

    Raises:
        ValueError: a value is out of range.
    """

    most: Sequence[int]
    rule: Decision = "beta"
    threshold: float = 0.95
    round_size: int = 1
    point: Budget = NO_INTERVENTION

    def __post_init__(self) -> None:
        check_counts("most", self.most)
        _check_rule(self.rule, self.threshold, self.round_size)
        check_point(self.point)

    @property
    def names(self) -> list[str]:
        return [named(_KINDS[self.rule], self.point)]

    @property
    def settings(self) -> dict[str, Any]:
        return {"method": type(self).__name__, **asdict(self), "point": self.point.to_dict()}

    def grid(self) -> list[Budget]:
        return [self.point]

    def check(self, bench: Bench) -> None:
        bench.check(bench.problems, self.grid())

    def answers(self, bench: Bench) -> int:
        return max(self.most) * (bench.samples or 1)

    def chunk(self, bench: Bench) -> int:
        return CHUNK_BATCHES * bench.batch_size  # others take the places of problems that are decided

    def rows(self, bench: Bench, problems: Sequence[Problem]) -> list[Row]:
        # 1. The votes, and the samples that each may have.
        ballots: list[_Ballot] = []
        for most in self.most:
            for problem in problems:
                for number in range(bench.samples or 1):
                    requests = [self._request(bench, problem, number * most + i) for i in range(most)]
                    ballots.append(_Ballot(problem, number, requests))
        # 2. Round after round; votes of several sizes share samples.
        of_keys: dict[str, Row] = {}
        while open_ones := [ballot for ballot in ballots if self._is_open(ballot)]:
            wanted = {}
            for ballot in open_ones:
                for request in ballot.next(self.round_size):
                    wanted[request.key] = (request, ballot.problem)
            missing = {key: one for key, one in wanted.items() if key not in of_keys}
            done = bench.complete([request for request, _ in missing.values()])
            for key, (request, problem) in missing.items():
                of_keys[key] = row_of(
                    done[key], problem, bench.runner.tokenizer, request=request, method="samples", setting=""
                )
            for ballot in open_ones:
                ballot.rows += [of_keys[request.key] for request in ballot.next(self.round_size)]
        # 3. Their answers.
        rows = []
        for ballot in ballots:
            kind, most = ballot.problem.kind, len(ballot.requests)
            row = _outcome(ballot.rows, most, kind, self.rule, self.threshold)
            rows.append(replace(row, method=self.names[0], sample=ballot.number))
        return rows

    def _request(self, bench: Bench, problem: Problem, sample: int) -> Request:
        (budget,) = bench.budgets([self.point])
        return bench.request(problem, budget=budget, sample=sample, sampled=True)

    def _is_open(self, ballot: _Ballot) -> bool:
        if len(ballot.rows) == len(ballot.requests):
            return False
        return decided_at(ballot.rows, ballot.problem.kind, self.rule, self.threshold) is None


_KINDS = {"beta": "adaptive voting", "dirichlet": "adaptive voting, all answers"}


@dataclass(eq=False)
class _Ballot:
    """One vote, and its samples so far."""

    problem: Problem
    number: int
    requests: list[Request]

    def __post_init__(self) -> None:
        self.rows: list[Row] = []

    def next(self, count: int) -> list[Request]:
        """The samples of the next round."""
        return self.requests[len(self.rows) : len(self.rows) + count]


def adaptive_vote(
    samples: Sequence[Row],
    most: int,
    kind: AnswerKind = "math",
    *,
    rule: Decision = "beta",
    threshold: float = 0.95,
    round_size: int = 1,
) -> list[Row]:
    """What [`Adaptive`] makes of samples that are there already: replayed, it is the same row for row.

    Args:
        samples (`Sequence[Row]`), kind (`str`): as in [`vote`]; groups of `most` are made as there.
        most (`int`): the most samples of a vote.
        rule, threshold, round_size: as in [`Adaptive`].

    Returns:
        `list[Row]`: as [`vote`]; tokens and `tries` are of all samples that would have been generated: up to the one
        that decides the vote, and to the end of its round.

    Raises:
        ValueError: as [`vote`], or a value is out of range.

    Example:

    Four that agree are enough (1 - 1/32 is above 0.95):

    ```python
    >>> from s1_hf.methods import adaptive_vote
    >>> from s1_hf.results.rows import Row
    >>> samples = [Row("m", "s", "t", "p", i, 20, 2, True, "natural", extracted="7", total_tokens=25) for i in range(8)]
    >>> row, = adaptive_vote(samples, most=8)
    >>> row.setting, row.extracted, row.tries, row.total_tokens
    ('up to 8 votes', '7', 4, 100)
    >>> adaptive_vote(samples, most=8, round_size=3)[0].tries
    6

    ```
    """
    check_counts("most", [most])
    _check_rule(rule, threshold, round_size)
    rows = []
    for number, group in groups_of(samples, most):
        decided = decided_at(group, kind, rule, threshold) or most
        generated = min(-(-decided // round_size) * round_size, most)
        row = _outcome(group[:generated], most, kind, rule, threshold)
        rows.append(replace(row, sample=number))
    return rows


def decided_at(
    samples: Sequence[Row], kind: AnswerKind = "math", rule: Decision = "beta", threshold: float = 0.95
) -> int | None:
    """With how many of the samples, in their order, the vote is decided; `None` if not with all of them.

    Whoever gives no answer has no vote.
    """
    group_of: dict[int, int] = {}
    for number, members in enumerate(group_equivalent([row.extracted for row in samples], kind)):
        group_of |= dict.fromkeys(members, number)
    votes: dict[int, int] = {}
    for index in range(len(samples)):
        if index not in group_of:
            continue
        votes[group_of[index]] = votes.get(group_of[index], 0) + 1
        ranked = sorted(votes.values(), reverse=True)
        lead = beta_lead(*ranked[:2]) if rule == "beta" else dirichlet_lead(ranked)
        if lead >= threshold:
            return index + 1
    return None


def _outcome(generated: Sequence[Row], most: int, kind: AnswerKind, rule: Decision, threshold: float) -> Row:
    """The row of a vote of which so many samples were generated."""
    voters = generated[: decided_at(generated, kind, rule, threshold)]
    return replace(
        promising_nothing(elected_row(voters, kind)),
        method=_KINDS[rule],
        setting=f"up to {most} vote{'s' * (most > 1)}",
        **together(generated),
    )


def _check_rule(rule: Any, threshold: Any, round_size: Any) -> None:
    bad = []
    if rule not in get_args(Decision):
        bad.append(f"`rule` has to be 'beta' or 'dirichlet', but is {rule!r}.")
    if not is_number(threshold) or not 0.5 < threshold < 1:
        bad.append(f"`threshold` has to be a number above 0.5 and below 1, such as 0.95, but is {threshold!r}.")
    if not is_count(round_size) or round_size < 1:
        bad.append(f"`round_size` has to be an integer of at least 1, but is {round_size!r}.")
    if bad:
        raise ValueError(" ".join(bad))
