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
from s1_hf.cli.terminal import console, messages, plain_errors, print_json, print_table

if TYPE_CHECKING:
    from s1_hf.memory import Machine, MemoryPlan, Need, Suggestion, Training

_COLOURS = {"fits": "green", "tight": "yellow", "does not fit": "red"}
_EXIT_CODES = {"fits": 0, "does not fit": 1, "tight": 3}
_SHARING = {"full": "FSDP", "gradients": "FSDP without resharding", "none": "no sharding"}


@dataclass(frozen=True)
class _Answer:
    """What is shown."""

    model: str
    config_from: str
    training: Training
    machine: Machine
    plan: MemoryPlan
    longest: tuple[int, int]
    disk: int
    suggestions: list[Suggestion]
    refusals: list[str]


def plan(
    context: typer.Context,
    recipe: Annotated[str, typer.Argument(help="A recipe's name or path.")] = "sft",
    machine: Annotated[
        str | None, typer.Option(help="A machine's name or the path of an accelerate config; or say --gpus.")
    ] = None,
    gpus: Annotated[int | None, typer.Option(min=1, help="Number of GPUs, instead of a machine.")] = None,
    gpu_memory: Annotated[
        float | None,
        typer.Option(help="GiB of one GPU, as torch reports them; by default as the machine's name says."),
    ] = None,
    host_memory: Annotated[
        float | None, typer.Option(help="GiB of one node's host memory, which is then part of the verdict.")
    ] = None,
    sharding: Annotated[
        str | None, typer.Option(help="With --gpus: fsdp (the default for several), zero3, zero2 or none.")
    ] = None,
    max_length: Annotated[int | None, typer.Option(help="Tokens of the longest row, in place of the recipe's.")] = None,
    as_json: o.AsJson = False,
) -> None:
    """Say whether a recipe fits into a machine's memory, and what to change. Loads no weights.

    Any field of the recipe may follow. Exit code 0: it fits. 1: it does not. 3: tight, it may or may not. 2: bad input.

    Examples:

    s1-hf plan sft --machine 1x8-h100

    s1-hf plan sft --machine 1x8-h200 --gradient_checkpointing false

    s1-hf plan sft_7b --gpus 4 --gpu-memory 24 --host-memory 256
    """
    overrides = [*context.args, *(["--max_length", str(max_length)] if max_length is not None else [])]
    with plain_errors():
        gpu_bytes, host_bytes = _bytes("--gpu-memory", gpu_memory), _bytes("--host-memory", host_memory)
        _check_machine(machine, gpus, gpu_bytes, sharding)
        require("trl", "train")
        answer = _answer(recipe, _Given(machine, gpus, gpu_bytes, host_bytes, sharding), overrides)
    if as_json:
        print_json(_as_json(answer), indent=1)
    else:
        _show(answer)
    if answer.plan.verdict != "fits":
        raise typer.Exit(_EXIT_CODES[answer.plan.verdict])


@dataclass(frozen=True)
class _Given:
    """What was said about the machine."""

    machine: str | None
    gpus: int | None
    gpu_memory: int | None
    host_memory: int | None
    sharding: str | None


def _bytes(option: str, gib: float | None) -> int | None:
    if gib is not None and not 0 < gib < 100_000:
        raise ValueError(f"`{option}` has to be a number of GiB, but is {gib}.")
    return int(gib * 2**30) if gib is not None else None


def _check_machine(machine: str | None, gpus: int | None, gpu_memory: int | None, sharding: str | None) -> None:
    if (machine is None) == (gpus is None):
        raise ValueError(
            "Say which machine: either `--machine`, with a name or an accelerate config, or `--gpus` with "
            "`--gpu-memory`, such as `--gpus 4 --gpu-memory 24`."
        )
    if gpus is not None and gpu_memory is None:
        raise ValueError("`--gpus` needs `--gpu-memory`: the GiB of one GPU, such as 24.")
    if sharding is not None and gpus is None:
        raise ValueError("`--sharding` goes with `--gpus`: a machine's file says how it shards.")


def _answer(recipe: str, given: _Given, overrides: list[str]) -> _Answer:
    from s1_hf import memory
    from s1_hf.sft.launch import find_machine
    from s1_hf.sft.recipe import read_recipe

    values = read_recipe(recipe, overrides).values
    if given.machine is not None:
        machine = memory.machine_from_accelerate(find_machine(given.machine), given.gpu_memory, given.host_memory)
    else:
        assert given.gpus is not None and given.gpu_memory is not None
        machine = memory.machine_of(
            given.gpus, given.gpu_memory, sharding=given.sharding, host_memory=given.host_memory
        )
    machine = memory.with_deepspeed(machine, values)
    model = values.get("model_name_or_path")
    if not model:
        raise ValueError("`model_name_or_path` has to be set: the name of a model on the hub, or a local folder.")
    config, source = memory.read_config(model, values.get("model_revision") or "main")
    shape = memory.decoder_shape(config)
    training = memory.training_from_recipe(values, machine.data_ranks)
    result = memory.plan(shape, training, machine)
    return _Answer(
        model=model,
        config_from=source,
        training=training,
        machine=machine,
        plan=result,
        longest=(
            memory.longest_length(shape, training, machine),
            memory.longest_length(shape, training, machine, tightly=True),
        ),
        disk=memory.checkpoint_bytes(
            result.trained_parameters, optimizer=training.optimizer, model_only=bool(values.get("save_only_model"))
        ),
        suggestions=[] if result.verdict == "fits" else memory.suggestions(shape, training, machine),
        refusals=_refusals(values, training, machine, config),
    )


def _refusals(values: dict[str, Any], training: Training, machine: Machine, config: Any) -> list[str]:
    """Why `s1-hf sft` would not start, whatever the memory."""
    from s1_hf.generation.context import context_of
    from s1_hf.sft.guards import accumulation_steps

    found = []
    context = context_of(config)
    if context is not None and training.max_length > context:
        found.append(f"`max_length` {training.max_length:,} is more than the model's context of {context:,} tokens.")
    try:
        accumulation_steps(values["global_batch_size"], training.per_device_batch_size, machine.data_ranks)
    except ValueError as error:
        found.append(str(error))
    return found


def _show(answer: _Answer) -> None:
    result, machine = answer.plan, answer.machine
    gpus = f"{machine.gpus} GPU{'s' if machine.gpus > 1 else ''}"
    console.print(
        f"{answer.model} ({answer.config_from}) on {machine.name}: {gpus}, {_sharing(machine)}, rows of up to "
        f"{answer.training.max_length:,} tokens, {answer.training.per_device_batch_size} per GPU.",
        highlight=False,
        soft_wrap=True,
    )
    print_table(_parts("on each GPU", "of one GPU", result.gpu))
    print_table(_parts("in host memory of one node", "of one node", result.host))
    verdict = Text(result.verdict, style=f"bold {_COLOURS[result.verdict]}")
    said = (
        f". Each GPU: {result.gpu.words}. Host memory of a node: {_host_words(result.host)}. "
        f"Longest rows that fit: {answer.longest[0]:,} tokens, that may fit: {answer.longest[1]:,}. "
        f"One checkpoint: {_gib(answer.disk)} GiB."
    )
    console.print(verdict.append(said, style="default not bold"), soft_wrap=True)
    if answer.suggestions:
        print_table(_changes(answer))
    for refusal in answer.refusals:
        messages.print(f"`s1-hf sft` would refuse this run: {refusal}", soft_wrap=True)


def _sharing(machine: Machine) -> str:
    words = [f"ZeRO-{machine.zero.stage}" if machine.zero is not None else _SHARING[machine.sharding]]
    if machine.context > 1:
        words.append(f"{machine.context} of them share a row")
    if machine.tensor > 1:
        words.append(f"{machine.tensor} of them share every matrix")
    return ", ".join(words)


def _host_words(need: Need) -> str:
    return need.words.replace("how much there is was not said", "`--host-memory` was not said")


def _parts(name: str, there: str, need: Need) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, title=f"Worst moment: {need.moment}", title_justify="left")
    table.add_column(name, no_wrap=True)
    for heading in ("GiB", "from", "to"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("how")
    for part in need.parts:
        low, high = (part.bytes if size is None else size for size in (part.low, part.high))
        interval = ("", "") if low == high == part.bytes else (_gib(low), _gib(high))
        table.add_row(part.name, _gib(part.bytes), *interval, part.formula)
    table.add_section()
    table.add_row("total", _gib(need.total), _gib(need.low), _gib(need.high), "")
    if need.capacity is not None:
        table.add_row(there, _gib(need.capacity), "", "", "")
    return table


def _changes(answer: _Answer) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, title="What to change", title_justify="left")
    table.add_column("change")
    for name in ("GiB", "from", "to", "", "host GiB"):
        table.add_column(name, justify="right", no_wrap=True)
    for suggestion in answer.suggestions:
        result = suggestion.plan
        verdict = Text(result.verdict, style=_COLOURS[result.verdict])
        interval = _gib(result.gpu.low), _gib(result.gpu.high)
        table.add_row(suggestion.change, _gib(result.total), *interval, verdict, _gib(result.host.total))
    return table


def _as_json(answer: _Answer) -> dict[str, Any]:
    result = answer.plan
    return {
        "model": answer.model,
        "config_from": answer.config_from,
        "machine": answer.machine.name,
        "max_length": answer.training.max_length,
        "verdict": result.verdict,
        "exit_code": _EXIT_CODES[result.verdict],
        "gpu": _need_as_json(result.gpu),
        "host": _need_as_json(result.host),
        "longest_length": {"fits": answer.longest[0], "may fit": answer.longest[1]},
        "checkpoint": answer.disk,
        "refusals": answer.refusals,
        "suggestions": [
            {"change": s.change, "verdict": s.plan.verdict, "gpu": _sums(s.plan.gpu), "host": _sums(s.plan.host)}
            for s in answer.suggestions
        ],
    }


def _need_as_json(need: Need) -> dict[str, Any]:
    parts = {part.name: part.bytes for part in need.parts}
    judged = {"verdict": need.verdict or "not judged", "words": need.words, "moment": need.moment}
    return judged | _sums(need) | {"capacity": need.capacity, "parts": parts}


def _sums(need: Need) -> dict[str, int]:
    return {"low": need.low, "total": need.total, "high": need.high}


def _gib(size: int) -> str:
    return f"{size / 2**30:,.1f}"
