"""`s1-hf plan`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich import box
from rich.table import Table
from rich.text import Text

from s1_hf._lazy import require
from s1_hf.cli import options as o
from s1_hf.cli.terminal import console, plain_errors, print_json, print_table

if TYPE_CHECKING:
    from s1_hf.memory import Machine, MemoryPlan, Suggestion, Training

_COLOURS = {"fits": "green", "tight": "yellow", "does not fit": "red"}


@dataclass(frozen=True)
class _Answer:
    """What is shown."""

    model: str
    config_from: str
    training: Training
    machine: Machine
    plan: MemoryPlan
    longest: int
    disk: int
    suggestions: list[Suggestion]


def plan(
    context: typer.Context,
    recipe: Annotated[str, typer.Argument(help="A recipe's name or path.")],
    machine: Annotated[str, typer.Option(help="A machine's name or the path of an accelerate config.")],
    max_length: Annotated[int | None, typer.Option(help="Tokens of the longest row, in place of the recipe's.")] = None,
    gpu_memory: Annotated[
        float | None, typer.Option(help="GiB of one GPU; by default as the machine's name says.")
    ] = None,
    as_json: o.AsJson = False,
) -> None:
    """Say whether a recipe fits into a machine's memory, and what to change. Loads no weights.

    Any field of the recipe may follow. Exit code 0: it fits. 1: it does not. 2: bad input.

    Examples:

    s1-hf plan sft --machine 1x8-h100

    s1-hf plan sft --machine 1x8-h200 --gradient_checkpointing false
    """
    overrides = [*context.args, *(["--max_length", str(max_length)] if max_length is not None else [])]
    with plain_errors():
        if gpu_memory is not None and not 0 < gpu_memory < 100_000:
            raise ValueError(f"`--gpu-memory` has to be the GiB of a GPU, but is {gpu_memory}.")
        require("trl", "train")
        answer = _answer(recipe, machine, overrides, gpu_memory)
    if as_json:
        print_json(_as_json(answer), indent=1)
    else:
        _show(answer)
    if answer.plan.verdict == "does not fit":
        raise typer.Exit(1)


def _answer(recipe: str, machine_name: str, overrides: list[str], gib: float | None) -> _Answer:
    from s1_hf import memory
    from s1_hf.sft.launch import find_machine
    from s1_hf.sft.recipe import read_recipe

    values = read_recipe(recipe, overrides).values
    machine = memory.machine_from_accelerate(find_machine(machine_name), int(gib * 2**30) if gib else None)
    model = values.get("model_name_or_path")
    if not model:
        raise ValueError("`model_name_or_path` has to be set: the name of a model on the hub, or a local folder.")
    config, source = memory.read_config(model, values.get("model_revision") or "main")
    shape = memory.decoder_shape(config)
    training = memory.training_from_recipe(values, machine.gpus)
    result = memory.plan(shape, training, machine)
    return _Answer(
        model=model,
        config_from=source,
        training=training,
        machine=machine,
        plan=result,
        longest=memory.longest_length(shape, training, machine),
        disk=memory.checkpoint_bytes(
            result.trained_parameters, optimizer=training.optimizer, model_only=bool(values.get("save_only_model"))
        ),
        suggestions=[] if result.verdict == "fits" else memory.suggestions(shape, training, machine),
    )


def _show(answer: _Answer) -> None:
    result, machine = answer.plan, answer.machine
    sharing = {"full": "FSDP", "gradients": "FSDP without resharding", "none": "no sharding"}[machine.sharding]
    console.print(
        f"{answer.model} ({answer.config_from}) on {machine.name}: {machine.gpus} GPUs, {sharing}, rows of up to "
        f"{answer.training.max_length:,} tokens, {answer.training.per_device_batch_size} per GPU.",
        highlight=False,
        soft_wrap=True,
    )
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, title=f"Worst moment: {result.moment}", title_justify="left")
    table.add_column("on each GPU", no_wrap=True)
    table.add_column("GiB", justify="right", no_wrap=True)
    table.add_column("how")
    for part in result.parts:
        table.add_row(part.name, _gib(part.bytes), part.formula)
    table.add_section()
    table.add_row("total", _gib(result.total), "")
    table.add_row("of one GPU", _gib(result.capacity), "")
    print_table(table)
    spare = result.capacity - result.total
    said = (
        f", {_gib(abs(spare))} GiB {'to spare' if spare >= 0 else 'too much'}. "
        f"Longest rows that fit: {answer.longest:,} tokens. Host memory of a node: {_gib(result.host)} GiB. "
        f"One checkpoint: {_gib(answer.disk)} GiB."
    )
    verdict = Text(result.verdict, style=f"bold {_COLOURS[result.verdict]}")
    console.print(verdict.append(said, style="default not bold"), soft_wrap=True)
    if answer.suggestions:
        print_table(_changes(answer))


def _changes(answer: _Answer) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, title="What to change", title_justify="left")
    table.add_column("change")
    for name in ("GiB", "", "host GiB"):
        table.add_column(name, justify="right", no_wrap=True)
    for suggestion in answer.suggestions:
        result = suggestion.plan
        verdict = Text(result.verdict, style=_COLOURS[result.verdict])
        table.add_row(suggestion.change, _gib(result.total), verdict, _gib(result.host))
    return table


def _as_json(answer: _Answer) -> dict[str, Any]:
    result = answer.plan
    return {
        "model": answer.model,
        "config_from": answer.config_from,
        "machine": answer.machine.name,
        "max_length": answer.training.max_length,
        "verdict": result.verdict,
        "moment": result.moment,
        "parts": {part.name: part.bytes for part in result.parts},
        "total": result.total,
        "gpu_memory": result.capacity,
        "longest_length": answer.longest,
        "host": result.host,
        "checkpoint": answer.disk,
        "suggestions": [
            {"change": s.change, "total": s.plan.total, "verdict": s.plan.verdict, "host": s.plan.host}
            for s in answer.suggestions
        ],
    }


def _gib(size: int) -> str:
    return f"{size / 2**30:,.1f}"
