"""What outlives a batch on a GPU: weights, gradients and optimizer state."""

from __future__ import annotations

from s1_hf.memory.activations import lora_parameters, numerics, width
from s1_hf.memory.machine import Machine
from s1_hf.memory.parts import Part
from s1_hf.memory.shape import DecoderShape
from s1_hf.memory.training import OPTIMIZERS, Training


class State:
    """Bytes per parameter, times the number of parameters, divided by GPUs.

    Under FSDP2 with mixed precision, trained weights become float32 whatever dtype they were loaded in, and gradients
    are reduced in bfloat16 and kept in float32 (accelerate 1.15, fsdp2_prepare_model; torch 2.13, foreach_reduce). With
    AdamW, that is 4 + 4 + 8 bytes. LoRA's factors are float32 too (peft), except on a 4-bit base (bfloat16 in TRL).

    Under ZeRO with bf16, weights and gradients are bfloat16, and the optimizer holds float32 weights of its own: 2 + 2
    + 4 + 8 bytes. Stage 1 divides the last two, stage 2 also the gradients, stage 3 all of them; what bitsandbytes
    quantised stays whole.
    """

    def __init__(self, shape: DecoderShape, training: Training, machine: Machine) -> None:
        self.shape, self.training, self.machine = shape, training, machine
        lora = training.lora
        self.sharded = machine.fsdp
        self.whole = self.sharded and training.accumulation_steps > 1 and not training.sync_each_batch
        self.accumulates = training.accumulation_steps > 1 and not self.whole  # where `parts` counts gradients
        # `shape` is one GPU's part of the matrices under tensor parallelism, so that these are too
        self.trained = lora_parameters(shape, lora) * shape.layers if lora else shape.parameters
        self.frozen = shape.parameters if lora else 0
        self.trained_width = 4
        made_float32 = training.bf16 and (self.sharded or lora is not None) and machine.zero is None
        half = training.dtype == "bfloat16" or (training.bf16 and machine.zero is not None)
        if (lora and lora.four_bit) or (half and not made_float32):
            self.trained_width = 2
        self.optimizer = OPTIMIZERS[training.optimizer]

    def parts(self, present: int) -> list[Part]:
        """Weights, gradients and optimizer state on one GPU while `present` trained parameters have gradients."""
        w, trained = self.trained_width, f"{self.trained:,}"
        n, n_gradients, n_weights = self._divisors()
        weights = self.trained * w // n_weights + self._frozen_share()
        state = self.optimizer_bytes() // n
        base = f"{self.frozen:,} frozen + " if self.frozen else ""
        offloaded = {name for name in ("weights", "gradients", "optimizer state") if self._offloaded(name)}
        there = [
            Part("weights", weights, f"{base}{trained} x {w} B{_over(n_weights)}"),
            Part(
                "gradients",
                present * w // n_gradients,
                f"{present:,} x {w} B{_over(n_gradients)}" if present else "none yet",
            ),
            Part("optimizer state", state, f"{trained} x {self.optimizer_bytes() / self.trained:.3g} B{_over(n)}"),
        ]
        there = [Part(part.name, 0, "in host memory") if part.name in offloaded else part for part in there]
        if self.optimizer.paged and "optimizer state" not in offloaded:
            there[2] = Part("optimizer state", 0, "paged: in host memory if the GPU is full", high=0)
        whole, why = self._whole_gradients()
        if whole:
            there.insert(2, Part("whole gradients", whole, why))
        return there

    def optimizer_bytes(self) -> int:
        """Of all trained parameters; under ZeRO with its float32 copy of the weights."""
        per = self.trained_width if self.machine.zero is None else 4
        each = self.optimizer.state * per / 4
        total = int(each * self.trained)
        if self.optimizer.embedding is not None and self.training.lora is None:
            total += int((self.optimizer.embedding * per / 4 - each) * self.shape.embedding)
        if self.machine.zero is not None and self.trained_width == 2:
            total += 4 * self.trained
        return total

    def frozen_bytes(self) -> int:
        """bitsandbytes quantises the layers' matrices, with a float32 scale per 64 elements. Nested, a scale takes 1
        byte, with a float32 per 256 scales."""
        lora, per = self.training.lora, 2 if self.training.dtype == "bfloat16" else 4
        if lora is None or not lora.four_bit:
            return self.frozen * per
        quantised = self.shape.quantisable
        scales = 1 / 64 + 4 / (64 * 256) if lora.nested else 4 / 64
        return int(quantised * (0.5 + scales)) + (self.frozen - quantised) * per

    def _divisors(self) -> tuple[int, int, int]:
        """By how many GPUs optimizer state, gradients and weights are divided."""
        n, zero = self.machine.shards, self.machine.zero
        if zero is None:
            return n, n, n
        return n, n if zero.stage >= 2 else 1, n if zero.stage >= 3 else 1

    def _frozen_share(self) -> int:
        lora, whole = self.training.lora, self.frozen_bytes()
        if lora is not None and lora.four_bit and self.machine.zero is not None:
            return whole
        return whole // self._divisors()[2]

    def _offloaded(self, name: str) -> bool:
        zero = self.machine.zero
        if zero is None:
            return self.machine.offload
        return zero.offload_weights if name == "weights" else zero.offload_optimizer

    def _whole_gradients(self) -> tuple[int, str]:
        """Gradients that each GPU holds for all parameters."""
        if self.whole:
            e = width(numerics(self.training, self.sharded))
            return e * self.trained, f"{self.trained:,} x {e} B: accumulated without sync_each_batch"
        if self.machine.sharding == "none" and self.machine.data_ranks > 1:
            return self.trained_width * self.trained, "buckets of DistributedDataParallel"
        return 0, ""


def _over(gpus: int) -> str:
    return f" / {gpus} GPUs" if gpus > 1 else ""
