"""The numbers of a report as tables of text, for both the page and the terminal."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from s1_hf.results.differences import Difference
from s1_hf.results.rows import ENDED
from s1_hf.results.summaries import MethodSummary, SettingSummary
from s1_hf.visible import in_markdown, shortened

One = TypeVar("One")

MOST_ROWS = 1_000
"""Of a table in the page."""
MOST_OF_NAME = 200
"""Characters of a name in the page."""


def clipped(text: str, most: int = MOST_OF_NAME) -> str:
    """A name as it is, or if it is too long its beginning."""
    return text if len(text) <= most else f"{text[:most]}…"


@dataclass(frozen=True)
class Table:
    """Text in rows and columns; the first `names` columns are names, the rest numbers."""

    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    names: int


def as_markdown(table: Table) -> list[str]:
    """The lines of a table in a card."""
    kinds = ["---"] * table.names + ["--:"] * (len(table.columns) - table.names)
    rows = [table.columns, kinds, *([in_markdown(shortened(text, 80)) for text in row] for row in table.rows)]
    return [f"| {' | '.join(row)} |" for row in rows]


def settings_table(settings: Sequence[SettingSummary], *, brief: bool = False) -> Table:
    """Tokens, accuracy with its interval, and how thinking ended, in percent of the answers.

    Args:
        brief (`bool`, defaults to `False`): fit settings of one task and method into 80 characters: leave out the
            method, all tokens, those of a scorer and ignored ends.
    """
    columns: dict[str, Callable[[SettingSummary], str]] = {
        "n": lambda s: f"{s.problems}" if s.samples == 1 else f"{s.problems} × {s.samples}",
        "thinking": lambda s: f"{s.thinking_tokens:,.0f}",
        "all tokens": lambda s: f"{s.total_tokens:,.0f}",
        "scorer tokens": lambda s: f"{s.scorer_tokens:,.0f}",
        "tries": lambda s: f"{s.tries:,.1f}",
        "acc. %": lambda s: f"{s.accuracy:.1f}",
        "95 %": lambda s: f"{s.low:.1f} to {s.high:.1f}",
        "ignored": lambda s: f"{s.ends_ignored:.2f}",
    }
    for how in ENDED:
        columns[how.replace("_", " ")] = lambda s, how=how: f"{100 * s.ended[how] / (s.problems * s.samples):.0f}"  # type: ignore[misc]
    if all(s.tries == 1 for s in settings):
        del columns["tries"]
    if brief or not any(s.scorer_tokens for s in settings):
        del columns["scorer tokens"]
    for how in ENDED:
        if not any(s.ended[how] for s in settings):
            del columns[how.replace("_", " ")]
    names: dict[str, Callable[[SettingSummary], str]] = {"method": lambda s: s.method, "setting": lambda s: s.setting}
    if brief:
        del names["method"], columns["all tokens"], columns["ignored"]
    return _table(settings, names, columns)


def methods_table(methods: Sequence[MethodSummary]) -> Table:
    """Control, Scaling and Performance, as in the paper's table 3."""
    columns: dict[str, Callable[[MethodSummary], str]] = {
        "settings": lambda m: f"{m.settings}",
        "Control %": lambda m: "n/a" if m.control is None else f"{m.control:.1f}",
        "Scaling": lambda m: "n/a" if m.scaling is None else f"{m.scaling:+.1f}",
        "Performance %": lambda m: f"{m.performance:.1f}",
    }
    return _table(methods, {"method": lambda m: m.method}, columns)


def differences_table(differences: Sequence[Difference]) -> Table:
    """Paired differences from the reference."""
    columns: dict[str, Callable[[Difference], str]] = {
        "n": lambda d: f"{d.problems}" if d.samples == 1 else f"{d.problems} × {d.samples}",
        "points": lambda d: f"{d.points:+.1f}",
        "95 %": lambda d: f"{d.low:+.1f} to {d.high:+.1f}",
        "p": lambda d: "< 0.001" if d.p < 0.001 else f"{d.p:.3f}",
    }
    names = {"method": lambda d: d.method, "setting": lambda d: d.setting, "compared with": lambda d: d.reference}
    return _table(differences, names, columns)


def _table(
    entries: Sequence[One],
    names: dict[str, Callable[[One], str]],
    columns: dict[str, Callable[[One], str]],
) -> Table:
    """With the task as the first column if there are several."""
    task: Callable[[One], str] = lambda one: one.task  # type: ignore[attr-defined]  # noqa: E731
    if len({task(one) for one in entries}) > 1:
        names = {"task": task} | names
    every = names | columns
    return Table(tuple(every), [[text(one) for text in every.values()] for one in entries], len(names))
