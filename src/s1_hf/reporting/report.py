"""A results folder as one page and its figures."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from s1_hf import __version__
from s1_hf.engines.locking import exclusive
from s1_hf.files import inside, write_text
from s1_hf.plots.files import FORMATS, as_files, save
from s1_hf.records import check, read_json
from s1_hf.reporting.figures import Drawn, draw
from s1_hf.reporting.headline import headlines
from s1_hf.reporting.html import Element, Node, element, page, picture
from s1_hf.reporting.layout import CSS
from s1_hf.reporting.tables import MOST_ROWS, Table, clipped, differences_table, methods_table, settings_table
from s1_hf.reporting.transcripts import MOST_CHARACTERS, choose, transcripts
from s1_hf.results.differences import MOST_COMPARED, Difference, paired_differences
from s1_hf.results.rows import Row
from s1_hf.results.summaries import RESAMPLES, MethodSummary, SettingSummary, summarize_methods, summarize_settings

MOST_OPEN = 12
"""Rows of a table, rows of a figure, and sentences that are shown at once; more are folded."""
_MOST_OF_REASON = 1_000  # characters, names of methods and tasks included
PAPER = "https://arxiv.org/abs/2501.19393"


@dataclass(frozen=True)
class WrittenReport:
    """What was written, what was left out and why, what the figures show in a sentence per task, and the numbers."""

    page: Path
    figures: Sequence[Path]
    headlines: Sequence[str]
    left_out: Sequence[str]
    settings: Sequence[SettingSummary]
    methods: Sequence[MethodSummary]
    differences: Sequence[Difference]


def write_report(
    rows: Sequence[Row],
    folder: str | Path,
    *,
    about: Mapping[str, Mapping[str, Any]] | None = None,
    formats: Sequence[str] = FORMATS,
    progress: Callable[[str, int, int], None] | None = None,
) -> WrittenReport:
    """Write `report.html`, which contains everything and loads nothing, and each figure as a file next to it.

    Args:
        rows (`Sequence[Row]`): of any methods, settings and tasks.
        folder (`str` or `Path`): created if needed; files with the same names are replaced.
        about (`Mapping`, *optional*): by run, what its `about.json` says; shown verbatim.
        formats (`Sequence[str]`, defaults to `("png", "svg")`): of the figures' files; may be empty.
        progress (`Callable`, *optional*): told what is done, and how many figures of how many.

    Raises:
        ValueError: there are no rows, a format is unknown, or for the reasons in [`summarize_settings`].
        ModuleNotFoundError: matplotlib is not installed. BlockingIOError: another process is writing into the folder.
    """
    if not rows or not set(formats) <= set(FORMATS):
        raise ValueError(
            f"`rows` has to contain at least one row, and `formats` only {', '.join(FORMATS)}, but there are "
            f"{len(rows)} rows, and the formats are {', '.join(formats) or 'none'}."
        )
    settings = _by_method(summarize_settings(rows))
    methods = summarize_methods(settings)
    differences = paired_differences(rows, settings)
    drawn, left_out = draw(rows, settings, methods)
    folder = Path(folder)
    files = []
    for number, one in enumerate(drawn, 1):
        files.append(as_files(one.figure, [*formats, "svg"]))
        if progress is not None:
            progress("drawing", number, len(drawn))
    figures = [_figure(one, contents["svg"]) for one, contents in zip(drawn, files, strict=True)]
    with exclusive(folder):
        paths: list[Path] = []
        for one, contents in zip(drawn, files, strict=True):
            paths += save({form: contents[form] for form in formats}, folder, one.name)
        said = headlines(settings, differences)
        report = WrittenReport(inside(folder, "report.html"), paths, said, left_out, settings, methods, differences)
        write_text(report.page, _page(report, rows, figures, about or {}))
    return report


def load_about(path: str | Path) -> dict[str, dict[str, Any]]:
    """By folder, each `about.json` in a results folder and its subfolders; for a file, the one next to it.

    Raises:
        ValueError: one of them is not a JSON object.
    """
    path = Path(path)
    root = path if path.is_dir() else path.parent
    files = sorted(root.rglob("about.json")) if path.is_dir() else [root / "about.json"]
    return {"" if f.parent == root else str(f.parent.relative_to(root)): _load(f) for f in files if f.exists()}


def _load(file: Path) -> dict[str, Any]:
    remedy = "Runs write this file; delete it if it is broken."
    try:
        about = read_json(file)
    except ValueError as error:
        raise ValueError(f"{error} {remedy}") from None
    check(about, {}, str(file), remedy=remedy)
    return dict(about)


def _by_method(settings: Sequence[SettingSummary]) -> list[SettingSummary]:
    """Settings grouped by method; methods and settings in order of first appearance."""
    places: dict[tuple[str, str], int] = {}
    for one in settings:
        places.setdefault((one.task, one.method), len(places))
    return sorted(settings, key=lambda one: places[one.task, one.method])


def _page(
    report: WrittenReport, rows: Sequence[Row], figures: Sequence[Element], about: Mapping[str, Mapping[str, Any]]
) -> str:
    sections: dict[str, Sequence[Node]] = {
        "Figures": [element("div", *figures, class_="figures"), *_left_out(report.left_out)],
        "Settings": [*_table(settings_table(report.settings)), element("p", _settings_note(report), class_="note")],
        "Methods": [*_table(methods_table(report.methods)), *_no_control(report.methods)],
        "Differences": _differences(report.differences),
        "Transcripts": transcripts(choose(rows)),
        "Runs": _runs(about),
    }
    title = clipped(" · ".join(dict.fromkeys(row.task for row in rows if row.task)) or "results")
    links = [element("a", name, href=f"#{name.lower()}") for name in sections]
    body = [element("section", element("h2", name), *content, id=name.lower()) for name, content in sections.items()]
    made = f"Written by s1-hf {__version__}. The page loads nothing and runs nothing."
    heading = (element("h1", f"Test-time scaling: {title}"), *_headlines(report.headlines), element("nav", *links))
    return page(f"{title} · s1-hf", CSS, element("main", *heading, *body), element("footer", element("p", made)))


def _headlines(headlines: Sequence[str]) -> Iterator[Element]:
    said = [element("p", one, class_="headline") for one in headlines]
    yield from said[:MOST_OPEN]
    if len(said) > MOST_OPEN:
        yield _folded(f"{len(said) - MOST_OPEN:,} more tasks", said[MOST_OPEN:])


def _folded(summary: str, content: Sequence[Node]) -> Element:
    return element("details", element("summary", summary), *content)


def _table(table: Table) -> Iterator[Element]:
    kinds = ["name"] * table.names + ["number"] * (len(table.columns) - table.names)
    head = [element("th", name, class_=kind, scope="col") for name, kind in zip(table.columns, kinds, strict=True)]
    rows = [
        element("tr", *(element("td", clipped(text), class_=kind) for text, kind in zip(row, kinds, strict=True)))
        for row in table.rows[:MOST_ROWS]
    ]
    whole = element("table", element("thead", element("tr", *head)), element("tbody", *rows))
    shown = element("div", whole, class_="scroll")
    yield shown if len(rows) <= MOST_OPEN else _folded(f"All {len(table.rows):,} rows", [shown])
    if len(table.rows) > MOST_ROWS:
        said = f"Left out: {len(table.rows) - MOST_ROWS:,} of {len(table.rows):,} rows. `s1-hf plot --json` has all."
        yield element("p", said, class_="note")


def _settings_note(report: WrittenReport) -> str:
    kind = "Wilson"
    if any(s.samples > 1 for s in report.settings):
        kind += f" for one answer per problem, otherwise bootstrap over problems, {RESAMPLES:,} resamples, seed 0"
    scored = ""
    if any(s.scorer_tokens for s in report.settings):
        scored = ", all rows of a search, and not what its reward model has read, which are scorer tokens"
    return (
        "n: problems (× answers to each). thinking, all tokens: means per answer; all tokens includes rejected tries "
        f"and all voters{scored}. 95 %: interval of the accuracy, {kind}. ignored: mean number of ends of thinking "
        "that were ignored. The last columns: how thinking ended, in percent of the answers."
    )


_METHODS_NOTE = (
    "From the ",
    element("a", "paper's", href=PAPER),
    " equations 1 to 3. Control: of the settings that promise a limit, the share whose mean keeps it. Scaling: mean "
    "slope between settings, in percentage points per doubling of thinking tokens (log2); it says little if settings "
    "think for nearly the same length. Performance: accuracy of the best setting. n/a: no setting promises a limit, or "
    "none of those that do ever thinks; "
    "or all think equally long, or one does not think at all.",
)


def _no_control(methods: Sequence[MethodSummary]) -> Iterator[Element]:
    yield element("p", *_METHODS_NOTE, class_="note")
    for why in dict.fromkeys(method.no_control for method in methods if method.no_control):
        yield element("p", why, class_="note")


def _differences(differences: Sequence[Difference]) -> list[Node]:
    if not differences:
        return [element("p", "No two settings of one task have the same problems and the same number of answers.")]
    note = (
        "Accuracy minus that of another setting on the same problems, in percentage points: first of each setting "
        "minus the reference (no intervention, or the task's first setting), then, where a task has at most "
        f"{MOST_COMPARED} settings, of all other pairs; `s1-hf compare` compares any two. 95 %: paired "
        f"bootstrap over problems, {RESAMPLES:,} resamples, seed 0. p: exact paired "
        "test (McNemar's for one answer per problem), two-sided, not corrected for the number of settings."
    )
    return [*_table(differences_table(differences)), element("p", note, class_="note")]


def _left_out(reasons: Sequence[str]) -> list[Element]:
    said = [element("p", f"Left out: {clipped(why, _MOST_OF_REASON)}", class_="note") for why in reasons]
    return [_folded(f"What was left out, and why ({len(said):,})", said)] if said else []


def _figure(drawn: Drawn, svg: bytes) -> Element:
    caption = f"{clipped(drawn.about)}. {drawn.caption}"
    shown = element("div", picture(svg, alt=caption), class_="scroll")
    if drawn.rows > MOST_OPEN:
        shown = _folded(f"Show all {drawn.rows:,} settings", [shown])
    return element("figure", shown, element("figcaption", caption), class_="wide" if drawn.is_wide else "narrow")


def _runs(about: Mapping[str, Mapping[str, Any]]) -> list[Node]:
    if not about:
        return [element("p", "There is no about.json: model, command, seeds and versions are unknown.")]
    found: list[Node] = []
    for name, facts in about.items():
        pairs = []
        for key, value in facts.items():
            pairs.append(element("dt", clipped(str(key))))
            pairs.append(element("dd", clipped(_fact(value), MOST_CHARACTERS)))
        found += [element("h3", clipped(name)), element("dl", *pairs)] if name else [element("dl", *pairs)]
    return found


def _fact(value: Any) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {_fact(one)}" for key, one in value.items())
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
