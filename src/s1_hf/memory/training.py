"""The settings that the memory of a fine-tune depends on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from s1_hf.records import parse

# Optimizer -> bytes of state per trained float32 element, and bytes of temporaries during its step.
# AdamW keeps two moments. Unless fused, torch updates all parameters at once (`foreach`) and meanwhile holds another
# float32 per element. bitsandbytes keeps the moments in 8 bits, with a float32 per block of 256.
OPTIMIZERS: dict[str, tuple[float, float]] = {
    "adamw_torch_fused": (8, 0),
    "adamw_torch": (8, 4),
    "adamw_bnb_8bit": (2 + 8 / 256, 0),
    "adamw_8bit": (2 + 8 / 256, 0),
    "paged_adamw_8bit": (2 + 8 / 256, 0),
    "sgd": (0, 0),
}
ALL_LINEAR = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")
_DEFAULT_TARGETS = ("q_proj", "v_proj")  # peft's default for all model types in shape.CHECKED


@dataclass(frozen=True)
class Lora:
    """Adapters of rank `rank` on the linear maps named in `targets`; the base is frozen.

    Args:
        dropout (`float`): above 0, each adapter keeps its own input and a mask.
        four_bit (`bool`): whether the base's layers are held in bitsandbytes' 4-bit format (QLoRA).
        nested (`bool`): whether their scales are quantised too.
    """

    rank: int = 16
    targets: tuple[str, ...] = _DEFAULT_TARGETS
    dropout: float = 0.0
    four_bit: bool = False
    nested: bool = False

    def __post_init__(self) -> None:
        unknown = sorted(set(self.targets) - set(ALL_LINEAR))
        if unknown or not self.targets or self.rank < 1:
            raise ValueError(
                f"`lora_target_modules` has to name some of {', '.join(ALL_LINEAR)}, or be 'all-linear', and `lora_r` "
                f"has to be at least 1, but their values are {list(self.targets)} and {self.rank}."
            )


@dataclass(frozen=True)
class Training:
    """What is trained, on how long sequences, and what is kept for the backward pass.

    Args:
        max_length (`int`): length of the longest row in tokens. With several rows per device, all are padded to it.
        per_device_batch_size, accumulation_steps (`int`, default to 1): as in transformers.
        gradient_checkpointing (`bool`, defaults to `True`): keep only the input of each layer, and recompute the rest.
        activation_offloading (`bool`): TRL's option to keep activations for backward in host memory.
        bf16 (`bool`, defaults to `True`): mixed precision. Under FSDP2, trained weights are then float32, whatever
            `dtype` says (`accelerate.utils.fsdp_utils.fsdp2_prepare_model`).
        dtype (`str`, defaults to `"float32"`, as in TRL): the dtype in which the weights are loaded.
        optimizer (`str`): one of `OPTIMIZERS`.
        logits (`str`, defaults to `"fused"`): `"fused"` is TRL's loss, which never holds all logits; `"full"` is that
            of transformers and of the original.
        padding_free (`bool`): several rows per device need no mask of length x length, as with flash attention.
        sync_each_batch (`bool`): accumulated gradients stay sharded; otherwise FSDP keeps them in full on each GPU.
        lora (`Lora`, *optional*): `None` for a full fine-tune.
    """

    max_length: int
    per_device_batch_size: int = 1
    accumulation_steps: int = 1
    gradient_checkpointing: bool = True
    activation_offloading: bool = False
    bf16: bool = True
    dtype: Literal["float32", "bfloat16"] = "float32"
    optimizer: str = "adamw_torch_fused"
    logits: Literal["fused", "full"] = "fused"
    padding_free: bool = False
    sync_each_batch: bool = False
    lora: Lora | None = None

    def __post_init__(self) -> None:
        counts = ("max_length", "per_device_batch_size", "accumulation_steps")
        faults = [
            f"`{name}` has to be at least 1, but is {getattr(self, name)}" for name in counts if getattr(self, name) < 1
        ]
        if self.optimizer not in OPTIMIZERS:
            faults.append(f"`optim` has to be one of {', '.join(OPTIMIZERS)}, but is {self.optimizer}")
        if self.dtype not in ("float32", "bfloat16"):
            faults.append(f"`dtype` has to be float32 or bfloat16, but is {self.dtype}")
        if self.lora is not None and self.dtype == "float32" and self.bf16:
            faults.append(
                "`dtype` has to be bfloat16 with LoRA, but is float32, which doubles the frozen base to no benefit"
            )
        if faults:
            raise ValueError(f"{'; '.join(faults)}.")

    @property
    def tokens(self) -> int:
        """Number of positions in one batch on one GPU."""
        return self.max_length * self.per_device_batch_size

    @property
    def masked(self) -> bool:
        """Whether a mask of length x length is needed."""
        return self.per_device_batch_size > 1 and not self.padding_free


def training_from_recipe(values: Mapping[str, Any], gpus: int) -> Training:
    """The settings in a recipe's fields (`s1_hf.sft.recipe.Recipe.values`, defaults included), for `gpus` GPUs.

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
    return Training(
        max_length=int(values["max_length"]),
        per_device_batch_size=per_device,
        accumulation_steps=max(1, -(-int(values["global_batch_size"]) // (per_device * gpus))),
        gradient_checkpointing=bool(values["gradient_checkpointing"] if checkpointing is None else checkpointing),
        activation_offloading=bool(values.get("activation_offloading")),
        bf16=bool(values["bf16"] if values["bf16"] is not None else True) or bool(values.get("fp16")),
        dtype=values.get("dtype") or "float32",
        optimizer=str(getattr(values["optim"], "value", values["optim"])),
        logits="full" if values.get("label_smoothing_factor") else "fused",
        padding_free=bool(values.get("padding_free")) or not sdpa,
        sync_each_batch=bool(accumulation.get("sync_each_batch")),
        lora=_lora(values) if values.get("use_peft") else None,
    )


def _refuse(values: Mapping[str, Any]) -> None:
    faults = []
    if not values.get("max_length"):
        faults.append("`max_length` has to be set, because memory grows with it")
    faults += [
        f"`{name}` is not covered" for name in ("load_in_8bit", "use_dora", "packing", "deepspeed") if values.get(name)
    ]
    if values.get("lora_modules_to_save") or values.get("lora_target_parameters"):
        faults.append("`lora_modules_to_save` and `lora_target_parameters` are not covered")
    if values.get("attn_implementation") == "eager":
        faults.append("`attn_implementation: eager` is not covered, because it keeps all attention weights: use sdpa")
    if values.get("load_in_4bit") and not values.get("use_peft"):
        faults.append("`load_in_4bit` needs `use_peft`: 4-bit weights cannot be trained")
    if faults:
        raise ValueError(f"No plan for this recipe: {'; '.join(faults)}.")


def _lora(values: Mapping[str, Any]) -> Lora:
    targets = values.get("lora_target_modules")
    names = [targets] if isinstance(targets, str) else list(targets or _DEFAULT_TARGETS)
    return Lora(
        rank=int(values["lora_r"]),
        targets=ALL_LINEAR if names == ["all-linear"] else tuple(names),
        dropout=float(values.get("lora_dropout") or 0),
        four_bit=bool(values.get("load_in_4bit")),
        nested=bool(values.get("use_bnb_nested_quant")),
    )
