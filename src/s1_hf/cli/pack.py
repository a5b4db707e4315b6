"""`s1-hf pack` and `s1-hf replay`."""

from collections.abc import Iterable
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from s1_hf._lazy import require
from s1_hf.cli import options as o
from s1_hf.cli.progress import counted
from s1_hf.cli.terminal import console, messages, plain_errors, print_json, quiet_loading
from s1_hf.visible import shortened

if TYPE_CHECKING:
    from s1_hf.packs import Replay
    from s1_hf.packs.asking import Rerun


def pack(
    results: Annotated[Path, typer.Argument(help="A folder with rows.jsonl or rows.parquet, or such a file.")],
    output_dir: Annotated[Path, typer.Option(help="Folder for the pack, beside the results.")],
    as_json: o.AsJson = False,
) -> None:
    """Pack a run's rows as a data set in the Hub's format, with all that it takes to replay them.

    Rows, settings, seeds, revisions, versions, tables, figures, a card, and a chain of hashes over the rows. Its head
    stands for all of them: publish it where nobody can change it. Upload it: s1-hf push.

    Examples:

    s1-hf pack results --output-dir packed

    s1-hf push packed my-name/packed
    """
    with plain_errors():
        require("matplotlib", "plot")
        from s1_hf.packs import pack as packed_as
        from s1_hf.plots.style import forget_own_settings

        forget_own_settings()
        with counted() as tell:
            packed = packed_as(results, output_dir, progress=tell)
    if as_json:
        print_json({"folder": str(packed.folder), "rows": packed.rows, "head": packed.head}, indent=1)
        return
    console.print(f"{packed.folder}: {packed.rows:,} rows", highlight=False, soft_wrap=True)
    console.print(f"head: {packed.head}", highlight=False, soft_wrap=True)


def replay(
    pack: Annotated[Path, typer.Argument(help="A folder that `s1-hf pack` has written.")],
    output_dir: Annotated[Path, typer.Option(help="Folder for report.html and the figures.")] = Path("replay"),
    rows: Annotated[int, typer.Option(help="How many answers are asked for again; 0: none.", min=0)] = 8,
    seed: Annotated[int, typer.Option(help="Random seed for drawing them.", min=0)] = 0,
    head: Annotated[str | None, typer.Option(help="The head of the chain, as it was published.")] = None,
    model: Annotated[str | None, typer.Option(help="The same model, by its name or folder here.")] = None,
    dtype: Annotated[str | None, typer.Option(help="float32, bfloat16 or float16, in place of the run's.")] = None,
    batch_size: Annotated[int, typer.Option(help="Answers generated together.", min=1)] = 1,
    as_json: o.AsJson = False,
) -> None:
    """Prove a pack on this machine: its rows, its tables and figures, and some of its answers token for token.

    A row that was changed, dropped, added or moved is named. Answers are drawn at random by --seed and asked for again
    with the model, prompt, budget and seeds that the rows name. Exit code 1: something does not agree.

    Examples:

    s1-hf replay packed --rows 20 --seed 7

    s1-hf replay packed --rows 0 --head 3f1c...
    """
    with plain_errors():
        require("matplotlib", "plot")
        if dtype not in (None, "auto", "float32", "bfloat16", "float16"):
            raise ValueError(f"`--dtype` has to be float32, bfloat16, float16 or auto, but is {dtype!r}.")
        from s1_hf.packs import replay as replayed
        from s1_hf.plots.style import forget_own_settings

        forget_own_settings()
        quiet_loading("embedded")
        with counted() as tell:
            options: Any = {"rows": rows, "seed": seed, "head": head, "model": model, "dtype": dtype}
            found = replayed(pack, output_dir, batch_size=batch_size, progress=partial(tell, "asking again"), **options)
    if as_json:
        print_json(asdict(found) | {"folder": str(found.folder), "agrees": found.agrees}, indent=1)
    else:
        _show(found, rows)
    if not found.agrees:
        raise typer.Exit(1)


def _show(found: "Replay", wanted: int) -> None:
    for name, faults in (("rows", found.changed), ("tables", found.tables)):
        _say(name, faults or ["as they were packed" if name == "rows" else "the same numbers"])
    figures = [f"{len(found.same_figures)} files with the same bytes"]
    if found.other_figures:
        figures += [f"others: {', '.join(found.other_figures)}"]
        figures += ["another version draws them" if found.draws_otherwise else "though the versions are the same"]
    _say("figures", figures)
    if wanted:
        _say("answers", [_in_words(rerun) for rerun in found.reruns] or ["no row says what was asked"])
    for library, (there, here) in found.versions.items():
        messages.print(f"{library}: {there} there, {here} here", highlight=False, soft_wrap=True)
    verdict = "It agrees." if found.agrees else "It does not agree."
    console.print(f"{verdict} {found.folder / 'report.html'}", highlight=False, soft_wrap=True)


def _say(name: str, lines: Iterable[str]) -> None:
    for line in lines:
        console.print(f"{name}: {line}", highlight=False, soft_wrap=True)


def _in_words(rerun: "Rerun") -> str:
    row = ", ".join(filter(None, (rerun.task, rerun.method, rerun.setting)))
    name = shortened(f"{row}, problem {rerun.problem}, sample {rerun.sample}", 120)
    if rerun.agrees:
        return f"{name}: the same tokens"
    return f"{name}: {'not asked' if rerun.agrees is None else 'DIFFERS'}. {rerun.why}"
