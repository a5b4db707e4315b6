"""A scaling curve of the embedded task, from more and more of its problems."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from s1_hf import plots
from s1_hf.embedded.problems import held_out_sample
from s1_hf.engines.request import Request, seed_of
from s1_hf.plots.files import as_files
from s1_hf.results.rows import Problem, promises_of, row_of
from s1_hf.results.summaries import SettingSummary, summarize_settings

if TYPE_CHECKING:
    from s1_hf.engines.engine import Engine, Step
    from s1_hf.forcing.budget import Budget
    from s1_hf.results.rows import Row

AT_ONCE = 8
"""Problems between two points in time at which the curve is drawn."""

_DRAWING = threading.Lock()  # matplotlib's settings are those of the process


def problems_of(count: int, seed: int) -> list[Problem]:
    """Held-out problems of the embedded task."""
    drawn = held_out_sample(count, seed)
    return [Problem(f"{p.a},{p.p},{p.b},{p.q}", p.question, str(p.answer), "s1:embedded") for p in drawn]


def as_asked(request: Request, problem: Problem, seed: int) -> Request:
    """The request for a problem, drawn as in every other run with this `seed`."""
    return replace(request, task=problem.task, problem=problem.id, seed=seed_of(seed, problem.task, problem.id))


def grow(
    engine: Engine,
    problems: Sequence[tuple[Problem, Request]],
    settings: Sequence[Budget],
    tell: Callable[[list[SettingSummary]], Any],
    on_step: Step,
) -> None:
    """Ask problems under all settings, some at a time; the summaries of all until then are told."""
    rows: list[Row] = []
    of_id = {problem.id: problem for problem, _ in problems}
    for begin in range(0, len(problems), AT_ONCE):
        requests = [request for _, request in problems[begin : begin + AT_ONCE]]
        for batch in engine.sweep(requests, settings, on_step):
            for setting, finished in zip(settings, batch.of_settings, strict=True):
                for request, completion in finished:
                    row = row_of(
                        completion, of_id[request.problem], engine.tokenizer,
                        request=request, method="budget forcing", setting=setting.name, with_transcript=False,
                        **promises_of(setting),
                    )  # fmt: skip
                    rows.append(row)
        tell(summarize_settings(rows))


def drawing(settings: Sequence[SettingSummary]) -> bytes:
    """The curve, as SVG."""
    with _DRAWING:
        ax = plots.scaling([plots.ScalingPoint.of(setting) for setting in settings])
        return as_files(ax.figure, ["svg"])["svg"]  # type: ignore[arg-type]


def in_words(settings: Sequence[SettingSummary]) -> str:
    """The same for those who do not see it; the numbers stand in a table."""
    best = max(settings, key=lambda setting: setting.accuracy)
    return (
        f"Accuracy over mean thinking tokens of {len(settings)} budgets, on {best.problems} problems; the best is "
        f"{best.setting}, with {best.accuracy:.0f} % at {best.thinking_tokens:,.0f} tokens."
    )
