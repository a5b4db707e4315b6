"""`s1-hf check`."""

from __future__ import annotations

import typing
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich import box
from rich.table import Table
from rich.text import Text

from s1_hf.cli import options as o
from s1_hf.cli.engines import Engine, engine_options
from s1_hf.cli.progress import counted
from s1_hf.cli.terminal import console, plain_errors, print_json, print_table, quiet_loading
from s1_hf.secrets import without_secrets

if TYPE_CHECKING:
    from s1_hf.conformance.findings import Finding
    from s1_hf.conformance.suite import Outcome

_COLOURS = {"passed": "green", "rounding": "green", "fault": "bold red", "measured": "", "not run": "dim"}


def check(
    context: typer.Context,
    model: Annotated[
        str | None, typer.Argument(help="Also check this one: a folder or a name on the Hub; 'embedded' is the toy.")
    ] = None,
    engine: Engine = "transformers",
    device: Annotated[
        str | None, typer.Option(help="cpu, cuda, cuda:1, mps, ...; the accelerator by default, if there is one.")
    ] = None,
    dtype: Annotated[
        typing.Literal["float32", "bfloat16", "float16"] | None,
        typer.Option(help="Of the weights; bfloat16 on CUDA and float32 elsewhere by default."),
    ] = None,
    attn_implementation: Annotated[
        str | None, typer.Option(help="Of transformers: sdpa, eager, flash_attention_2, ...; its choice by default.")
    ] = None,
    thinking_format: o.ThinkingFormat = None,
    thinking_start: o.ThinkingStart = None,
    thinking_close: o.ThinkingClose = None,
    force_start: o.ForceStart = False,
    seed: Annotated[int, typer.Option(help="Random seed of cases and draws.", min=0, max=2**32)] = 0,
    quick: Annotated[bool, typer.Option("--quick", help="Fewer cases and draws: seconds instead of minutes.")] = False,
    revision: o.Revision = "main",
    trust_remote_code: o.TrustRemoteCode = False,
    as_json: o.AsJson = False,
) -> None:
    """Prove on this machine that budget forcing does what its contract says, in a minute or two.

    Runs the conformance suite that the tests of this package use, on tiny random models and the embedded one, which no
    download is needed for: greedy rows beside a slow reference without a cache, with the rounding of low precision told
    apart from faults; the laws of sampling; seeds, budgets per row, padding, sweeps; and what a step costs. With a
    model also its format, its prompts and a transcript.

    Exit codes: 0, no fault; 1, a fault; 2, bad input. The JSON holds versions and figures, for an issue.

    Examples:

    s1-hf check

    s1-hf check Qwen/Qwen3-0.6B --dtype bfloat16

    s1-hf check --engine vllm --json > check.json
    """
    with plain_errors():
        if model is not None and model.startswith("-"):  # no model was named, and an option stands in its place
            context.args.insert(0, model)
            model = None
        options = engine_options(context, engine)
        if options and model is None:
            raise ValueError(f"Options of vLLM are for a model of yours, but none was named: {', '.join(options)}.")
        _check_device(device, engine)
        if attn_implementation is not None and engine == "vllm":
            raise ValueError("`--attn-implementation` is for transformers. Leave it out: vLLM has options of its own.")
        said = o.chosen_format(thinking_format, thinking_start, thinking_close, force_start)
        quiet_loading("embedded")
        from s1_hf.conformance.suite import check as run_suite

        with counted() as tell:
            outcome = run_suite(
                model,
                engine=engine,
                device=device,
                dtype=dtype,
                attn_implementation=attn_implementation,
                format=said,
                seed=seed,
                quick=quick,
                revision=revision,
                trust_remote_code=trust_remote_code,
                engine_options=options,
                on_progress=tell,
            )
    if as_json:
        print_json(_as_json(outcome, model), indent=1)
    else:
        _show(outcome)
    if outcome.has_fault:
        raise typer.Exit(1)


def _check_device(device: str | None, engine: str) -> None:
    import torch

    if device is None:
        return
    if engine == "vllm":
        raise ValueError("`--device` is for transformers: vLLM runs where it was built for. Leave it out.")
    try:
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        first = str(error).splitlines()[0]
        raise ValueError(f"`--device` has to be one that this torch can use, but {device!r} is not: {first}") from None


def _show(outcome: Outcome) -> None:
    about = outcome.about
    versions = ", ".join(f"{name} {number}" for name, number in about["versions"].items())
    said = f"{about['engine']} on {about['device']} ({about['device_name']}), {about['dtype']}; {versions}"
    console.print(Text(said), soft_wrap=True)
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("check", overflow="fold")
    table.add_column("verdict", no_wrap=True)
    table.add_column("what was found", overflow="fold")
    for finding in outcome.findings:
        table.add_row(
            Text(finding.name),
            Text(finding.verdict, style=_COLOURS[finding.verdict]),
            Text(_public(finding.what)),
        )
    print_table(table)
    faults = [finding.name for finding in outcome.findings if finding.verdict == "fault"]
    if faults:
        verdict = Text("Fault", style="bold red").append(f" in {', '.join(faults)}.", style="default not bold")
        more = " Please attach the output of the same command with --json to an issue."
        console.print(verdict.append(more, style="default not bold"), soft_wrap=True)
    else:
        console.print(Text("No fault.", style="bold green"))


def _as_json(outcome: Outcome, model: str | None) -> dict[str, Any]:
    return {
        "verdict": "fault" if outcome.has_fault else "passed",
        "model": None if model is None else _model_name(model),
        "about": outcome.about,
        "findings": [_finding(finding) for finding in outcome.findings],
    }


def _finding(finding: Finding) -> dict[str, Any]:
    what = _public(finding.what)
    return {"name": finding.name, "verdict": finding.verdict, "what": what, "figures": _scrubbed(finding.figures)}


def _scrubbed(value: Any) -> Any:
    """JSON types whose texts are fit to be shown to everybody."""
    if isinstance(value, dict):
        return {_public(str(name)): _scrubbed(one) for name, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [_scrubbed(one) for one in value]
    return _public(value) if isinstance(value, str) else value


def _public(text: str) -> str:
    """Without secrets, and without the names of the user's folder and of this one."""
    for folder, name in ((Path.cwd(), "."), (Path.home(), "~")):
        if len(str(folder)) > 1:
            text = text.replace(str(folder), name)
    return without_secrets(text)


def _model_name(model: str) -> str:
    """A name on the Hub; of a folder only the last part, as the others may name a person."""
    return Path(model).resolve().name if Path(model).exists() else model
