"""`s1-hf plot`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from s1_hf._lazy import require
from s1_hf.cli import options as o
from s1_hf.cli.progress import counted
from s1_hf.cli.tables import show_summaries
from s1_hf.cli.terminal import console, messages, plain_errors, print_json

if TYPE_CHECKING:
    from s1_hf.reporting import WrittenReport
    from s1_hf.results.rows import Row


def plot(
    results: Annotated[
        Path, typer.Argument(help="A folder with rows.jsonl or rows.parquet, or such a file; or a CSV file, see above.")
    ],
    output_dir: Annotated[
        Path | None, typer.Option(help="Folder for the files; that of the results by default.")
    ] = None,
    formats: Annotated[str, typer.Option(help="File formats of the figures, separated by commas.")] = "png,svg",
    colors: Annotated[
        str | None,
        typer.Option(help="Colours of the figures instead of our own, names or #rrggbb, separated by commas."),
    ] = None,
    as_json: o.AsJson = False,
) -> None:
    """Draw figures of results, and write report.html: what they show, tables and transcripts in one page.

    A CSV file with the columns name, examples, accuracy (in percent), and perhaps low and high, is drawn as accuracy
    over the number of training examples: sample_efficiency.

    Examples:

    s1-hf plot results

    s1-hf plot results/rows.parquet --output-dir figures --formats svg

    s1-hf plot results --colors "black,#d55e00,teal"

    s1-hf plot models.csv
    """
    with plain_errors():
        require("matplotlib", "plot")
        from s1_hf.plots.style import forget_own_settings
        from s1_hf.reporting import draw_models, load_about, write_report
        from s1_hf.results.rows import load_rows

        forget_own_settings(_listed(colors or ""))
        wanted = [name.lower() for name in _listed(formats)]
        folder = output_dir or (results if results.is_dir() else results.parent)
        if folder.exists() and not folder.is_dir():
            raise ValueError(f"`--output-dir` has to be a folder, but {folder} is a file.")
        if results.suffix == ".csv":
            _show_figures(draw_models(results, folder, wanted), as_json)
            return
        rows = load_rows(results)
        with counted() as tell:
            report = write_report(rows, folder, about=load_about(results), formats=wanted, progress=tell)
    _show_report(rows, report, as_json)


def _listed(text: str) -> list[str]:
    return [one.strip() for one in text.split(",") if one.strip()]


def _show_figures(paths: Sequence[Path], as_json: bool) -> None:
    if as_json:
        print_json({"figures": [str(path) for path in paths]}, indent=1)
        return
    for path in paths:
        console.print(str(path), highlight=False, soft_wrap=True)


def _show_report(rows: Sequence[Row], report: WrittenReport, as_json: bool) -> None:
    show_summaries(
        rows,
        as_json,
        differences=[asdict(difference) for difference in report.differences],
        headlines=list(report.headlines),
        left_out=list(report.left_out),
        figures=[str(path) for path in report.figures],
        report=str(report.page),
    )
    for why in report.left_out:
        messages.print(f"Left out: {why}", highlight=False, soft_wrap=True)
    if not as_json:
        for said in report.headlines:
            console.print(said, highlight=False, soft_wrap=True, markup=False)
        _show_figures([*report.figures, report.page], as_json)
