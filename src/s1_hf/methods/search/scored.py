"""Methods that choose by a scorer, and the one that needs whole answers only."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Any, get_args

from s1_hf.forcing.budget import NO_INTERVENTION, Budget
from s1_hf.forcing.values import is_number
from s1_hf.grading import grade
from s1_hf.methods.method import Method, check_counts, check_samples, disjoint
from s1_hf.methods.parallel import named
from s1_hf.methods.search.electing import Election, check_election, elected
from s1_hf.methods.search.rewards import Asking, Rewards, rewards_of
from s1_hf.results.rows import Row, promising_nothing, row_of
from s1_hf.scoring.scorer import Aggregation

if TYPE_CHECKING:
    from s1_hf.methods.bench import Answer, Bench
    from s1_hf.results.rows import Problem
    from s1_hf.scoring import Scorer


@dataclass(frozen=True, kw_only=True)
class ScoredMethod(Method):
    """What methods with a scorer have in common, see [`Search`]."""

    scorer: Scorer
    widths: Sequence[int]
    election: Election = "best"
    aggregation: Aggregation = "last"
    separator: str = "\n\n"

    def __post_init__(self) -> None:
        check_counts("widths", self.widths)
        check_election(self.election)
        if self.aggregation not in get_args(Aggregation):
            known = ", ".join(map(repr, get_args(Aggregation)))
            raise ValueError(f"`aggregation` has to be one of {known}, but is {self.aggregation!r}.")
        if not isinstance(self.separator, str) or not self.separator:
            raise ValueError(f"`separator` has to be a text, such as '\\n\\n', but is {self.separator!r}.")

    @property
    def settings(self) -> dict[str, Any]:
        given = {one.name: getattr(self, one.name) for one in fields(self)}
        for name, value in given.items():
            if isinstance(value, Budget):
                given[name] = value.to_dict()
        return {"method": type(self).__name__, **given, "scorer": self.scorer.identity}

    def rewards(self, bench: Bench) -> Rewards:
        """What says how good rows are."""
        return rewards_of(Asking(self.scorer, self.aggregation, self.separator), bench)


@dataclass(frozen=True, kw_only=True)
class BestOfN(ScoredMethod):
    """The best of N samples by a scorer, or a vote among them that is weighted by it; nothing is searched.

    Every problem is sampled as many times as the largest N. Of N samples each there are disjoint groups, which are the
    `sample`s of the rows, as in [`vote`]; their samples are those of [`Parallel`] and generated once for both.

    Args:
        scorer ([`Scorer`]): of steps or of answers.
        widths (`Sequence[int]`): N, each of which is a setting. A single sample is not scored.
        election (`str`): `"best"` or `"weighted"`, see [`elected`]. For the majority there is [`Parallel`].
        samples (`int`, *optional*): of each problem, if more than the largest N.
        aggregation (`str`): which number an answer has, see [`aggregate`].
        separator (`str`): what ends a step.
        point ([`Budget`]): caps, minimums and ignores.

    Raises:
        ValueError: a value is out of range.
    """

    samples: int | None = None
    point: Budget = NO_INTERVENTION

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.election == "majority":
            raise ValueError("`election` has to be 'best' or 'weighted' here; for the majority there is `Parallel`.")
        check_samples(self.samples, self.widths)

    @property
    def names(self) -> list[str]:
        return [named({"best": "best-of-N", "weighted": "weighted voting"}[self.election], self.point)]

    def grid(self) -> list[Budget]:
        return [self.point]

    def check(self, bench: Bench) -> None:
        bench.check(bench.problems, self.grid())

    def answers(self, bench: Bench) -> int:
        return self.samples or max(self.widths)

    def rows(self, bench: Bench, problems: Sequence[Problem]) -> list[Row]:
        of_problems: dict[tuple[str, str], list[Answer]] = {}
        for answer in bench.answers(problems, self.grid(), samples=self.answers(bench)):
            of_problems.setdefault((answer.problem.task, answer.problem.id), []).append(answer)
        rewards = self.rewards(bench)
        rows = []
        for width in self.widths:
            for answers in of_problems.values():
                for number, group in disjoint(answers, width):
                    rows.append(replace(self._row(bench, group, rewards), sample=number))
        return rows

    def _row(self, bench: Bench, group: Sequence[Answer], rewards: Rewards) -> Row:
        problem = group[0].problem
        verdicts = [grade(one.completion, problem.gold, problem.kind) for one in group]
        values, tokens = [0.0], 0
        if len(group) > 1:
            values, tokens = rewards.of(problem, [one.completion for one in group])
        index = elected([verdict.extracted for verdict in verdicts], values, self.election, problem.kind)
        best, verdict = group[index], verdicts[index]
        row = row_of(
            best.completion, problem, bench.runner.tokenizer, request=best.request, method=self.names[0],
            setting=f"width {len(group)}", graded=(verdict.correct, verdict.extracted), tries=len(group),
            total_tokens=sum(len(one.completion.token_ids) for one in group), scorer_tokens=tokens,
        )  # fmt: skip
        return replace(
            promising_nothing(row),
            thinking_tokens=sum(one.completion.report.thinking_tokens for one in group),
            answer_tokens=sum(one.completion.report.answer_tokens for one in group),
        )


def check_temperature(value: object) -> None:
    """Raises a `ValueError` unless it is a number above 0."""
    if not is_number(value) or not 0 < float(value) < math.inf:  # type: ignore[arg-type]
        raise ValueError(f"`temperature` has to be a number above 0, but is {value!r}.")
