"""What to change to use less memory, each with its effect: the plan with that one setting changed."""

from __future__ import annotations

from dataclasses import dataclass, replace

from s1_hf.memory.machine import Machine
from s1_hf.memory.planning import MemoryPlan, plan
from s1_hf.memory.shape import DecoderShape
from s1_hf.memory.training import ALL_LINEAR, Lora, Training

_MOST_GPUS, _GPUS_PER_NODE = 256, 8


@dataclass(frozen=True)
class Suggestion:
    """A change and the resulting plan; `change` names the field of the recipe or of the machine."""

    change: str
    plan: MemoryPlan


def suggestions(shape: DecoderShape, training: Training, machine: Machine) -> list[Suggestion]:
    """Changes that reduce a run's memory, starting with those that change neither the result nor the hardware.

    Settings that cost little (`sync_each_batch`, `gradient_checkpointing`, one row per device) come first, and each
    includes the ones before it. If they are not enough, alternatives follow; each of them includes all the cheap
    settings.
    """
    found: list[Suggestion] = []
    for change, better in _cheap(training, machine):
        training = better
        found.append(Suggestion(change, plan(shape, training, machine)))
    if found and found[-1].plan.verdict == "fits":
        return found
    return found + [Suggestion(change, plan(shape, t, m)) for change, t, m in _alternatives(shape, training, machine)]


def longest_length(shape: DecoderShape, training: Training, machine: Machine) -> int:
    """The largest `max_length` (a multiple of 128) at which the run fits, even tightly; 0 if it never does."""
    low, high = 0, 2**20 // 128
    while low < high:
        middle = (low + high + 1) // 2
        fits = plan(shape, replace(training, max_length=128 * middle), machine).verdict != "does not fit"
        low, high = (middle, high) if fits else (low, middle - 1)
    return 128 * low


def _cheap(training: Training, machine: Machine) -> list[tuple[str, Training]]:
    """Changes that cost little; each includes the ones before it."""
    steps = []
    if machine.sharding != "none" and training.accumulation_steps > 1 and not training.sync_each_batch:
        training = replace(training, sync_each_batch=True)
        steps.append(("accelerator_config: {gradient_accumulation_kwargs: {sync_each_batch: true}}", training))
    if not (training.gradient_checkpointing or machine.activation_checkpointing):
        training = replace(training, gradient_checkpointing=True)
        steps.append(("gradient_checkpointing: true (about a third more compute)", training))
    if training.logits == "full":
        training = replace(training, logits="fused")
        steps.append(("a loss without full logits: label_smoothing_factor: 0", training))
    rows = training.per_device_batch_size
    if rows > 1:
        more = training.accumulation_steps * rows
        training = replace(training, per_device_batch_size=1, accumulation_steps=more)
        steps.append(("per_device_train_batch_size: 1 (no padding)", training))
    return steps


def _alternatives(shape: DecoderShape, training: Training, machine: Machine) -> list[tuple[str, Training, Machine]]:
    options: list[tuple[str, Training, Machine]] = []
    if not training.activation_offloading:
        options.append(("activation_offloading: true", replace(training, activation_offloading=True), machine))
    longest = longest_length(shape, training, machine)
    if 0 < longest < training.max_length:
        change = f"max_length: {longest} (only if no row is longer: cut rows teach the model not to stop)"
        options.append((change, replace(training, max_length=longest), machine))
    options += _hardware(shape, training, machine)
    if training.lora is None:
        low_rank = replace(training, dtype="bfloat16", lora=Lora(16, ALL_LINEAR))
        change = "use_peft: true, lora_target_modules: all-linear, dtype: bfloat16 (not in the paper)"
        options.append((change, low_rank, machine))
    elif not training.lora.four_bit and machine.sharding == "none":
        quantised = replace(training, lora=replace(training.lora, four_bit=True))
        options.append(("load_in_4bit: true (not verified by a measurement)", quantised, machine))
    return options


def _hardware(shape: DecoderShape, training: Training, machine: Machine) -> list[tuple[str, Training, Machine]]:
    """FSDP on the fewest GPUs of the same kind that fit (found by doubling), and FSDP's offloading to the host."""
    options: list[tuple[str, Training, Machine]] = []
    if training.lora is not None and training.lora.four_bit:
        return options  # not covered under FSDP
    gpus, accumulated = 2 * machine.gpus, training.accumulation_steps
    while gpus <= _MOST_GPUS:
        accumulated = max(1, accumulated // 2)
        larger = replace(machine, gpus=gpus, nodes=-(-gpus // _GPUS_PER_NODE), sharding="full")
        spread = replace(training, accumulation_steps=accumulated)
        if plan(shape, spread, larger).verdict != "does not fit":
            rows = gpus * training.per_device_batch_size * accumulated
            change = f"{gpus} GPUs of this kind with FSDP instead of {machine.gpus} (global_batch_size {rows})"
            options.append((change, spread, larger))
            break
        gpus *= 2
    if machine.sharding != "none" and not machine.offload:
        change = "fsdp_offload_params: true in the machine's config (slower)"
        options.append((change, training, replace(machine, offload=True)))
    return options
