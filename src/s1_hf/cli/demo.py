"""`s1-hf demo`."""

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.text import Text

from s1_hf._lazy import require
from s1_hf.cli import options as o
from s1_hf.cli.progress import counted, progress_bar
from s1_hf.cli.tables import show_summaries
from s1_hf.cli.terminal import STYLES, console, messages, plain_errors, quiet_loading

if TYPE_CHECKING:
    from s1_hf.results.rows import Row


def demo(
    model: Annotated[
        str, typer.Argument(help="A folder with an embedded model that you trained; 'embedded' is the one shipped.")
    ] = "embedded",
    problems: Annotated[int, typer.Option(help="How many held-out problems to solve.")] = 100,
    seed: Annotated[int, typer.Option(help="Random seed for drawing problems and for sampling.")] = 0,
    output_dir: Annotated[Path, typer.Option(help="Folder for report.html, the figures and all answers.")] = Path(
        "s1-demo"
    ),
    track: o.Track = None,
    as_json: o.AsJson = False,
) -> None:
    """Run the paper's methods on the embedded toy model: a transcript, tables, figures and a report, in about a minute.

    Budget forcing at eight budgets in one pass, majority voting at equal tokens, rejection sampling, and prompts that
    name a number of tokens. Rerun the same command to resume.

    Example: s1-hf demo --problems 400 --output-dir results
    """
    with plain_errors(resumes=True):
        require("matplotlib", "plot")
        require("math_verify", "grade")
        import torch

        from s1_hf import embedded
        from s1_hf.cli import demonstration as show
        from s1_hf.cli.hosts import both, say_plainly
        from s1_hf.engines.locking import exclusive
        from s1_hf.methods import run_methods
        from s1_hf.plots.style import forget_own_settings
        from s1_hf.reporting import load_about, write_report
        from s1_hf.tracking import Tracked

        forget_own_settings()
        drawn = show.draw_problems(problems, seed)
        own = None if model == "embedded" else Path(model)
        if own is not None and not (own / "model.safetensors").is_file():
            raise ValueError(f"`MODEL` has to be a folder with a trained embedded model, but {own} has no weights.")
        if own is not None:
            _check_is_embedded(own)
        quiet_loading("embedded")
        torch.set_num_threads(1)  # a toy gains nothing by more, which on a busy machine wait for each other
        lamps, tokenizer = embedded.load(own or embedded.MODEL_PATH)
        messages.print(
            f"Embedded toy model ({lamps.num_parameters():,} parameters, taught to stop early and to continue after "
            f"Wait), {problems} held-out problems."
        )
        about = {"model": model, "problems": problems, "seed": seed, "methods": [one.settings for one in show.METHODS]}
        run = Tracked(track, output_dir, about, say_plainly)
        with exclusive(output_dir), run:
            with progress_bar() as tell:
                bench = show.bench(lamps, tokenizer, drawn, seed, both(tell, run.progress))
                rows = run_methods(show.METHODS, bench, output_dir)
            run.results(rows)
            with counted() as drawing:
                report = write_report(rows, output_dir, about=load_about(output_dir), progress=drawing)
        if not as_json:
            _show_transcript(show.showcase(rows))
        show_summaries(rows, as_json, report=str(report.page), figures=[str(path) for path in report.figures])
        messages.print(f"Figures, every answer and the report: {report.page}", soft_wrap=True)
        messages.print(_next(model, output_dir), soft_wrap=True, highlight=False, markup=False)


def _next(model: str, folder: Path) -> str:
    """Where to look next: commands that work as they stand, or on a model and questions of one's own."""
    from s1_hf.embedded import Problem

    question = Problem(2, 7, 3, 8).question
    lines = {
        "one question, as it is written": f'generate {shlex.quote(model)} "{question}" --num-ignores 1',
        "is the difference more than chance?": f'compare {shlex.quote(str(folder))} "2 ignores" "1 ignore"',
        "how another model opens and closes its thinking": "formats Qwen/Qwen3-8B",
        "its curve on your questions": "sweep Qwen/Qwen3-8B --tasks my.jsonl --max-thinking-tokens 500,2000,none",
        "an endpoint at which every request has its budget": "serve Qwen/Qwen3-8B",
        "the rest; in a checkout `make docs` builds the documentation": "--help",
    }
    return "\n".join(["Where to look next:", *(f"  # {said}\n  s1-hf {line}" for said, line in lines.items())])


def _check_is_embedded(folder: Path) -> None:
    """Another model would be loaded as if it were one, with weights at random where its own do not fit."""
    from transformers import AutoConfig

    from s1_hf import embedded

    found, wanted = (AutoConfig.from_pretrained(one, local_files_only=True) for one in (folder, embedded.MODEL_PATH))
    if (found.model_type, getattr(found, "vocab_size", None)) != (wanted.model_type, wanted.vocab_size):
        raise ValueError(
            f"`MODEL` has to be a folder with a trained embedded model, but {folder} is another one (a "
            f"{found.model_type}). To measure it: `s1-hf sweep {folder} --tasks ... --max-thinking-tokens ...`"
        )


def _show_transcript(row: "Row") -> None:
    console.rule(Text(f"one transcript, {row.setting}; [[forced tokens]] are marked"))
    console.print(row.question, style="bold", highlight=False)
    text = Text()
    for piece in row.transcript:
        if piece["forced"]:
            text.append(f"[[{piece['text']}]]", style=STYLES["forced"])
        else:
            text.append(piece["text"], style=STYLES["thinking"])
    console.print(text)
    console.print(f"right answer: {row.gold}", highlight=False)
    console.rule()
