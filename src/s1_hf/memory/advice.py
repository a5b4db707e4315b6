"""What to change to use less memory, each with its effect: the plan with that one setting changed."""

from __future__ import annotations

from dataclasses import dataclass, replace

from s1_hf.memory.machine import Machine
from s1_hf.memory.planning import MemoryPlan, plan
from s1_hf.memory.shape import DecoderShape
from s1_hf.memory.training import ALL_LINEAR, OPTIMIZERS, Lora, Training

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
    for change, better, there in _cheap(shape, training, machine):
        training, machine = better, there
        found.append(Suggestion(change, plan(shape, training, machine)))
    if found and found[-1].plan.verdict == "fits":
        return found
    return found + [Suggestion(change, plan(shape, t, m)) for change, t, m in _alternatives(shape, training, machine)]


def longest_length(shape: DecoderShape, training: Training, machine: Machine, *, tightly: bool = False) -> int:
    """The largest `max_length` (a multiple of 128) at which the run fits; 0 if it never does.

    Args:
        tightly (`bool`, defaults to `False`): the largest at which it may fit.
    """
    enough = ("fits", "tight") if tightly else ("fits",)
    low, high = 0, 2**20 // 128
    while low < high:
        middle = (low + high + 1) // 2
        fits = plan(shape, replace(training, max_length=128 * middle), machine).verdict in enough
        low, high = (middle, high) if fits else (low, middle - 1)
    return 128 * low


_Change = tuple[str, Training, Machine]


def _cheap(shape: DecoderShape, training: Training, machine: Machine) -> list[_Change]:
    """Changes that cost little; each includes the ones before it."""
    steps: list[_Change] = []
    if machine.fsdp and training.accumulation_steps > 1 and not training.sync_each_batch:
        training = replace(training, sync_each_batch=True)
        change = "accelerator_config: {gradient_accumulation_kwargs: {sync_each_batch: true}}"
        steps.append((change, training, machine))
    if not (training.gradient_checkpointing or machine.activation_checkpointing):
        training = replace(training, gradient_checkpointing=True)
        steps.append(("gradient_checkpointing: true (about a third more compute)", training, machine))
    if (training.attention or shape.attention) == "eager":
        training = replace(training, attention="flash", padding_free=True)
        change = "attn_implementation: flash_attention_2, or a kernel of the hub: eager keeps every pair of tokens"
        steps.append((change, training, machine))
    if training.logits != "fused":
        training = replace(training, logits="fused")
        change = "a loss without full logits: label_smoothing_factor: 0, and TRL 1.15 or later"
        steps.append((change, training, machine))
    rows = training.per_device_batch_size
    if rows > 1:
        more = training.accumulation_steps * rows
        training = replace(training, per_device_batch_size=1, accumulation_steps=more)
        steps.append(("per_device_train_batch_size: 1 (no padding)", training, machine))
    host_is_short = plan(shape, training, machine).host.verdict in ("tight", "does not fit")
    if host_is_short and machine.fsdp and not machine.one_loads:
        machine = replace(machine, one_loads=True)
        change = "fsdp_cpu_ram_efficient_loading: true in the machine's config: one process reads the weights"
        steps.append((change, training, machine))
    if host_is_short and training.merge_adapter:
        training = replace(training, merge_adapter=False)
        steps.append(("merge_adapter: false, and merge on another machine", training, machine))
    return steps


def _alternatives(shape: DecoderShape, training: Training, machine: Machine) -> list[_Change]:
    options: list[_Change] = []
    if not training.activation_offloading:
        options.append(("activation_offloading: true", replace(training, activation_offloading=True), machine))
    longest = longest_length(shape, training, machine)
    if 0 < longest < training.max_length:
        change = f"max_length: {longest} (only if no row is longer: cut rows teach the model not to stop)"
        options.append((change, replace(training, max_length=longest), machine))
    options += _hardware(shape, training, machine)
    if training.lora is None:
        if OPTIMIZERS[training.optimizer].state == 8 and machine.zero is None:
            change = "optim: paged_adamw_8bit (bitsandbytes; not in the paper)"
            options.append((change, replace(training, optimizer="paged_adamw_8bit"), machine))
        if shape.latent is None:
            low_rank = replace(training, dtype="bfloat16", lora=Lora(16, ALL_LINEAR))
            change = "use_peft: true, lora_target_modules: all-linear, dtype: bfloat16 (not in the paper)"
            options.append((change, low_rank, machine))
    options += _quantised(shape, options[-1][1] if training.lora is None else training, machine)
    return options


def _quantised(shape: DecoderShape, training: Training, machine: Machine) -> list[_Change]:
    """Adapters on a 4-bit base, which ZeRO does not divide."""
    if training.lora is None or training.lora.four_bit or machine.zero is not None:
        return []
    storage = "bfloat16" if machine.fsdp else None
    four_bit = replace(training.lora, four_bit=True, nested=True, storage=storage)
    packed = ", bnb_4bit_quant_storage: bfloat16" if machine.fsdp else ""
    change = f"adapters on a 4-bit base: load_in_4bit: true, use_bnb_nested_quant: true{packed}"
    if shape.experts is not None:
        change += " (experts stay as they are)"
    return [(change, replace(training, lora=four_bit), machine)]


def _hardware(shape: DecoderShape, training: Training, machine: Machine) -> list[_Change]:
    """GPUs that share a row, FSDP on the fewest GPUs of the same kind that fit, and FSDP's offloading to the host."""
    options = _shared_rows(shape, training, machine)
    if training.lora is not None and training.lora.four_bit:
        return options
    gpus, accumulated = 2 * machine.gpus, training.accumulation_steps
    sharding = machine.sharding if machine.sharding == "zero" else "full"
    while gpus <= _MOST_GPUS:
        accumulated = max(1, accumulated // 2)
        larger = replace(machine, gpus=gpus, nodes=_nodes_for(gpus), sharding=sharding)
        spread = replace(training, accumulation_steps=accumulated)
        if plan(shape, spread, larger).verdict == "fits":
            rows = larger.data_ranks * training.per_device_batch_size * accumulated
            how = "ZeRO" if machine.zero is not None else "FSDP"
            change = f"{gpus} GPUs of this kind with {how} instead of {machine.gpus} (global_batch_size {rows})"
            options.append((change, spread, larger))
            break
        gpus *= 2
    if machine.fsdp and not machine.offload:
        change = "fsdp_offload_params: true in the machine's config (slower)"
        options.append((change, training, replace(machine, offload=True)))
    if machine.zero is not None and not machine.zero.offload_optimizer:
        change = "offload_optimizer_device: cpu in the machine's config (slower)"
        options.append((change, training, replace(machine, zero=replace(machine.zero, offload_optimizer=True))))
    return options


def _nodes_for(gpus: int) -> int:
    """The fewest nodes that have as many GPUs each, and at most eight."""
    return next(n for n in range(-(-gpus // _GPUS_PER_NODE), gpus + 1) if gpus % n == 0)


def _shared_rows(shape: DecoderShape, training: Training, machine: Machine) -> list[_Change]:
    """Context parallelism over the fewest GPUs that fit."""
    context = 2
    while machine.fsdp and machine.context == 1 and context <= machine.data_ranks:
        if machine.data_ranks % context:
            return []
        shared = replace(machine, context=context)
        spread = replace(training, accumulation_steps=training.accumulation_steps * context)
        if plan(shape, spread, shared).verdict == "fits":
            change = f"parallelism_config: {{cp_size: {context}}} in the machine's config: {context} GPUs share a row"
            return [(change, spread, shared)]
        context *= 2
    return []
