"""A sample with its answer and its trace, and the row of those that were chosen among."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Any

from s1_hf.forcing.budget import NO_INTERVENTION, Budget, BudgetWarning
from s1_hf.forcing.values import is_count, is_number
from s1_hf.grading import grade
from s1_hf.methods.confidence.traces import Trace, trace_of
from s1_hf.methods.method import Method, check_counts, check_point
from s1_hf.methods.parallel import together
from s1_hf.results.rows import Row, promising_nothing, row_of

if TYPE_CHECKING:
    from s1_hf.engines.request import Request
    from s1_hf.generation.chats import Completion
    from s1_hf.methods.bench import Bench
    from s1_hf.results.rows import Problem


@dataclass(frozen=True)
class Sample:
    """A completion that was measured, graded.

    Args:
        extracted (`str`, *optional*): its final answer.
        thinking_tokens, answer_tokens, total_tokens (`int`): that were generated; of one that is given up in a replay,
            those that would have been.
    """

    problem: Problem
    request: Request
    completion: Completion
    trace: Trace
    correct: bool
    extracted: str | None
    thinking_tokens: int
    answer_tokens: int
    total_tokens: int

    def given_up(self, token: int) -> Sample:
        """What it would have been, had it been given up with its token at this index."""
        after = sum(length > 0 for length in self.trace.runs.lengths[token + 1 :])
        return replace(
            self,
            trace=self.trace.until(token),
            correct=False,
            extracted=None,
            thinking_tokens=self.thinking_tokens - after,
            answer_tokens=0,
            total_tokens=token + 1,
        )


def sample_of(bench: Bench, problem: Problem, request: Request, completion: Completion) -> Sample:
    """A completion with its answer and its trace."""
    verdict = grade(completion, problem.gold, problem.kind)
    report = completion.report
    return Sample(
        problem=problem,
        request=request,
        completion=completion,
        trace=trace_of(completion, bench.automaton, request.prompt),
        correct=verdict.correct,
        extracted=verdict.extracted,
        thinking_tokens=report.thinking_tokens,
        answer_tokens=report.answer_tokens,
        total_tokens=len(completion.token_ids),
    )


def row_among(bench: Bench, samples: Sequence[Sample], index: int, *, number: int, method: str, setting: str) -> Row:
    """The row of a choice among samples of one problem: all tokens are theirs together, all else is the chosen one's.

    Args:
        index (`int`): of the chosen one.
        number (`int`): which of several independent choices it is.
    """
    best = samples[index]
    row = row_of(
        best.completion, best.problem, bench.runner.tokenizer, request=best.request, method=method, setting=setting,
        graded=(best.correct, best.extracted),
    )  # fmt: skip
    return replace(promising_nothing(row), sample=number, **together(samples))


@dataclass(frozen=True, kw_only=True)
class SamplingMethod(Method):
    """What methods that choose among N measured samples have in common."""

    widths: Sequence[int]
    point: Budget = NO_INTERVENTION

    def __post_init__(self) -> None:
        check_counts("widths", self.widths)
        check_point(self.point)

    def grid(self) -> list[Budget]:
        return [self.point]

    @property
    def settings(self) -> dict[str, Any]:
        given = {one.name: getattr(self, one.name) for one in fields(self)}
        return {"method": type(self).__name__, **given, "point": self.point.to_dict()}


def warn_about_window(window: int, longest: int, of: str, so: str) -> None:
    """Warns if nothing that it looks at, of at most so many tokens, can be as long as a group."""
    if window > longest:
        warnings.warn(
            f"`window` {window:,} is longer than any {of} here, of at most {longest:,} tokens, so that {so}. Make it "
            "smaller.",
            BudgetWarning,
            stacklevel=3,
        )


def check_percent(name: str, value: object) -> None:
    """Raises a `ValueError` unless it is a number above 0 and at most 100."""
    if not is_number(value) or not 0 < float(value) <= 100:  # type: ignore[arg-type]
        raise ValueError(f"`{name}` has to be a percentage above 0 and at most 100, such as 10, but is {value!r}.")


def check_positive(name: str, value: object) -> None:
    """Raises a `ValueError` unless it is an integer of at least 1."""
    if not is_count(value) or value < 1:  # type: ignore[operator]
        raise ValueError(f"`{name}` has to be an integer of at least 1, but is {value!r}.")
