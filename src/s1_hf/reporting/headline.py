"""What the figures show, in a sentence for each task."""

from __future__ import annotations

from collections.abc import Sequence

from s1_hf.results.differences import Difference
from s1_hf.results.summaries import SettingSummary
from s1_hf.visible import shortened

_OF_NAME = 60  # characters


def headlines(settings: Sequence[SettingSummary], differences: Sequence[Difference]) -> list[str]:
    """For each task, which setting was right most often, how often, and how far that is from the reference.

    Of settings that were right equally often, the one that generated the fewest tokens.
    """
    tasks = dict.fromkeys(s.task for s in settings)
    return [_headline([s for s in settings if s.task == task], differences) for task in tasks]


def _headline(settings: Sequence[SettingSummary], differences: Sequence[Difference]) -> str:
    best = max(settings, key=lambda s: (s.accuracy, -s.all_tokens))
    task = shortened(best.task, _OF_NAME)
    several_methods = len({s.method for s in settings}) > 1
    name = _quoted(f"{best.method}, {best.setting}" if several_methods else best.setting)
    score = (
        f"{best.accuracy:.1f} % of {_answers(best)} (95 % interval {best.low:.1f} to {best.high:.1f}), "
        f"with {best.thinking_tokens:,.0f} thinking tokens on average"
    )
    if len(settings) == 1:
        return f"{f'On {task}, ' if task else ''}{name} was right on {score}."
    all_settings = f"Of {len(settings):,} settings{f' on {task}' if task else ''}"
    return f"{all_settings}, {name} was right most often: on {score}{_compared(best, differences)}."


def _compared(best: SettingSummary, differences: Sequence[Difference]) -> str:
    """How far the best setting is from the reference, if they can be compared."""
    own = (best.task, best.method, best.setting)
    found = next((d for d in differences if (d.task, d.method, d.setting) == own), None)
    if found is None:
        return ""
    reference = _quoted(found.reference)
    if found.low > 0:
        interval = f"95 % interval {found.low:.1f} to {found.high:.1f}"
        return f"; that is {found.points:.1f} points more than {reference} ({interval})"
    points = f"{found.points:+.1f} points, 95 % interval {found.low:+.1f} to {found.high:+.1f}"
    return f"; whether that is more than {reference}, these problems do not show ({points})"


def _answers(setting: SettingSummary) -> str:
    problems = f"{setting.problems:,} problem{'s' * (setting.problems != 1)}"
    return problems if setting.samples == 1 else f"the {setting.samples:,} answers to each of {problems}"


def _quoted(name: str) -> str:
    return f"\u201c{shortened(name, _OF_NAME)}\u201d"
