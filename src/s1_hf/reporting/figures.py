"""Draws the figures that the rows allow."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from s1_hf import plots
from s1_hf.plots import style
from s1_hf.results.rows import Row
from s1_hf.results.summaries import MethodSummary, SettingSummary

if TYPE_CHECKING:
    from s1_hf.plots.style import Axes, Figure


@dataclass(frozen=True)
class Drawn:
    """A figure: the `name` of its files, what it is `about`, and a `caption` that says what it shows."""

    name: str
    about: str
    caption: str
    figure: Figure


def draw(
    rows: Sequence[Row], settings: Sequence[SettingSummary], methods: Sequence[MethodSummary]
) -> tuple[list[Drawn], list[str]]:
    """All figures, per task and some per method, and which were left out and why."""
    found, left_out = [], []
    for task in dict.fromkeys(s.task for s in settings):
        own = [s for s in settings if s.task == task]
        for one in _of_task(own, [m for m in methods if m.task == task], [row for row in rows if row.task == task]):
            if isinstance(one, str):
                left_out.append(f"{task}: {one}" if task else one)
            else:
                found.append(one)
    return _named(found), left_out


def _of_task(
    settings: Sequence[SettingSummary], methods: Sequence[MethodSummary], rows: Sequence[Row]
) -> Iterator[Drawn | str]:
    curves = [[s for s in settings if s.method == method.method] for method in methods]
    sequential = [own for own in curves if _is_sequential(own)]
    for own in sequential:
        yield _scaling(own)
    if not sequential:
        yield "no figure 'scaling', which needs two settings of one method, with thinking limited or ends ignored."
    yield from _methods(settings, methods, curves, drawn=len(sequential))
    for own in curves:
        yield from _thinking(own, [row for row in rows if row.method == own[0].method])


def _is_sequential(settings: Sequence[SettingSummary]) -> bool:
    """Whether single samples had their thinking shortened or extended."""
    changed = any(s.max_thinking_tokens is not None or s.ends_ignored > 0 for s in settings)
    return changed and len(settings) > 1 and all(s.tries == 1 for s in settings)


def _scaling(settings: Sequence[SettingSummary]) -> Drawn:
    ax = plots.scaling([plots.ScalingPoint.of(s) for s in settings])
    caption = (
        "Accuracy over mean thinking tokens, one point per setting, labelled with its limit and how many ends were "
        f"ignored (×). {_counts(settings)} Settings with both are not connected."
    )
    return _drawn(ax, "scaling", settings, caption)


def _methods(
    settings: Sequence[SettingSummary],
    methods: Sequence[MethodSummary],
    curves: Sequence[Sequence[SettingSummary]],
    drawn: int,
) -> Iterator[Drawn | str]:
    if any(s.total_tokens <= 0 for s in settings):
        yield "no figure 'compare', because the rows do not say how many tokens were generated (`total_tokens`)."
    elif len(methods) == 1 and drawn:
        yield "no figure 'compare', because there is only one method, and 'scaling' shows it."
    else:
        yield _compare(settings, curves)
    if len(methods) > 1:
        caption = (
            "The best accuracy of each method's settings (Performance), with Control in percent and Scaling in "
            "percentage points per doubling of thinking tokens. n/a: no limit is promised, or all think equally long."
        )
        yield replace(_drawn(plots.performance(methods), "performance", settings, caption), about=settings[0].task)
    else:
        yield "no figure 'performance', because there is only one method."


def _compare(settings: Sequence[SettingSummary], curves: Sequence[Sequence[SettingSummary]]) -> Drawn:
    lines = []
    for own in curves:
        single = [s for s in own if plots.ScalingPoint.of(s).kind != "both"] or own
        lines.append(plots.Curve(own[0].method, [(s.total_tokens, s.accuracy, s.low, s.high) for s in single]))
    caption = (
        "Accuracy over mean tokens generated per answer, including rejected samples and all voters; one line per "
        f"method. {_counts(settings)} Settings with both a limit and ignored ends are left out."
    )
    return replace(_drawn(plots.compare(lines), "compare", settings, caption), about=settings[0].task)


def _thinking(settings: Sequence[SettingSummary], rows: Sequence[Row]) -> Iterator[Drawn | str]:
    counts = {s.setting: s.ended for s in settings}
    ways = {how for ended in counts.values() for how in ended}
    answers = f"{_answers(settings)}."
    if len(ways) > 1:
        yield _drawn(
            plots.ended(counts), "ended", settings, f"How thinking ended, in percent of the answers. {answers}"
        )
    else:
        how = ways.pop().replace("_", " ")
        yield f"no figure 'ended' for {settings[0].method}, because all thinking ended the same way: {how}."
    found = [row for row in rows if row.ended != "not_found"]  # without an answer there is no thinking to count
    tokens = {s.setting: own for s in settings if (own := [r.thinking_tokens for r in found if r.setting == s.setting])}
    if not tokens:
        yield f"no figure 'lengths' for {settings[0].method}, because no answer was found."
        return
    caption = f"Thinking tokens of the answers, one histogram per setting; the stroke marks the median. {answers}"
    if any(s.tries > 1 for s in settings):
        caption += " For a vote: the sum over its voters."
    yield _drawn(plots.lengths(tokens), "lengths", settings, caption)


def _counts(settings: Sequence[SettingSummary]) -> str:
    samples = {s.samples for s in settings}
    kinds = ["Wilson"] * (1 in samples) + ["bootstrap over problems"] * (max(samples) > 1)
    return f"{_answers(settings)}; 95 % intervals: {' or '.join(kinds)}."


def _answers(settings: Sequence[SettingSummary]) -> str:
    problems, samples = {s.problems for s in settings}, {s.samples for s in settings}
    return f"n = {_range(problems)} problems, {_range(samples)} answer{'s' * (samples != {1})} each"


def _range(numbers: set[int]) -> str:
    low, high = min(numbers), max(numbers)
    return f"{low}" if low == high else f"{low} to {high}"


def _drawn(ax: Axes, name: str, settings: Sequence[SettingSummary], caption: str) -> Drawn:
    one = settings[0]
    return Drawn(name, f"{one.method}, {one.task}" if one.task else one.method, caption, ax.figure)  # type: ignore[arg-type]


def _named(figures: Sequence[Drawn]) -> list[Drawn]:
    """Give files distinct names: a figure that occurs once keeps the plain name, such as `scaling`.

    Distinct whatever their case: on macOS and Windows `a.png` and `A.png` are one file.
    """
    several = Counter(drawn.name for drawn in figures)
    used: set[str] = set()
    named = []
    for drawn in figures:
        name = drawn.name if several[drawn.name] == 1 else f"{drawn.name}-{_file_name(drawn.about)}"
        number = 2
        unique = name
        while unique.lower() in used:
            unique, number = f"{name}-{number}", number + 1
        used.add(unique.lower())
        drawn.figure.suptitle(style.label(drawn.about, 52), fontsize=style.LARGE)
        drawn.figure.set_figheight(drawn.figure.get_figheight() + 0.2)  # so that the axes keep their size
        named.append(replace(drawn, name=unique))
    return named


def _file_name(text: str) -> str:
    return re.sub(r"[^A-Za-z0-9.]+", "-", text)[:60].strip("-.") or "other"
