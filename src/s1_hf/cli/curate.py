"""`s1-hf curate`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich import box
from rich.table import Table

from s1_hf._lazy import require
from s1_hf.cli.columns import Columns, named_columns
from s1_hf.cli.progress import phases
from s1_hf.cli.terminal import console, plain_errors, print_json, print_table

if TYPE_CHECKING:
    from s1_hf.curate import Stage


def curate(
    recipe: Annotated[str, typer.Argument(help="A recipe of the package (curate, curate_embedded) or a YAML file.")],
    input: Annotated[str, typer.Option(help="The pool: a file, a folder, or the name of a data set on the Hub.")],
    output_dir: Annotated[Path, typer.Option(help="A new folder for the data set.")],
    method: Annotated[
        str | None,
        typer.Option(help="algorithm_1, notebook, random, diverse, longest or full; the recipe's by default."),
    ] = None,
    n: Annotated[int | None, typer.Option(help="Rows to select; the recipe's by default.")] = None,
    seed: Annotated[int | None, typer.Option(help="Random seed for all draws; the recipe's by default.")] = None,
    column: Columns = None,
    compare: Annotated[
        str | None, typer.Option(help="With test questions: paper or normalized; the recipe's by default.")
    ] = None,
    paper_counts: Annotated[
        bool | None, typer.Option("--paper-counts", help="Show the paper's counts beside yours.")
    ] = None,
    num_proc: Annotated[int | None, typer.Option(help="Number of processes; the result is the same.")] = None,
    overwrite: Annotated[bool, typer.Option(help="Replace an earlier curation in that folder.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="The report as JSON instead of the table.")] = False,
) -> None:
    """Select a data set like s1K from a pool of questions with traces: by quality, difficulty and diversity.

    The folder can be trained on (s1-hf sft sft --dataset_path FOLDER) and has a dataset card and a report.

    Examples:

    s1-hf curate curate_embedded --input traces --output-dir my-lamps

    s1-hf curate curate --input pool.jsonl.gz --column question=problem --column reply=generation --output-dir mine
    """
    with plain_errors():
        require("datasets", "data")
        from dataclasses import replace

        import datasets

        from s1_hf.curate import curate as run
        from s1_hf.curate import read_recipe, save
        from s1_hf.curate.output import check_folder
        from s1_hf.traces.pool import load_pool

        if num_proc is not None and num_proc < 1:
            raise ValueError(f"`--num-proc` has to be 1 or more, but is {num_proc}.")
        options = read_recipe(recipe)
        options = options.changed(
            method=method, n=n, seed=seed, compare=compare, paper_counts=paper_counts,
            columns=options.columns.changed(named_columns(column)),
        )  # fmt: skip
        options = replace(options, domains=options.domains.beside(check_folder(output_dir, overwrite=overwrite)))
        datasets.disable_progress_bars()
        with phases("reading the pool") as begin:

            def show(stage: Stage) -> None:
                begin(f"{stage.name} has left {len(stage.rows):,} rows")

            curation = run(load_pool(input), options, num_proc=num_proc, on_stage=show)
            begin("writing")
            save(curation, output_dir, overwrite=overwrite)
    if as_json:
        print_json(curation.report, indent=1)
        return
    print_table(_table(curation.report))
    for stage in curation.report["stages"]:
        for note in stage["notes"]:
            console.print(f"{stage['stage']}: {note}", highlight=False, soft_wrap=True)
    console.print(f"{output_dir}: the data set, README.md, report.html", highlight=False, soft_wrap=True)


def _table(report: dict[str, Any]) -> Table:
    beside_paper = any(step["paper"] is not None for step in report["funnel"])
    title = f"{report['method']}, seed {report['seed']}"
    title += "; the paper's counts are of its own pool" if beside_paper else ""
    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("after", no_wrap=True)
    table.add_column("rows", justify="right", no_wrap=True)
    if beside_paper:
        table.add_column("the paper's", justify="right", no_wrap=True)
    table.add_column("dropped, by rule")
    rules = {stage["stage"]: stage["dropped"] for stage in report["stages"]}
    for step in report["funnel"]:
        dropped = rules.get(step["stage"], {})
        by_rule = ", ".join(f"{rule} {found['rows']:,}" for rule, found in dropped.items())
        paper = [f"{step['paper']:,}" if step["paper"] else ""] if beside_paper else []
        table.add_row(step["stage"], f"{step['rows']:,}", *paper, by_rule)
    return table
