"""The settings of a fine-tune and of DeepSpeed, from a recipe's fields."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.metadata import version
from importlib.util import find_spec
from typing import Any, Literal

from s1_hf.memory.machine import Machine
from s1_hf.memory.machine_file import with_zero, zero_from_deepspeed
from s1_hf.memory.training import ALL_LINEAR, DEFAULT_TARGETS, Lora, Training
from s1_hf.records import parse, read_json


def training_from_recipe(values: Mapping[str, Any], gpus: int) -> Training:
    """The settings in a recipe's fields (`s1_hf.sft.recipe.Recipe.values`, defaults included).

    Args:
        gpus (`int`): processes that have rows of their own ([`Machine.data_ranks`]).

    Raises:
        ValueError: the formulas do not cover a field or a value.
    """
    _refuse(values)
    per_device = int(values["per_device_train_batch_size"])
    accelerator = values.get("accelerator_config") or {}
    accelerator = parse(accelerator, "`accelerator_config`") if isinstance(accelerator, str) else accelerator
    accumulation = accelerator.get("gradient_accumulation_kwargs") or {}
    sdpa = values.get("attn_implementation") in (None, "sdpa")
    checkpointing = values.get("activation_checkpointing")  # transformers' new name
    attention = values.get("attn_implementation")
    return Training(
        max_length=int(values["max_length"]),
        per_device_batch_size=per_device,
        accumulation_steps=max(1, -(-int(values["global_batch_size"]) // (per_device * gpus))),
        gradient_checkpointing=bool(values["gradient_checkpointing"] if checkpointing is None else checkpointing),
        activation_offloading=bool(values.get("activation_offloading")),
        bf16=bool(values["bf16"] if values["bf16"] is not None else True) or bool(values.get("fp16")),
        dtype=values.get("dtype") or "float32",
        optimizer=str(getattr(values["optim"], "value", values["optim"])),
        logits=_logits(values),
        liger=bool(values.get("use_liger_kernel")),
        attention=attention if attention in (None, "sdpa", "eager") else "flash",
        padding_free=bool(values.get("padding_free")) or not (sdpa or attention == "eager"),
        sync_each_batch=bool(accumulation.get("sync_each_batch")),
        lora=_lora(values) if values.get("use_peft") else None,
        merge_adapter=bool(values.get("merge_adapter")),
        save_width=4 if values.get("save_dtype") == "float32" else 2,
    )


def with_deepspeed(machine: Machine, values: Mapping[str, Any]) -> Machine:
    """The machine, with the recipe's own `deepspeed` (DeepSpeed's JSON, as a path or an object), if it has one."""
    content = values.get("deepspeed")
    if not content:
        return machine
    where = f"`deepspeed`, {content}" if isinstance(content, str) else "`deepspeed`"
    if isinstance(content, str):
        content = parse(content, "`deepspeed`") if content.lstrip().startswith("{") else read_json(content)
    zero = zero_from_deepspeed(content, where)
    if machine.fsdp:
        raise ValueError(
            f"The recipe has `deepspeed`, but the machine {machine.name} has FSDP: choose one of them, with "
            "`distributed_type: DEEPSPEED` or without `deepspeed`."
        )
    return machine if zero is None else with_zero(machine, zero)


def _logits(values: Mapping[str, Any]) -> Literal["fused", "full"]:
    """TRL's loss holds no logits from 1.15 on; Liger's does not before, nor one that is chunked."""
    if values.get("label_smoothing_factor"):
        return "full"
    fused = find_spec("trl") is None or tuple(int(n) for n in version("trl").split(".")[:2]) >= (1, 15)
    chunked = values.get("loss_type") == "chunked_nll"
    return "fused" if fused or chunked or values.get("use_liger_kernel") else "full"


def _refuse(values: Mapping[str, Any]) -> None:
    faults = []
    if not values.get("max_length"):
        faults.append("`max_length` has to be set, because memory grows with it")
    faults += [f"`{name}` is not covered" for name in ("load_in_8bit", "use_dora", "packing") if values.get(name)]
    if values.get("lora_modules_to_save") or values.get("lora_target_parameters"):
        faults.append("`lora_modules_to_save` and `lora_target_parameters` are not covered")
    if values.get("load_in_4bit") and not values.get("use_peft"):
        faults.append("`load_in_4bit` needs `use_peft`: 4-bit weights cannot be trained")
    if faults:
        raise ValueError(f"No plan for this recipe: {'; '.join(faults)}.")


def _lora(values: Mapping[str, Any]) -> Lora:
    targets = values.get("lora_target_modules")
    names = [targets] if isinstance(targets, str) else list(targets or DEFAULT_TARGETS)
    return Lora(
        rank=int(values["lora_r"]),
        targets=ALL_LINEAR if names == ["all-linear"] else tuple(names),
        dropout=float(values.get("lora_dropout") or 0),
        four_bit=bool(values.get("load_in_4bit")),
        nested=bool(values.get("use_bnb_nested_quant")),
        storage=values.get("bnb_4bit_quant_storage"),
    )
