"""`s1-hf demo`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich import box
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from s1_hf.cli.terminal import console, plain_errors

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

    from s1_hf.demo import Result
    from s1_hf.embedded.problems import Problem
    from s1_hf.generation import Completion


def demo(
    problems: Annotated[int, typer.Option(help="How many held-out problems to solve at each setting.")] = 200,
    seed: Annotated[int, typer.Option(help="Which problems are drawn.")] = 0,
    output: Annotated[Path, typer.Option(help="Folder that scaling.png is written to.")] = Path(),
    model: Annotated[
        Path | None, typer.Option(help="A folder with an embedded model that you trained; none: the one shipped.")
    ] = None,
) -> None:
    """Run budget forcing on the embedded model: a table, one transcript and scaling.png, in one to two minutes.

    Example: s1-hf demo --problems 400 --output results
    """
    from s1_hf import embedded
    from s1_hf._lazy import require
    from s1_hf.demo import SETTINGS, draw_problems, evaluate, showcase

    with plain_errors():
        require("matplotlib", "plot")
        test = draw_problems(problems, seed)
        output.mkdir(parents=True, exist_ok=True)
        if model is not None and not (model / "model.safetensors").is_file():
            raise ValueError(f"`--model` has to be a folder with a trained embedded model, but {model} has no weights.")
    from transformers.utils import logging

    logging.disable_progress_bar()  # of loading 1.7 MB
    lamps, tokenizer = embedded.load(model or embedded.MODEL_PATH)
    console.print(
        f"Embedded toy model ({lamps.num_parameters():,} parameters, taught to stop early and to go on after Wait), "
        f"{problems} held-out problems, greedy decoding, CPU."
    )
    results = []
    columns = (TextColumn("{task.description:15}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console) as progress:
        task = progress.add_task("", total=problems * len(SETTINGS))
        for setting in SETTINGS:
            progress.update(task, description=setting.label)
            results.append(evaluate(lamps, tokenizer, test, setting, progress=lambda n: progress.advance(task, n)))
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
