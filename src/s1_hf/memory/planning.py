"""Add everything up: what a run takes at its worst moment."""

from __future__ import annotations

from dataclasses import dataclass

from s1_hf.memory.machine import Machine
from s1_hf.memory.moments import Moments
from s1_hf.memory.parts import Need, Part, Verdict, worst
from s1_hf.memory.shape import DecoderShape
from s1_hf.memory.training import OPTIMIZERS, Training

_MIB = 2**20
# Assumptions, not formulas: least, expected, most.
# CUDA's context with torch's kernels and cuBLAS's workspace, in one process; and NCCL's buffers and DeepSpeed's streams
# where there are several, which grow with channels and communicators, and over a network.
_CONTEXT = (450 * _MIB, 800 * _MIB, 1200 * _MIB)
_NCCL = (300 * _MIB, 900 * _MIB, 2000 * _MIB)
# What the caching allocator holds without using it, as shares of what outlives a batch, which is allocated once, and of
# what comes and goes. Rows of different lengths leave holes: 14.0 GiB beside 119.2 GiB in use are reported in
# https://github.com/simplescaling/s1/issues/106.
_UNUSED_STATE = (0.0, 0.005, 0.03)
_UNUSED_MOVING = (0.0, 0.06, 0.15)
CONTEXT, UNUSED = "context", "unused blocks"
"""The names of the parts that are assumed."""
_STATE = ("weights", "gradients", "whole gradients", "optimizer state")


@dataclass(frozen=True)
class MemoryPlan:
    """The memory that a run needs on each GPU and each host.

    Args:
        gpu ([`Need`]): of one GPU.
        host ([`Need`]): of one node.
        moments (`dict[str, int]`): the total on a GPU at each moment considered.
        trained_parameters (`int`): number of elements that the optimizer updates.
    """

    gpu: Need
    host: Need
    moments: dict[str, int]
    trained_parameters: int

    @property
    def parts(self) -> tuple[Part, ...]:
        """The parts on a GPU at its worst moment; they add up to `total`."""
        return self.gpu.parts

    @property
    def total(self) -> int:
        """Bytes expected on one GPU at its worst moment."""
        return self.gpu.total

    @property
    def moment(self) -> str:
        """The worst moment of a GPU."""
        return self.gpu.moment

    @property
    def verdict(self) -> Verdict:
        """Whether the run fits: the worse of the GPU's and, if its memory is known, the host's ([`Need.verdict`])."""
        return worst([self.gpu.verdict, self.host.verdict])


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
    - what CUDA, NCCL and unused blocks take, which is an assumption with a least, an expected and a most.

    Under DeepSpeed's ZeRO-3, weights, gradients and optimizer state are 2 + 2 + 12 bytes / N, the gathered weights are
    those that it lets live, and buckets of gradients are added. GPUs that share a row (context, sequence parallelism)
    have T / c tokens each, and see keys and values of all; those that share matrices (tensor parallelism) have a part
    of every layer's weights, heads and MLP, and all of the residuals.

    The plan is the moment with the largest sum. Prompt positions are counted, although TRL's loss leaves them out.
    benchmarks/training_memory.py compares plans with simulated and measured steps.

    Raises:
        ValueError: 4-bit weights in a dtype that FSDP cannot shard; or both kinds of checkpointing at once.
    """
    if training.lora is not None and training.lora.four_bit and machine.fsdp and training.lora.storage != "bfloat16":
        raise ValueError(
            "FSDP shards 4-bit weights only if they are packed in the dtype of all other weights: set "
            "`bnb_4bit_quant_storage: bfloat16`, or plan for a machine without FSDP."
        )
    if machine.activation_checkpointing and training.gradient_checkpointing:
        raise ValueError(
            "The machine's `fsdp_activation_checkpointing` and the recipe's `gradient_checkpointing` do the same "
            "thing: set one of them to false."
        )
    moments = Moments(shape, training, machine)
    at = {name: (*parts, *_allowance(parts, machine)) for name, parts in moments.each().items()}
    totals = {name: sum(part.bytes for part in parts) for name, parts in at.items()}
    moment = max(totals, key=lambda name: totals[name])
    gpu = Need(moment, tuple(part for part in at[moment] if part.bytes or part.name in _STATE), machine.gpu_memory)
    return MemoryPlan(gpu, moments.host(), totals, moments.state.trained * machine.tensor)


def checkpoint_bytes(trained_parameters: int, *, optimizer: str = "adamw_torch_fused", model_only: bool = False) -> int:
    """The size of one checkpoint on disk: trained weights in float32, and the optimizer's state.

    Example:

    ```python
    >>> checkpoint_bytes(32_763_876_352) / 1e9
    393.166516224

    ```
    """
    state = 0.0 if model_only else OPTIMIZERS[optimizer].state
    return int(trained_parameters * (4 + state))


def _allowance(parts: list[Part], machine: Machine) -> list[Part]:
    alone = machine.gpus == 1
    low, expected, high = (one + (0 if alone else more) for one, more in zip(_CONTEXT, _NCCL, strict=True))
    names = "CUDA and cuBLAS" if alone else "CUDA, cuBLAS and NCCL"
    state = sum(part.bytes for part in parts if part.name in _STATE)
    moving = sum(part.bytes for part in parts) - state
    least, likely, most = (
        int(of_state * state + of_moving * moving)
        for of_state, of_moving in zip(_UNUSED_STATE, _UNUSED_MOVING, strict=True)
    )
    return [
        Part(CONTEXT, expected, f"assumed for {names}", low, high),
        Part(UNUSED, likely, "assumed: what the allocator holds without using it", least, most),
    ]
