"""Choosing among N whole samples by how sure the model was of them."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import TYPE_CHECKING, get_args

from s1_hf.forcing.confidence import Confidence
from s1_hf.forcing.values import is_number
from s1_hf.methods.confidence.samples import (
    SamplingMethod,
    check_percent,
    check_positive,
    row_among,
    sample_of,
    warn_about_window,
)
from s1_hf.methods.confidence.traces import Measure, measure, reaches, threshold
from s1_hf.methods.method import check_samples, disjoint
from s1_hf.methods.parallel import named
from s1_hf.methods.search.electing import elected

if TYPE_CHECKING:
    from s1_hf.methods.bench import Bench
    from s1_hf.methods.confidence.samples import Sample
    from s1_hf.results.rows import Problem, Row


_LARGEST = 700  # e to this power is a float


@dataclass(frozen=True, kw_only=True)
class Offline(SamplingMethod):
    """Of N samples each there are disjoint groups, which are the `sample`s of the rows, as in [`vote`]."""

    samples: int | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        check_samples(self.samples, self.widths)

    @property
    @abstractmethod
    def measured(self) -> Confidence:
        """What is measured of every token."""

    @abstractmethod
    def chosen(self, samples: Sequence[Sample]) -> int:
        """The index of the sample whose answer is given."""

    def check(self, bench: Bench) -> None:
        bench.check(bench.problems, self.grid(), confidence=self.measured)

    def answers(self, bench: Bench) -> int:
        return self.samples or max(self.widths)

    def rows(self, bench: Bench, problems: Sequence[Problem]) -> list[Row]:
        # 1. The samples of each problem.
        of_problems: dict[tuple[str, str], list[Sample]] = {}
        count = self.answers(bench)
        for _, problem, request, done in bench.answers(problems, self.grid(), samples=count, confidence=self.measured):
            own = of_problems.setdefault((problem.task, problem.id), [])
            own.append(sample_of(bench, problem, request, done))
        # 2. The choices among them.
        rows = []
        for width in self.widths:
            for samples in of_problems.values():
                for number, group in disjoint(samples, width):
                    rows.append(
                        row_among(
                            bench, group, self.chosen(group), number=number, method=self.names[0],
                            setting=f"width {width}",
                        )
                    )  # fmt: skip
        return rows


@dataclass(frozen=True, kw_only=True)
class DeepConf(Offline):
    """DeepConf's offline vote (https://arxiv.org/abs/2508.15260): only the surest samples vote, weighted by how sure.

    Of the samples that gave an answer those vote whose measure reaches the `100 - eta` percentile, which is looked up
    between two samples as in the paper's code; votes are weighted by the measure, see [`elected`]. Nothing is promised.

    Args:
        widths (`Sequence[int]`): N, each of which is a setting.
        eta (`float`, defaults to 10): the percentage of samples that vote; 90 keeps most, 100 all.
        measure (`str`, defaults to `"bottom"`): or `"average"`, `"lowest"`, `"tail"`, see [`measure`].
        window (`int`, defaults to 2048): tokens of a group, and of a tail.
        top (`int`, defaults to 20): how many of the most likely tokens make up the confidence of one, see
            [`Confidence`].
        samples (`int`, *optional*): of each problem, if more than the largest N.
        point ([`Budget`]): caps, minimums and ignores.

    Raises:
        ValueError: a value is out of range.

    Example:

    ```python
    >>> from s1_hf import embedded
    >>> from s1_hf.methods import Bench, DeepConf, problems_of
    >>> model, tokenizer = embedded.load()
    >>> bench = Bench(model=model, tokenizer=tokenizer, problems=problems_of("s1:embedded", max_samples=1),
    ...               max_new_tokens=150, max_answer_tokens=12)
    >>> row, = DeepConf(widths=[4], eta=50, window=16).run(bench)
    >>> row.method, row.setting, row.tries
    ('DeepConf, top 50 % by bottom', 'width 4', 4)

    ```
    """

    eta: float = 10
    measure: Measure = "bottom"
    window: int = 2048
    top: int = 20

    def __post_init__(self) -> None:
        super().__post_init__()
        check_percent("eta", self.eta)
        check_positive("window", self.window)
        check_positive("top", self.top)
        if self.measure not in get_args(Measure):
            known = ", ".join(map(repr, get_args(Measure)))
            raise ValueError(f"`measure` has to be one of {known}, but is {self.measure!r}.")

    def check(self, bench: Bench) -> None:
        super().check(bench)
        if self.measure != "average":
            warn_about_window(self.window, bench.max_new_tokens, "sample", "every group is a whole one")

    @property
    def names(self) -> list[str]:
        return [named(f"DeepConf, top {self.eta:g} % by {self.measure}", self.point)]

    @property
    def measured(self) -> Confidence:
        return Confidence(self.top)

    def chosen(self, samples: Sequence[Sample]) -> int:
        values = [measure(one.trace, self.measure, self.window) for one in samples]
        answering = [value for one, value in zip(samples, values, strict=True) if one.extracted is not None]
        least = threshold(answering or values, self.eta)
        voters = [one.extracted if reaches(value, least) else None for one, value in zip(samples, values, strict=True)]
        return elected(voters, values, "weighted", samples[0].problem.kind)


@dataclass(frozen=True, kw_only=True)
class SelfCertainty(Offline):
    """Borda voting by self-certainty, or the best sample by it (https://arxiv.org/abs/2502.18581).

    A sample's self-certainty is the mean over all its tokens, answer included, of how far the model's law is from the
    uniform one: the divergence `-(1/V) * sum(log p) - log V`. The `log V` is left out here, which changes no rank. The
    sample of rank r, from 1, the surest first, has `(N - r + 1) ** power` votes for its answer; of equally sure ones
    the earlier is first. Nothing is promised.

    Args:
        widths (`Sequence[int]`): N, each of which is a setting.
        power (`float`, *optional*, defaults to 0.5): 0 is majority voting. `None`: no vote, the surest sample that gave
            an answer is taken.
        samples (`int`, *optional*): of each problem, if more than the largest N.
        point ([`Budget`]): caps, minimums and ignores.

    Raises:
        ValueError: a value is out of range.
    """

    power: float | None = 0.5

    def __post_init__(self) -> None:
        super().__post_init__()
        power = self.power
        if power is not None and (not is_number(power) or not 0 <= power < math.inf):
            raise ValueError(f"`power` has to be a number of at least 0, or None, but is {power!r}.")
        most = max(self.widths)
        if power is not None and (power + 1) * math.log(most) > _LARGEST:
            raise ValueError(f"`power` has to be smaller: {most} to the power of {power:g} votes are no number.")

    @property
    def names(self) -> list[str]:
        kind = "best by self-certainty" if self.power is None else f"Borda voting, power {self.power:g}"
        return [named(kind, self.point)]

    @property
    def measured(self) -> Confidence:
        return Confidence(None)

    def chosen(self, samples: Sequence[Sample]) -> int:
        certainties = [fmean(one.trace.values or [0]) for one in samples]
        answers, kind = [one.extracted for one in samples], samples[0].problem.kind
        if self.power is None:
            return elected(answers, certainties, "best", kind)
        return elected(answers, borda_votes(certainties, self.power), "weighted", kind)


def borda_votes(values: Sequence[float], power: float) -> list[float]:
    """How many votes each of N has: `(N - r + 1) ** power` for rank r, from 1; of equals the earlier one is first.

    Example:

    ```python
    >>> from s1_hf.methods.confidence.offline import borda_votes
    >>> borda_votes([0.2, 0.9, 0.2], power=2)
    [4, 9, 1]

    ```
    """
    ranked = sorted(range(len(values)), key=lambda i: -values[i])
    votes = {i: (len(values) - rank) ** power for rank, i in enumerate(ranked)}
    return [votes[i] for i in range(len(values))]
