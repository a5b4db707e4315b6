"""What outlives a batch: weights, gradients and optimizer state, on each GPU and in host memory."""

from __future__ import annotations

from dataclasses import dataclass

from s1_hf.memory.activations import lora_parameters, numerics, width
from s1_hf.memory.machine import Machine
from s1_hf.memory.shape import DecoderShape
from s1_hf.memory.training import OPTIMIZERS, Training


@dataclass(frozen=True)
class Part:
    """One line of a plan: bytes on each GPU, and the formula behind them."""

    name: str
    bytes: int
    formula: str


class State:
    """Bytes per parameter, times the number of parameters, divided by GPUs.

    Under FSDP2 with mixed precision, trained weights become float32 whatever dtype they were loaded in, and gradients
    are reduced in bfloat16 and kept in float32 (accelerate 1.15, fsdp2_prepare_model; torch 2.13, foreach_reduce). With
    AdamW, that is 4 + 4 + 8 bytes. LoRA's factors are float32 too (peft), except on a 4-bit base (bfloat16 in TRL).
    """

    def __init__(self, shape: DecoderShape, training: Training, machine: Machine) -> None:
        self.shape, self.training, self.machine = shape, training, machine
        lora = training.lora
        self.sharded = machine.sharding != "none"
        self.whole = self.sharded and training.accumulation_steps > 1 and not training.sync_each_batch
        self.accumulates = training.accumulation_steps > 1 and not self.whole  # where `parts` counts gradients
        self.trained = lora_parameters(shape, lora) * shape.layers if lora else shape.parameters
        self.frozen = shape.parameters if lora else 0
        self.trained_width = 4
        made_float32 = training.bf16 and (self.sharded or lora is not None)
        if (lora and lora.four_bit) or (training.dtype == "bfloat16" and not made_float32):
            self.trained_width = 2

    def parts(self, present: int) -> list[Part]:
        """Weights, gradients and optimizer state on one GPU while `present` trained parameters have gradients."""
        n, w, trained = self.machine.shards, self.trained_width, f"{self.trained:,}"
        weights, state = (self.trained * w + self._frozen_bytes()) // n, self._optimizer_bytes() // n
        over = f" / {n} GPUs" if self.sharded else ""
        base = f"{self.frozen:,} frozen + " if self.frozen else ""
        if self.machine.offload:
            there = [Part(name, 0, "in host memory") for name in ("weights", "gradients", "optimizer state")]
        else:
            there = [
                Part("weights", weights, f"{base}{trained} x {w} B{over}"),
                Part("gradients", present * w // n, f"{present:,} x {w} B{over}" if present else "none yet"),
                Part("optimizer state", state, f"{trained} x {self._optimizer_bytes() / self.trained:.3g} B{over}"),
            ]
        whole, why = self._whole_gradients()
        if whole:
            there.insert(2, Part("whole gradients", whole, why))
        return there

    def host(self, offloaded_activations: int) -> int:
        """Host memory of one node: what is offloaded, and the whole model while it is loaded or saved.

        The loading processes hold the weights in the dtype in which they are trained. The saving process gathers them
        and casts them to bfloat16.
        """
        local, w = self.machine.gpus_per_node, self.trained_width
        weights = self.trained * w + self._frozen_bytes()
        share = local / self.machine.shards if self.machine.offload else 0
        state = int(share * (weights + self.trained * w + self._optimizer_bytes()))
        loading = weights * (1 if self.machine.one_loads else local) + int(share * weights)
        saving = state + (self.trained * (w + 2) if self.training.lora is None else 0)
        return max(loading, saving, state + offloaded_activations * local)

    def _optimizer_bytes(self) -> int:
        return int(OPTIMIZERS[self.training.optimizer][0] * self.trained_width / 4 * self.trained)

    def _frozen_bytes(self) -> int:
        """bitsandbytes quantises the layers' matrices, with a float32 scale per 64 elements. Nested, a scale takes 1
        byte, with a float32 per 256 scales."""
        lora, per = self.training.lora, 2 if self.training.dtype == "bfloat16" else 4
        if lora is None or not lora.four_bit:
            return self.frozen * per
        quantised = self.shape.layers * self.shape.linear_parameters
        scales = 1 / 64 + 4 / (64 * 256) if lora.nested else 4 / 64
        return int(quantised * (0.5 + scales)) + (self.frozen - quantised) * per

    def _whole_gradients(self) -> tuple[int, str]:
        """Gradients that each GPU holds for all parameters."""
        if self.whole:
            e = width(numerics(self.training, self.sharded))
            return e * self.trained, f"{self.trained:,} x {e} B: accumulated without sync_each_batch"
        if not self.sharded and self.machine.gpus > 1:
            return self.trained_width * self.trained, "buckets of DistributedDataParallel"
        return 0, ""
