"""What the rows of a task come to: the numbers that lighteval gives too, by the same names."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from s1_hf.forcing.report import ENDED_NAMES
from s1_hf.tasks.votes import vote_scores

if TYPE_CHECKING:
    from s1_hf.results.rows import Row
    from s1_hf.tasks.task import Task

Reported = dict[str, list[Any]]
"""Of one problem: lists with a value for each of its samples."""

_REPORTED = ("thinking_tokens", "ended", "ends_ignored", "answer_tokens")


def scores_of(task: Task, rows: Sequence[Row]) -> dict[str, float]:
    """The numbers of one task under one setting.

    Args:
        rows (`Sequence[Row]`): its samples, problem after problem.

    Returns:
        `dict`: `accuracy`, or for a task with several samples what [`vote_scores`] gives, as means over problems;
        `_stderr` of each (absent for one problem); and what [`summary`] gives.
    """
    count = task.samples or 1
    of_problems = [rows[first : first + count] for first in range(0, len(rows), count)]
    values: dict[str, list[float]] = {}
    for own in of_problems:
        right = [row.correct for row in own]
        found = {"accuracy": float(right[0])}
        if task.samples is not None:
            found = vote_scores(right, [row.extracted for row in own], task.kind)
        for name, value in found.items():
            values.setdefault(name, []).append(value)
    scores: dict[str, float] = {}
    for name, of_name in values.items():
        scores |= _mean(name, of_name)
    return scores | summary([reported(own) for own in of_problems])


def reported(samples: Sequence[Any]) -> Reported:
    """What the rows, or reports, of one problem say of its samples."""
    return {name: [getattr(sample, name) for sample in samples] for name in _REPORTED}


def summary(reports: Sequence[Reported]) -> dict[str, float]:
    """What goes into the results of a task.

    Args:
        reports: one for each problem; every list in it has one value for each of its samples.

    Returns:
        `dict`: over all samples of all problems, `thinking_tokens` (mean), `_median` and `_max` of it, and its
        `_stderr` (of the mean over problems, as lighteval's own metrics have it; absent for one problem);
        `answer_tokens` and `ends_ignored` (means); and what share of the samples ended how: `ended_natural`,
        `ended_cut`, `ended_looped`, `ended_handed_over`, `ended_unfinished`, `ended_never_started`.

    Example:

    ```python
    >>> from s1_hf.evaluation.scores import summary
    >>> short = {"thinking_tokens": [10], "ended": ["natural"], "ends_ignored": [0], "answer_tokens": [3]}
    >>> long = {"thinking_tokens": [50], "ended": ["cut"], "ends_ignored": [2], "answer_tokens": [5]}
    >>> summary([short, long])["thinking_tokens"], summary([short, long])["ended_cut"]
    (30.0, 0.5)

    ```
    """
    every = {name: [value for report in reports for value in report[name]] for name in reports[0]}
    lengths, count = sorted(every["thinking_tokens"]), len(every["ended"])
    means = [sum(report["thinking_tokens"]) / len(report["thinking_tokens"]) for report in reports]
    values = _mean("thinking_tokens", means) | {"thinking_tokens": sum(lengths) / count}
    values["thinking_tokens_median"] = (lengths[(count - 1) // 2] + lengths[count // 2]) / 2
    values["thinking_tokens_max"] = float(lengths[-1])
    values |= {name: sum(every[name]) / count for name in ("answer_tokens", "ends_ignored")}
    ended = Counter(every["ended"])
    return values | {f"ended_{how}": ended[how] / count for how in ENDED_NAMES}


def _mean(name: str, values: Sequence[float]) -> dict[str, float]:
    """The mean, and its standard error, as lighteval has them."""
    mean = sum(values) / len(values)
    if len(values) < 2:
        return {name: mean}
    spread = sum((value - mean) ** 2 for value in values) / (len(values) - 1)
    return {name: mean, f"{name}_stderr": math.sqrt(spread) / math.sqrt(len(values))}
