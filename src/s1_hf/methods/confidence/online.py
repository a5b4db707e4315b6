"""DeepConf online: samples are given up while they are written."""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from s1_hf.forcing.budget import BudgetWarning
from s1_hf.forcing.confidence import Confidence, losing_token
from s1_hf.forcing.values import is_number
from s1_hf.grading import group_equivalent
from s1_hf.methods.confidence.samples import (
    SamplingMethod,
    check_percent,
    check_positive,
    row_among,
    sample_of,
    warn_about_window,
)
from s1_hf.methods.confidence.traces import measure, reaches, threshold
from s1_hf.methods.parallel import named
from s1_hf.methods.search.electing import elected

if TYPE_CHECKING:
    from s1_hf.engines.request import Request
    from s1_hf.grading.extraction import AnswerKind
    from s1_hf.methods.bench import Bench
    from s1_hf.methods.confidence.samples import Sample
    from s1_hf.results.rows import Problem, Row


@dataclass(frozen=True, kw_only=True)
class DeepConfOnline(SamplingMethod):
    """DeepConf online (https://arxiv.org/abs/2508.15260, algorithm 2): unsure samples are given up, a clear vote ends.

    1. The first `warmup` samples are written whole. The threshold is the `100 - eta` percentile of their lowest group
       confidences.
    2. Further samples are given up while they think, with the first group below the threshold, see [`Confidence`].
    3. Those vote that reach the threshold, warm-up included, weighted by their lowest group confidences. It ends when
       the share of the leading answer reaches `consensus`, or with N samples, those that were given up included.

    All tokens count, of samples that were given up, too. Where we differ from the paper: a sample is not given up in
    its answer, but whoever falls below the threshold there does not vote either; samples are written in rounds of
    `round_size`, in the order of their numbers, and all of a round vote, so that a result depends neither on batches
    nor on who finishes first; and where nobody who gave an answer reaches the threshold, all that gave one vote.
    Nothing is promised.

    Args:
        widths (`Sequence[int]`): N, each of which is a setting. The samples of a smaller N are the first of a larger.
        eta (`float`, defaults to 10): 10 is the paper's DeepConf-low, 90 its DeepConf-high.
        window (`int`, defaults to 2048): tokens of a group.
        warmup (`int`, defaults to 16): samples of the warm-up; all N, if that is fewer.
        consensus (`float`, *optional*, defaults to 0.95): `None`: always N samples.
        round_size (`int`, defaults to 8): samples between two looks at the vote.
        top (`int`, defaults to 20): see [`Confidence`].
        point ([`Budget`]): caps, minimums and ignores.

    Raises:
        ValueError: a value is out of range.

    Example:

    ```python
    >>> from s1_hf import embedded
    >>> from s1_hf.methods import Bench, DeepConfOnline, problems_of
    >>> model, tokenizer = embedded.load()
    >>> bench = Bench(model=model, tokenizer=tokenizer, problems=problems_of("s1:embedded", max_samples=1),
    ...               max_new_tokens=150, max_answer_tokens=12)
    >>> row, = DeepConfOnline(widths=[6], warmup=2, window=16, consensus=None).run(bench)
    >>> row.method, row.setting, row.tries
    ('DeepConf online, top 10 %', 'width 6', 6)

    ```
    """

    eta: float = 10
    window: int = 2048
    warmup: int = 16
    consensus: float | None = 0.95
    round_size: int = 8
    top: int = 20

    def __post_init__(self) -> None:
        super().__post_init__()
        check_percent("eta", self.eta)
        for name in ("window", "warmup", "round_size", "top"):
            check_positive(name, getattr(self, name))
        share = self.consensus
        if share is not None and (not is_number(share) or not 0 < share <= 1):
            raise ValueError(f"`consensus` has to be a share above 0 and at most 1, or None, but is {share!r}.")

    @property
    def names(self) -> list[str]:
        return [named(f"DeepConf online, top {self.eta:g} %", self.point)]

    def check(self, bench: Bench) -> None:
        bench.check(bench.problems, self.grid(), confidence=Confidence(self.top))
        cap = self.point.max_thinking_tokens
        longest = min(bench.max_new_tokens, cap) if isinstance(cap, int) else bench.max_new_tokens
        warn_about_window(self.window, longest, "thinking", "no sample is given up")
        if max(self.widths) <= self.warmup:
            warnings.warn(
                f"`warmup` {self.warmup} is no less than the largest of `widths`, {max(self.widths)}, so that no "
                "sample is given up. Make it smaller, or add a larger width.",
                BudgetWarning,
                stacklevel=2,
            )

    def answers(self, bench: Bench) -> int:
        return max(self.widths) * (bench.samples or 1)

    def chunk(self, bench: Bench) -> int:
        return bench.batch_size // math.gcd(bench.batch_size, self.round_size)

    def rows(self, bench: Bench, problems: Sequence[Problem]) -> list[Row]:
        # 1. A draw for each width, problem and number.
        draws = []
        for width in self.widths:
            for problem in problems:
                for number in range(bench.samples or 1):
                    draws.append((number, Draw(self, self._requests(bench, problem, number * width, width))))
        # 2. Round after round, all of them together; draws of several widths share samples.
        problem_of = {(problem.task, problem.id): problem for problem in problems}
        samples: dict[str, Sample] = {}
        while asked := {request.key: request for _, draw in draws for request in draw.asked}:
            for key, done in bench.complete(list(asked.values())).items():
                request = asked[key]
                samples[key] = sample_of(bench, problem_of[request.task, request.problem], request, done)
            for _, draw in draws:
                draw.take([samples[request.key] for request in draw.asked])
        # 3. The answers.
        return [self._row(bench, draw, number) for number, draw in draws]

    def replayed(self, bench: Bench, samples: Mapping[tuple[str, str], Sequence[Sample]]) -> list[Row]:
        """The rows that [`run`] would give, from whole samples, of which nothing is generated again.

        Args:
            samples (`Mapping`): by task and problem, as many as the widths and the bench's samples need, in the order
                of their numbers; measured with the same `top`.
        """
        rows = []
        for width in self.widths:
            for of_problem in samples.values():
                for number in range(bench.samples or 1):
                    whole = of_problem[number * width : (number + 1) * width]
                    draw = Draw(self, [one.request for one in whole])
                    while draw.asked:
                        next_ones = whole[len(draw.samples) :][: len(draw.asked)]
                        pairs = zip(next_ones, draw.asked, strict=True)
                        draw.take([_as_far(one, request) for one, request in pairs])
                    rows.append(self._row(bench, draw, number))
        return rows

    def _requests(self, bench: Bench, problem: Problem, first: int, count: int) -> list[Request]:
        (budget,) = bench.budgets([self.point])
        numbers = range(first, first + count)
        plain = Confidence(self.top)
        return [bench.request(problem, budget=budget, sample=i, sampled=True, confidence=plain) for i in numbers]

    def _row(self, bench: Bench, draw: Draw, number: int) -> Row:
        setting = f"width {draw.width}"
        return row_among(bench, draw.samples, draw.elected, number=number, method=self.names[0], setting=setting)


class Draw:
    """The samples of one problem, as they are drawn.

    Args:
        requests (`Sequence[Request]`): of all N samples, in the order of their numbers, none of which is given up.

    Attributes:
        samples (`list[Sample]`): that were drawn.
        asked (`list[Request]`): of the next round; none when it has ended.
    """

    def __init__(self, method: DeepConfOnline, requests: Sequence[Request]) -> None:
        self._method, self._requests = method, list(requests)
        self._least: float | None = None  # the threshold, after the warm-up
        self._lowest: list[float] = []  # of each sample
        self.samples: list[Sample] = []
        self.asked: list[Request] = self._requests[: method.warmup]

    @property
    def width(self) -> int:
        """N."""
        return len(self._requests)

    def take(self, samples: Sequence[Sample]) -> None:
        """What was asked, in the same order."""
        method = self._method
        self.samples += samples
        self._lowest += [measure(one.trace, "lowest", method.window) for one in samples]
        if self._least is None:
            self._least = threshold(self._lowest, method.eta)
        self.asked = []
        if not self._is_decided():
            waiting = self._requests[len(self.samples) :][: method.round_size]
            confidence = Confidence(method.top, window=method.window, below=self._least)
            self.asked = [replace(request, confidence=confidence) for request in waiting]

    @property
    def elected(self) -> int:
        """The index of the sample whose answer is given."""
        return elected(self._votes(), self._lowest, "weighted", self._kind)

    @property
    def _kind(self) -> AnswerKind:
        return self.samples[0].problem.kind

    def _votes(self) -> list[str | None]:
        """The answer that each sample votes for."""
        assert self._least is not None
        answers = [one.extracted for one in self.samples]
        pairs = list(zip(answers, self._lowest, strict=True))
        votes = [answer if reaches(lowest, self._least) else None for answer, lowest in pairs]
        return votes if any(vote is not None for vote in votes) else answers

    def _is_decided(self) -> bool:
        share = self._method.consensus
        if share is None:
            return False
        weights = [sum(self._lowest[i] for i in group) for group in group_equivalent(self._votes(), self._kind)]
        return sum(weights) > 0 and max(weights) >= share * sum(weights)


def _as_far(whole: Sample, request: Request) -> Sample:
    """A whole sample as far as it would have been written for this request."""
    confidence = request.confidence
    assert confidence is not None
    if confidence.below is None:
        return whole
    token = losing_token(confidence, whole.trace.values, whole.trace.runs)
    return whole if token is None else whole.given_up(token)
