"""Add everything up: what a run takes at its worst moment."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from s1_hf.memory.machine import Machine
from s1_hf.memory.moments import Moments
from s1_hf.memory.shape import DecoderShape
from s1_hf.memory.state import Part
from s1_hf.memory.training import OPTIMIZERS, Training

# Assumptions, not formulas, and not measured by us: the CUDA context with NCCL's and cuBLAS's buffers; and what the
# caching allocator holds without using it, as a share of what is used.
CONTEXT = 2 * 2**30
FRAGMENTATION = 0.04
TIGHT = 0.05  # a plan is tight if less than this share of the GPU is left


@dataclass(frozen=True)
class MemoryPlan:
    """The memory that a run needs on each GPU and each host.

    Args:
        parts (`tuple[Part, ...]`): the parts at the worst moment; they add up to `total`.
        moments (`dict[str, int]`): the total at each moment considered.
        capacity (`int`): bytes of one GPU.
        host (`int`): bytes of host memory that one node needs, not counting the program itself and the data.
        trained_parameters (`int`): number of elements that the optimizer updates.
    """

    parts: tuple[Part, ...]
    moments: dict[str, int]
    capacity: int
    host: int
    trained_parameters: int

    @property
    def total(self) -> int:
        """Bytes on one GPU at the worst moment."""
        return sum(part.bytes for part in self.parts)

    @property
    def moment(self) -> str:
        """The worst moment."""
        return max(self.moments, key=lambda name: self.moments[name])

    @property
    def verdict(self) -> Literal["fits", "tight", "does not fit"]:
        """Whether the run fits. `"tight"`: the share left is below `TIGHT`, and the formulas may be off by more."""
        if self.total > self.capacity:
            return "does not fit"
        return "tight" if self.total > (1 - TIGHT) * self.capacity else "fits"


def plan(shape: DecoderShape, training: Training, machine: Machine) -> MemoryPlan:
    """Predict the memory that a fine-tune needs on each GPU of a machine.

    With P parameters, of which t are trained, p in a layer and V in the head, N GPUs, T tokens per GPU, hidden width h:

    - weights, gradients, optimizer state: 4 + 4 + 8 bytes per trained parameter with AdamW in mixed precision, divided
      by N under FSDP; 2 bytes per frozen parameter (4-bit: 0.5, and a float32 per 64). Gradients that FSDP accumulates
      without `sync_each_batch` are held in full on each GPU, which adds 2 t ([`State`]).
    - activations kept from forward to backward: 2 T h for each checkpointed layer, else `activations.layer_bytes`.
    - in the loss: the gathered head, final norm and one layer (2 V + 2 p), the norm's result and its gradient
      (16 T h + ...), tiles of logits, and the head's gradient in float32 and bfloat16 (6 V). With full logits, 12 bytes
      for each of them: the log-probabilities, their gradient and that of the logits, all in float32.
    - or in the backward of a layer: this layer and the next one gathered (4 p), one matrix's gradient, the gradients
      being reduced (2 V or 2 p), what a checkpointed layer recomputes (`activations.layer_bytes`), and the gradients of
      activations (`activations.transient_bytes`). In the first batch of a step, the last layer's backward coincides
      with all kept activations and few gradients, the first layer's with the opposite; in between, both change
      linearly.
    - an allowance for CUDA, NCCL and unused blocks, which is an assumption.

    The plan is the moment with the largest sum. Prompt positions are counted, although TRL's loss leaves them out.
    benchmarks/training_memory.py compares plans with simulated and measured steps.

    Raises:
        ValueError: 4-bit weights under FSDP, which were never verified; or both kinds of checkpointing at once.
    """
    if training.lora is not None and training.lora.four_bit and machine.sharding != "none":
        raise ValueError(
            "4-bit weights under FSDP are not covered: plan for a machine with one GPU, or leave out `load_in_4bit`."
        )
    if machine.activation_checkpointing and training.gradient_checkpointing:
        raise ValueError(
            "The machine's `fsdp_activation_checkpointing` and the recipe's `gradient_checkpointing` do the same "
            "thing: set one of them to false."
        )
    moments = Moments(shape, training, machine)
    at = {name: (*parts, _allowance(parts)) for name, parts in moments.each().items()}
    totals = {name: sum(part.bytes for part in parts) for name, parts in at.items()}
    worst = max(totals, key=lambda name: totals[name])
    return MemoryPlan(at[worst], totals, machine.gpu_memory, moments.host(), moments.state.trained)


def checkpoint_bytes(trained_parameters: int, *, optimizer: str = "adamw_torch_fused", model_only: bool = False) -> int:
    """The size of one checkpoint on disk: trained weights in float32, and the optimizer's state.

    Example:

    ```python
    >>> checkpoint_bytes(32_763_876_352) / 1e9
    393.166516224

    ```
    """
    state = 0.0 if model_only else OPTIMIZERS[optimizer][0]
    return int(trained_parameters * (4 + state))


def _allowance(parts: list[Part]) -> Part:
    used = sum(part.bytes for part in parts)
    return Part(
        "allowance", CONTEXT + int(FRAGMENTATION * used), "assumed: 2 GiB for CUDA and NCCL, 4 % for unused blocks"
    )
