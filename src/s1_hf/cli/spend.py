"""`s1-hf spend`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from s1_hf._lazy import require
from s1_hf.cli import options as o
from s1_hf.cli.stopping import OpeningTokens, SweptIgnores, swept_rows
from s1_hf.cli.sweep import numbers
from s1_hf.cli.tables import show_summaries
from s1_hf.cli.terminal import console, messages, plain_errors
from s1_hf.engines.locking import exclusive
from s1_hf.files import inside
from s1_hf.records import read_json

if TYPE_CHECKING:
    from s1_hf.results.rows import Row


def spend(
    results: Annotated[Path, typer.Argument(help="Rows of a sweep over caps: a folder with rows, or such a file.")],
    *,
    totals: Annotated[
        str | None,
        typer.Option(help="Tokens for all problems together, separated by commas; by default eighths of the most."),
    ] = None,
    policies: Annotated[
        str | None, typer.Option(help="Of uniform, stability, confidence, oracle; all that can be by default.")
    ] = None,
    num_ignores: SweptIgnores = None,
    reserve: Annotated[
        int | None,
        typer.Option(help="The most tokens of an answer with what closes thinking; by default the rows' own.", min=0),
    ] = None,
    opening_tokens: OpeningTokens = 0,
    round_size: Annotated[int, typer.Option(help="How many problems think on together.", min=1)] = 8,
    answer_kind: Annotated[Literal["math", "choice"], typer.Option(help="Of the answers.")] = "math",
    formats: Annotated[str, typer.Option(help="File formats of the figure, separated by commas.")] = "png,svg",
    as_json: o.AsJson = False,
    output_dir: o.OutputDir = Path("spending"),
) -> None:
    """One total of tokens for a whole test set: who thinks longer? Replayed from a sweep, nothing is generated.

    The levels of thinking are the sweep's caps. Policies: uniform, all alike; stability, the least settled answers
    first; confidence, the least confident first (sweep with --confidence); oracle, which knows where a right answer
    is: no policy does better. Trial answers on the way are paid for, and no total is ever exceeded.

    Examples:

    s1-hf sweep embedded --tasks s1:embedded --max-samples 100 --max-thinking-tokens 16,32,48,64,80 --confidence

    s1-hf spend results --totals 4000,6000,8000
    """
    with plain_errors():
        require("matplotlib", "plot")
        _check_folder(output_dir)
        from s1_hf.methods import spend_rows
        from s1_hf.results.rows import load_rows, save_rows, write_about

        rows = swept_rows(load_rows(results), num_ignores)
        wanted = _policies(policies, rows)
        chosen = _totals(totals, rows)
        found = spend_rows(
            rows, chosen, wanted, reserve=reserve, opening_tokens=opening_tokens, round_size=round_size,
            kind=answer_kind,
        )  # fmt: skip
        facts = {
            "results": str(results), "totals": chosen, "policies": wanted, "num_ignores": num_ignores,
            "reserve": reserve, "opening_tokens": opening_tokens, "round_size": round_size, "answer_kind": answer_kind,
        }  # fmt: skip
        with exclusive(output_dir):
            figures = _draw(found, output_dir, [one.strip().lower() for one in formats.split(",")])
            save_rows(found, inside(output_dir, "rows.jsonl"))
            write_about(output_dir, **facts)
    show_summaries(found, as_json, figures=[str(path) for path in figures])
    if not as_json:
        for path in figures:
            console.print(str(path), highlight=False, soft_wrap=True)


def _check_folder(folder: Path) -> None:
    """Raises a `ValueError` if it holds rows that no replay brings back, such as those of the sweep itself."""
    about = folder / "about.json"
    ours = about.exists() and "policies" in read_json(about)
    if not ours and any((folder / f"rows.{ending}").exists() for ending in ("jsonl", "parquet")):
        raise ValueError(
            f"`--output-dir` has to be another folder: {folder} holds the rows of another command, which would be "
            "replaced."
        )


def _policies(given: str | None, rows: Sequence[Row]) -> list[Any]:
    if given is not None:
        return [one.strip() for one in given.split(",")]
    if any(row.confidence is not None for row in rows):
        return ["uniform", "stability", "confidence", "oracle"]
    messages.print(
        "The policy confidence is left out: these rows have none. Sweep again with --confidence.", soft_wrap=True
    )
    return ["uniform", "stability", "oracle"]


def _totals(given: str | None, rows: Sequence[Row]) -> list[int]:
    """By default eighths of what the largest cap takes for one answer to each problem."""
    if given is not None:
        return [number for number in numbers("--totals", given) if number is not None]
    largest = max(row.max_thinking_tokens or 0 for row in rows)
    whole = [row for row in rows if row.max_thinking_tokens == largest]
    most = sum(row.total_tokens for row in whole) // max(len({(row.task, row.sample) for row in whole}), 1)
    return sorted({max(most * part // 8, 1) for part in range(1, 9)})


def _draw(rows: Sequence[Row], folder: Path, formats: Sequence[str]) -> list[Path]:
    """One figure a task: accuracy over the tokens that were spent, with 95 % intervals."""
    from s1_hf.plots import Curve, compare
    from s1_hf.plots.files import FORMATS, as_files, save
    from s1_hf.results.summaries import summarize_settings

    if not set(formats) <= set(FORMATS):
        raise ValueError(f"`--formats` has to be some of {', '.join(FORMATS)}, but is {','.join(formats)!r}.")
    settings = summarize_settings(rows)
    paths = []
    for number, task in enumerate(dict.fromkeys(one.task for one in settings)):
        curves = []
        for method in dict.fromkeys(one.method for one in settings):
            own = [one for one in settings if (one.task, one.method) == (task, method)]
            curves.append(Curve(method, [(one.total_tokens, one.accuracy, one.low, one.high) for one in own]))
        figure: Any = compare(curves).figure
        name = "spending" if number == 0 else f"spending_{number + 1}"
        paths += save(as_files(figure, formats), folder, name)
    return paths
