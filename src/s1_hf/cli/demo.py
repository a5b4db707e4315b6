"""`s1-hf demo`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.text import Text

from s1_hf._lazy import require
from s1_hf.cli import options as o
from s1_hf.cli.progress import progress_bar
from s1_hf.cli.tables import show_summaries
from s1_hf.cli.terminal import STYLES, console, messages, plain_errors, quiet_loading

if TYPE_CHECKING:
    from s1_hf.results.rows import Row


def demo(
    problems: Annotated[int, typer.Option(help="How many held-out problems are solved.")] = 100,
    seed: Annotated[int, typer.Option(help="Which problems are drawn, and the draws of what is sampled.")] = 0,
    output: Annotated[Path, typer.Option(help="Folder for report.html, the figures and all answers.")] = Path(
        "s1-demo"
    ),
    model: Annotated[
        Path | None, typer.Option(help="A folder with an embedded model that you trained; none: the one shipped.")
    ] = None,
    as_json: o.AsJson = False,
) -> None:
    """Run the paper's methods on the embedded toy model: a transcript, tables, figures and a report, in about a minute.

    Budget forcing at eight budgets in one pass, majority voting at equal tokens, rejection sampling, and prompts that
    name a number of tokens. Run again, it goes on where it stopped.

    Example: s1-hf demo --problems 400 --output results
    """
    with plain_errors(resumes=True):
        require("matplotlib", "plot")
        require("math_verify", "grade")
        import torch

        from s1_hf import embedded
        from s1_hf.cli import demonstration as show
        from s1_hf.methods import run_methods
        from s1_hf.reporting import load_about, write_report

        drawn = show.draw_problems(problems, seed)
        if model is not None and not (model / "model.safetensors").is_file():
            raise ValueError(f"`--model` has to be a folder with a trained embedded model, but {model} has no weights.")
        quiet_loading("embedded")
        torch.set_num_threads(1)  # a toy gains nothing by more, which on a busy machine wait for each other
        lamps, tokenizer = embedded.load(model or embedded.MODEL_PATH)
        messages.print(
            f"Embedded toy model ({lamps.num_parameters():,} parameters, taught to stop early and to go on after Wait),"
            f" {problems} held-out problems."
        )
        with progress_bar() as tell:
            rows = run_methods(show.METHODS, show.bench(lamps, tokenizer, drawn, seed, tell), output)
        report = write_report(rows, output, about=load_about(output))
        if not as_json:
            _show_transcript(show.showcase(rows))
        show_summaries(rows, as_json, report=str(report.page), figures=[str(path) for path in report.figures])
        messages.print(f"Figures, every answer and the report: {report.page}", soft_wrap=True)


def _show_transcript(row: "Row") -> None:
    console.rule(Text(f"one transcript, {row.setting}; [[forced tokens]] are marked"))
    console.print(row.question, style="bold", markup=False, highlight=False)
    text = Text()
    for piece in row.transcript:
        if piece["forced"]:
            text.append(f"[[{piece['text']}]]", style=STYLES["forced"])
        else:
            text.append(piece["text"], style=STYLES["thinking"])
    console.print(text)
    console.print(f"right answer: {row.gold}", highlight=False)
    console.rule()
