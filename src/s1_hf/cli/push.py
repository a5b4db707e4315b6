"""`s1-hf push`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich import box
from rich.table import Table
from rich.text import Text

from s1_hf._lazy import require
from s1_hf.cli import options as o
from s1_hf.cli.progress import counted
from s1_hf.cli.terminal import console, messages, plain_errors, print_json, print_table, quiet_libraries

if TYPE_CHECKING:
    from s1_hf.publishing import Plan, Pushed


def push(
    folder: Annotated[Path, typer.Argument(help="A model, a data set, a pack or results, as s1-hf wrote it.")],
    repo: Annotated[str, typer.Argument(help="Where to: NAME or OWNER/NAME. It is made if it is not there.")],
    private: Annotated[bool, typer.Option("--private", help="Make a new repository private.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what would go where. Nobody is asked.")] = False,
    revision: Annotated[str | None, typer.Option(help="A branch, made if it is not there.")] = None,
    create_pr: Annotated[bool, typer.Option("--create-pr", help="Open a pull request instead of committing.")] = False,
    eval_results_to: Annotated[
        str | None,
        typer.Option(help="Of results: propose their entries for the Hub to this model, by a pull request there."),
    ] = None,
    checkpoint: Annotated[
        bool, typer.Option("--checkpoint", help="Push the checkpoint of a training run, without its optimizer.")
    ] = False,
    as_json: o.AsJson = False,
) -> None:
    """Push a model, a data set, a pack or results to the Hub, with a card. Rerun the same command to resume.

    What the folder is follows from what is in it. A card is written where there is none; results also get report.html.
    Locks, ledgers, states of optimizers, hidden files, links and keys stay here. It is one commit: all of it, or
    nothing.
    The token is that of `hf auth login`, or HF_TOKEN.

    Examples:

    s1-hf push results my-name/s1-results --dry-run

    s1-hf push my-model my-name/my-model --private

    s1-hf push results my-name/s1-results --eval-results-to my-name/my-model
    """
    with plain_errors(resumes=True):
        require("huggingface_hub", "eval")
        require("yaml", "data")
        quiet_libraries()
        from s1_hf.publishing import plan_of
        from s1_hf.publishing import push as pushed_as

        plan = plan_of(folder, repo, checkpoint=checkpoint, eval_results_to=eval_results_to)
        if dry_run:
            if create_pr and revision is not None:
                raise ValueError("A pull request is to the main branch: leave out `--revision` or `--create-pr`.")
            pushed = None
        else:
            with counted() as tell:
                pushed = pushed_as(plan, private=private, revision=revision, create_pr=create_pr, progress=tell)
    if as_json:
        print_json(_as_json(plan, pushed), indent=1)
        return
    _show(plan, None if pushed is not None else "private" if private else "public")
    if pushed is None:
        messages.print("A dry run: nothing was written, and nobody was asked.", soft_wrap=True)
    else:
        _show_pushed(pushed)


def _show(plan: Plan, visibility: str | None) -> None:
    kind = "model" if plan.kind.repo_type == "model" else "data set"
    place = f"the {kind} {plan.repo} on the Hub"
    if visibility is not None:
        place += f" ({visibility}, if it is new)"
    console.print(Text(f"{plan.folder} ({plan.kind.name}) to {place}:"), soft_wrap=True)
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("file", overflow="fold")
    table.add_column("bytes", justify="right", no_wrap=True)
    table.add_column("", overflow="fold")
    for name, size in _to_go(plan).items():
        table.add_row(Text(name), "" if size is None else f"{size:,}", "" if size is not None else "will be written")
    for name, why in plan.files.stay.items():
        table.add_row(Text(name, style="dim"), "", Text(f"stays here: {why}", style="dim"))
    print_table(table)
    console.print(f"{len(_to_go(plan)):,} files, {plan.files.bytes:,} bytes", highlight=False)
    if plan.eval_results_to is not None:
        names = ", ".join(file.name for file in plan.entries)
        console.print(
            f"To the model {plan.eval_results_to}, as a pull request: {names}", soft_wrap=True, highlight=False
        )


def _to_go(plan: Plan) -> dict[str, int | None]:
    """The bytes of every file; of those that are still to be written, none."""
    from s1_hf.publishing.cards import CARD
    from s1_hf.publishing.uploading import REPORT

    files: dict[str, int | None] = dict(plan.files.go)
    if plan.card is not None:
        files[CARD] = None
    if plan.writes_report:
        files[REPORT] = None
    return dict(sorted(files.items()))


def _show_pushed(pushed: Pushed) -> None:
    if pushed.kept_card:
        messages.print(f"{pushed.repo} has a card that somebody wrote: it stays as it is.", soft_wrap=True)
    if pushed.proposed is not None:
        console.print(f"Proposed: {pushed.proposed}", soft_wrap=True, highlight=False)
    console.print(f"Pushed: {pushed.pull_request or pushed.url}", soft_wrap=True, highlight=False)


def _as_json(plan: Plan, pushed: Pushed | None) -> dict[str, Any]:
    from dataclasses import asdict

    found: dict[str, Any] = {"folder": str(plan.folder), "kind": plan.kind.name, "repo": plan.repo}
    found["repo_type"] = plan.kind.repo_type
    found |= {"files": _to_go(plan), "stay": plan.files.stay}
    return found | {"pushed": None if pushed is None else asdict(pushed)}
