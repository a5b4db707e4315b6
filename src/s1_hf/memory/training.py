"""The settings that the memory of a fine-tune depends on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Optimizer:
    """Bytes per trained float32 element.

    Args:
        state (`float`): what is kept from step to step. AdamW keeps two moments. bitsandbytes keeps them in 8 bits,
            with a float32 per block of 256.
        step (`float`): temporaries of a step. Unless fused, torch updates all parameters at once (`foreach`) and
            meanwhile holds another float32 per element.
        embedding (`float`, *optional*): state per element of the embedding, if it differs: the trainer keeps the
            embedding's in 32 bits under bitsandbytes' 8-bit optimizers.
        paged (`bool`): bitsandbytes allocates it as CUDA's managed memory, which moves to the host if the GPU is full.
    """

    state: float
    step: float = 0
    embedding: float | None = None
    paged: bool = False


_EIGHT_BITS = 2 + 8 / 256
OPTIMIZERS: dict[str, Optimizer] = {
    "adamw_torch_fused": Optimizer(8),
    "adamw_torch": Optimizer(8, step=4),
    "adamw_torch_8bit": Optimizer(_EIGHT_BITS),
    "adamw_bnb_8bit": Optimizer(_EIGHT_BITS, embedding=8),
    "adamw_8bit": Optimizer(_EIGHT_BITS, embedding=8),
    "paged_adamw": Optimizer(8, paged=True),
    "paged_adamw_32bit": Optimizer(8, paged=True),
    "paged_adamw_8bit": Optimizer(_EIGHT_BITS, embedding=8, paged=True),
    "lion_32bit": Optimizer(4),
    "lion_8bit": Optimizer(_EIGHT_BITS / 2, embedding=4),
    "paged_lion_32bit": Optimizer(4, paged=True),
    "paged_lion_8bit": Optimizer(_EIGHT_BITS / 2, embedding=4, paged=True),
    "sgd": Optimizer(0),
}
ALL_LINEAR = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")
DEFAULT_TARGETS = ("q_proj", "v_proj")  # peft's default for all model types in shape.CHECKED


@dataclass(frozen=True)
class Lora:
    """Adapters of rank `rank` on the linear maps named in `targets`; the base is frozen.

    Args:
        dropout (`float`): above 0, each adapter keeps its own input and a mask.
        four_bit (`bool`): whether the base's layers are held in bitsandbytes' 4-bit format (QLoRA).
        nested (`bool`): whether their scales are quantised too (double quantisation).
        storage (`str`, *optional*): dtype in which 4-bit weights are packed (`bnb_4bit_quant_storage`). FSDP shards
            them only if it is that of all other weights.
    """

    rank: int = 16
    targets: tuple[str, ...] = DEFAULT_TARGETS
    dropout: float = 0.0
    four_bit: bool = False
    nested: bool = False
    storage: str | None = None

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
        logits (`str`, defaults to `"fused"`): `"fused"` is TRL's or Liger's loss, which never holds all logits;
            `"full"` is that of transformers; `"copied"` that of transformers before 4.50, on which the original ran:
            it also held the logits before they became float32, and a copy of them shifted by one.
        liger (`bool`): Liger's norms and MLP, which keep less.
        attention (`str`, *optional*): `attn_implementation`; by default what transformers uses for the model.
        padding_free (`bool`): several rows per device need no mask of length x length, as with flash attention.
        sync_each_batch (`bool`): accumulated gradients stay sharded; otherwise FSDP keeps them in full on each GPU.
        lora (`Lora`, *optional*): `None` for a full fine-tune.
        merge_adapter (`bool`): at the end, the base is read once more on the main process and merged.
        save_width (`int`, defaults to 2): bytes per weight in which the result is saved (`save_dtype`).
    """

    max_length: int
    per_device_batch_size: int = 1
    accumulation_steps: int = 1
    gradient_checkpointing: bool = True
    activation_offloading: bool = False
    bf16: bool = True
    dtype: Literal["float32", "bfloat16"] = "float32"
    optimizer: str = "adamw_torch_fused"
    logits: Literal["fused", "full", "copied"] = "fused"
    liger: bool = False
    attention: str | None = None
    padding_free: bool = False
    sync_each_batch: bool = False
    lora: Lora | None = None
    merge_adapter: bool = False
    save_width: int = 2

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
