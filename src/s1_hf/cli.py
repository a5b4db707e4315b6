"""The command line: `s1-hf`. Needs the `cli` extra."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

try:
    import typer
    from rich import box
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
    from rich.table import Table
    from rich.text import Text
except ModuleNotFoundError as error:
    sys.exit(f"The command line needs `{error.name}`, which comes with an extra: pip install 's1-hf[cli,plot]'")

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

    from s1_hf.demo import Result
    from s1_hf.embedded.problems import Problem
    from s1_hf.generation import Completion

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)
console = Console()


@app.callback()
def about() -> None:
    """Test-time scaling for Hugging Face models: budget forcing after "s1: Simple test-time scaling"."""


@app.command()
def demo(
    problems: Annotated[int, typer.Option(help="How many held-out problems to solve at each setting.")] = 200,
    seed: Annotated[int, typer.Option(help="Which problems are drawn.")] = 0,
    output: Annotated[Path, typer.Option(help="Folder that scaling.png is written to.")] = Path(),
) -> None:
    """Run budget forcing on the embedded model: a table, one transcript and scaling.png, in one to two minutes.

    Example: s1-hf demo --problems 400 --output results
    """
    from s1_hf._lazy import require
    from s1_hf.demo import SETTINGS, draw_problems, evaluate, load, showcase

    try:
        require("matplotlib", "plot")
        test = draw_problems(problems, seed)
        output.mkdir(parents=True, exist_ok=True)
    except (ValueError, OSError, ModuleNotFoundError) as error:
        console.print(Text("Error: ", style="red").append(str(error), style="default"), soft_wrap=True)
        raise typer.Exit(2) from None
    from transformers.utils import logging

    logging.disable_progress_bar()  # of loading 1.7 MB
    model, tokenizer = load()
    console.print(
        f"Embedded toy model ({model.num_parameters():,} parameters, taught to stop early and to go on after Wait), "
        f"{problems} held-out problems, greedy decoding, CPU."
    )
    results = []
    columns = (TextColumn("{task.description:15}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console) as progress:
        task = progress.add_task("", total=problems * len(SETTINGS))
        for setting in SETTINGS:
            progress.update(task, description=setting.label)
            results.append(evaluate(model, tokenizer, test, setting, progress=lambda n: progress.advance(task, n)))
    _show_transcript(tokenizer, *showcase(results))
    console.print(_table(results))
    console.print(f"Accuracy over thinking tokens is drawn in {_draw(results, output / 'scaling.png')}")


def _show_transcript(tokenizer: PreTrainedTokenizerBase, problem: Problem, completion: Completion) -> None:
    text = Text()
    spans: list[tuple[bool, list[int]]] = []
    for token, forced in zip(completion.token_ids, completion.forced, strict=True):
        if not spans or spans[-1][0] != forced:
            spans.append((forced, []))
        spans[-1][1].append(token)
    for forced, ids in spans:
        piece = str(tokenizer.decode(ids, skip_special_tokens=False))
        text.append(f"[[{piece}]]" if forced else piece, style="bold red" if forced else "dim")
    console.rule(Text("one transcript; [[forced tokens]] are marked"))
    console.print(problem.question, style="bold", markup=False, highlight=False)
    console.print(text)
    console.print(f"right answer: {problem.answer}", highlight=False)
    console.rule()


def _table(results: list[Result]) -> Table:
    title = f"{len(results[0].problems)} problems, 95 % Wilson intervals; how thinking ended, in problems"
    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("setting", no_wrap=True)
    for name in ("tokens", "acc. %", "interval", "natural", "cut", "unfinished"):
        table.add_column(name, justify="right", no_wrap=True)
    for result in results:
        point, ended = result.point, result.ended
        table.add_row(
            result.setting.label,
            f"{point.thinking_tokens:.0f}",
            f"{point.accuracy:.1f}",
            f"{point.low:.1f} - {point.high:.1f}",
            *(str(ended[how]) for how in ("natural", "cut", "unfinished")),
        )
    return table


def _draw(results: list[Result], path: Path) -> Path:
    from matplotlib.figure import Figure

    from s1_hf.plots import scaling

    figure = Figure(figsize=(5.2, 3.6), layout="constrained")  # drawn without a window or a global backend
    axes = scaling([result.point for result in results], figure.add_subplot())
    axes.set_title(f"Budget forcing on the embedded toy, n = {len(results[0].problems)}, 95 % intervals", fontsize=9)
    figure.savefig(path, dpi=200)
    return path


def main() -> None:
    """Entry point of `s1-hf`."""
    try:
        app()
    except KeyboardInterrupt:
        console.print("Interrupted.")
        sys.exit(130)


if __name__ == "__main__":
    main()
