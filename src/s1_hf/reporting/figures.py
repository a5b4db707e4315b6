"""Draws the figures that the rows allow."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import zip_longest
from typing import TYPE_CHECKING

import numpy as np

from s1_hf import plots
from s1_hf.plots import style
from s1_hf.results.rows import Row
from s1_hf.results.summaries import MethodSummary, SettingSummary
from s1_hf.visible import shortened

if TYPE_CHECKING:
    from s1_hf.plots.style import Axes, Figure


MOST_METHODS = 12
"""In one figure: more colours and lines cannot be told apart."""
MOST_SETTINGS = 40
"""Of one method in one figure: more points, rows and labels do not fit on a page."""
MOST_FIGURES = 60
"""In one report: each takes a fifth of a second."""

_FEW = 12  # settings, whose labels surely have room
_MOST_NAMED = 3  # tasks for which one reason is said one by one
_OF_NAME = 60  # characters of a name in such a reason
Name = tuple[str, str, str]  # of a setting: task, method, setting


@dataclass(frozen=True)
class Drawn:
    """A figure: the `name` of its files, what it is `about`, and a `caption` that says what it shows.

    Args:
        rows (`int`, defaults to 0): how many rows it has, if it has one for each setting.
    """

    name: str
    about: str
    caption: str
    figure: Figure
    rows: int = 0

    @property
    def is_wide(self) -> bool:
        """Whether it needs both columns of a page."""
        return self.figure.get_figwidth() > style.WIDTH


Wish = Callable[[], Drawn]  # a figure that can be drawn


def draw(
    rows: Sequence[Row], settings: Sequence[SettingSummary], methods: Sequence[MethodSummary]
) -> tuple[list[Drawn], list[str]]:
    """All figures, per task and some per method, and which were left out and why.

    A figure has to stay legible, and all of them together a matter of seconds: see `MOST_SETTINGS`, `MOST_METHODS`,
    `MOST_FIGURES`.
    """
    # 1. What can be drawn, and why other figures cannot.
    tokens = _thinking_tokens(rows)
    wishes: dict[str, list[Wish]] = {}
    reasons: dict[str, list[str]] = {}  # by reason, the tasks that it holds for
    for task in dict.fromkeys(s.task for s in settings):
        wishes[task] = []
        own = [s for s in settings if s.task == task]
        for one in _of_task(own, [m for m in methods if m.task == task], tokens):
            if isinstance(one, str):
                reasons.setdefault(one, []).append(task)
            else:
                wishes[task].append(one)
    left_out = [line for why, tasks in reasons.items() for line in _with_tasks(why, tasks)]
    # 2. As many as are allowed: the first of every task, then the second, and so on.
    in_turn = [wish for turn in zip_longest(*wishes.values()) for wish in turn if wish]
    chosen = in_turn[:MOST_FIGURES]
    if len(in_turn) > len(chosen):
        left_out.append(
            f"{len(in_turn) - MOST_FIGURES:,} of {len(in_turn):,} figures: {MOST_FIGURES} are drawn, the first of each "
            "task before the second of any. For the others, plot fewer tasks or methods at a time."
        )
    # 3. In the order of the tasks.
    return _named([wish() for of_task in wishes.values() for wish in of_task if wish in chosen]), left_out


def _with_tasks(why: str, tasks: Sequence[str]) -> list[str]:
    if len(tasks) > _MOST_NAMED:
        return [f"{len(tasks)} tasks: {why}"]
    return [f"{shortened(task, _OF_NAME)}: {why}" if task else why for task in tasks]


def _thinking_tokens(rows: Iterable[Row]) -> dict[Name, list[int]]:
    """By setting, of the answers that were found: without an answer there is no thinking to count."""
    found: dict[Name, list[int]] = {}
    for row in rows:
        if row.ended != "not_found":
            found.setdefault((row.task, row.method, row.setting), []).append(row.thinking_tokens)
    return found


def _of_task(
    settings: Sequence[SettingSummary], methods: Sequence[MethodSummary], tokens: Mapping[Name, Sequence[int]]
) -> Iterator[Wish | str]:
    shown = _best(methods)
    if len(shown) < len(methods):
        yield (
            f"{len(methods) - len(shown):,} of {len(methods):,} methods from the figures, which show the {len(shown)} "
            "with the best accuracy."
        )
    curves = []
    for method in shown:
        every = [s for s in settings if s.method == method.method]
        curves.append(_spread(every))
        if len(curves[-1]) < len(every):
            name = shortened(method.method, _OF_NAME)
            yield (
                f"{len(every) - len(curves[-1]):,} of {len(every):,} settings of {name} from the figures, which show "
                "the best one and others as far apart in thinking tokens as they can be."
            )
    sequential = [own for own in curves if _is_sequential(own)]
    alone: list[Wish | str] = [partial(_scaling, own) for own in sequential]
    if not alone:
        alone = ["no figure 'scaling', which needs two settings of one method, with thinking limited or ends ignored."]
    together = _methods(shown, curves, drawn=len(sequential))
    yield from [*together, *alone] if len(sequential) > 1 else [*alone, *together]
    for own in curves:
        yield from _thinking(own, tokens)


def _best(methods: Sequence[MethodSummary]) -> list[MethodSummary]:
    """At most `MOST_METHODS`, those with the best accuracy, in their order."""
    best = sorted(methods, key=lambda method: -method.performance)[:MOST_METHODS]
    return [method for method in methods if method in best]


def _spread(settings: Sequence[SettingSummary]) -> list[SettingSummary]:
    """At most `MOST_SETTINGS`: the best, then again and again the one that is farthest from those chosen."""
    if len(settings) <= MOST_SETTINGS:
        return list(settings)
    places = np.log2([max(1.0, s.thinking_tokens) for s in settings])
    distances = np.full(len(settings), np.inf)
    chosen = {int(np.argmax([s.accuracy for s in settings]))}
    last = next(iter(chosen))
    while len(chosen) < MOST_SETTINGS:
        distances = np.minimum(distances, np.abs(places - places[last]))
        distances[last] = -1  # settings may think equally long
        last = int(np.argmax(distances))
        chosen.add(last)
    return [settings[i] for i in sorted(chosen)]


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
    if len(settings) > _FEW:
        caption += " “+1”: one more setting in the same place. Settings without room for a label have none."
    return _drawn(ax, "scaling", settings, caption)


def _methods(
    methods: Sequence[MethodSummary], curves: Sequence[Sequence[SettingSummary]], drawn: int
) -> Iterator[Wish | str]:
    settings = [s for own in curves for s in own]
    spent = [s for s in settings if s.total_tokens > 0]
    if any(s.total_tokens <= 0 < s.thinking_tokens for s in settings):
        yield "no figure 'compare', because the rows do not say how many tokens were generated (`total_tokens`)."
    elif len(methods) == 1 and drawn:
        yield "no figure 'compare', because there is only one method, and 'scaling' shows it."
    elif not spent:
        yield "no figure 'compare', because nothing was generated."
    else:
        if idle := [s for s in settings if s not in spent]:
            names = ", ".join(f"{shortened(s.method, _OF_NAME)}: {s.setting}" for s in idle)
            yield f"settings from the figure 'compare' in which nothing was generated: {names}."
        some = [[s for s in own if s in spent] for own in curves]
        yield partial(_compare, spent, [own for own in some if own])
    if len(methods) > 1:
        yield partial(_performance, settings, methods)
    else:
        yield "no figure 'performance', because there is only one method."


def _performance(settings: Sequence[SettingSummary], methods: Sequence[MethodSummary]) -> Drawn:
    caption = (
        "The best accuracy of each method's settings (Performance), with Control in percent and Scaling in "
        "percentage points per doubling of thinking tokens. n/a: no limit is promised, or all think equally long."
    )
    return replace(_drawn(plots.performance(methods), "performance", settings, caption), about=settings[0].task)


def _compare(settings: Sequence[SettingSummary], curves: Sequence[Sequence[SettingSummary]]) -> Drawn:
    lines = []
    scored = any(s.scorer_tokens for s in settings)
    what = "generated, and read by reward models," if scored else "generated"
    for own in curves:
        single = [s for s in own if plots.ScalingPoint.of(s).kind != "both"] or own
        lines.append(plots.Curve(own[0].method, [(s.all_tokens, s.accuracy, s.low, s.high) for s in single]))
    caption = (
        f"Accuracy over mean tokens {what} per answer, including rejected samples and all voters; one "
        f"line per method. {_counts(settings)} Settings with both a limit and ignored ends are left out."
    )
    ax = plots.compare(lines, tokens="tokens with scorer" if scored else "tokens generated")
    return replace(_drawn(ax, "compare", settings, caption), about=settings[0].task)


def _thinking(settings: Sequence[SettingSummary], tokens: Mapping[Name, Sequence[int]]) -> Iterator[Wish | str]:
    name = shortened(settings[0].method, _OF_NAME)
    ways = {how for s in settings for how in s.ended}
    if len(ways) > 1:
        yield partial(_ended, settings)
    else:
        how = ways.pop().replace("_", " ")
        yield f"no figure 'ended' for {name}, because all thinking ended the same way: {how}."
    found = {s.setting: tokens.get((s.task, s.method, s.setting), ()) for s in settings}
    found = {setting: own for setting, own in found.items() if own}
    if found:
        yield partial(_lengths, settings, found)
    else:
        yield f"no figure 'lengths' for {name}, because no answer was found."


def _ended(settings: Sequence[SettingSummary]) -> Drawn:
    caption = f"How thinking ended, in percent of the answers. {_answers(settings)}."
    return _drawn(plots.ended({s.setting: s.ended for s in settings}), "ended", settings, caption, rows=len(settings))


def _lengths(settings: Sequence[SettingSummary], tokens: Mapping[str, Sequence[int]]) -> Drawn:
    caption = (
        f"Thinking tokens of the answers, one histogram per setting; the stroke marks the median. {_answers(settings)}."
    )
    if any(s.tries > 1 for s in settings):
        caption += " For a vote: the sum over its voters."
    return _drawn(plots.lengths(tokens), "lengths", settings, caption, rows=len(tokens))


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


def _drawn(ax: Axes, name: str, settings: Sequence[SettingSummary], caption: str, rows: int = 0) -> Drawn:
    about = ", ".join(filter(None, (settings[0].method, settings[0].task)))
    return Drawn(name, about, caption, ax.figure, rows)  # type: ignore[arg-type]


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
        drawn.figure.suptitle(style.label(drawn.about, 46, style.LARGE), fontsize=style.LARGE)
        drawn.figure.set_figheight(drawn.figure.get_figheight() + 0.2)  # so that the axes keep their size
        named.append(replace(drawn, name=unique))
    return named


def _file_name(text: str) -> str:
    return re.sub(r"[^A-Za-z0-9.]+", "-", text)[:60].strip("-.") or "other"
