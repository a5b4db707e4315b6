"""The worst moments of a training step, and what is on a GPU at each of them."""

from __future__ import annotations

from dataclasses import dataclass

from s1_hf.memory import activations
from s1_hf.memory.activations import Numerics, lora_parameters, residual_width, width
from s1_hf.memory.machine import Machine
from s1_hf.memory.shape import DecoderShape
from s1_hf.memory.training import OPTIMIZERS, Lora, Training

# Tiles of TRL 1.16's fused loss, in trl/kernels/chunked_logprob.py and trl/trainer/utils.py.
_TILE_TOKENS, _TILE_VOCABULARY = 4096, 32768
_OFFLOAD_STASH = 5  # tensors on their way: max_fwd_stash_size in trl/models/activation_offloading.py


@dataclass(frozen=True)
class Part:
    """One line of a plan: bytes on each GPU."""

    name: str
    bytes: int
    formula: str


class Moments:
    """The parts of a plan, by moment. Every number is bytes on one GPU."""

    def __init__(self, shape: DecoderShape, training: Training, machine: Machine) -> None:
        self.shape, self.training, self.machine = shape, training, machine
        self.lora: Lora | None = training.lora
        self.sharded = machine.sharding != "none"
        self.kind: Numerics = activations.numerics(training, self.sharded)
        self.e, self.residual = width(self.kind), residual_width(self.kind)
        self.adapters_float32 = training.bf16 and not self.sharded and not (self.lora and self.lora.four_bit)
        adapters = lora_parameters(shape, self.lora) * shape.layers if self.lora else 0
        self.trained = adapters or shape.parameters
        self.frozen = shape.parameters if self.lora else 0
        self.checkpointed = training.gradient_checkpointing or machine.activation_checkpointing

    def trained_width(self) -> int:
        """Bytes of a trained parameter, and of its gradient."""
        if self.lora is not None and self.lora.four_bit:
            return 2
        if self.training.bf16 and (self.sharded or self.lora is not None):
            return 4
        return 4 if self.training.dtype == "float32" else 2

    def always(self) -> list[Part]:
        """What is there at every moment."""
        weights, gradients, state = self.shards()
        on_host = self.machine.offload
        shards = f" / {self.machine.shards} GPUs" if self.sharded else ""
        w = self.trained_width()
        base = f"{self.frozen:,} frozen + " if self.frozen else ""
        trained = f"{self.trained:,}"
        extra, note = self.unsharded_gradients()
        return [
            Part(
                "weights",
                0 if on_host else weights,
                "in host memory" if on_host else f"{base}{trained} x {w} B{shards}",
            ),
            Part(
                "gradients",
                extra + (0 if on_host else gradients),
                ("in host memory" if on_host else f"{trained} x {w} B{shards}") + note,
            ),
            Part(
                "optimizer state",
                0 if on_host else state,
                "in host memory"
                if on_host
                else f"{trained} x {state * self.machine.shards / self.trained:.3g} B{shards}",
            ),
        ]

    def shards(self) -> tuple[int, int, int]:
        """Weights, gradients and optimizer state of one GPU's part."""
        w, n = self.trained_width(), self.machine.shards
        state = OPTIMIZERS[self.training.optimizer][0] * w / 4 * self.trained
        return (self.trained * w + self.frozen_bytes()) // n, self.trained * w // n, int(state / n)

    def frozen_bytes(self) -> int:
        """The base of LoRA, of all GPUs together."""
        per = 4 if self.training.dtype == "float32" else 2
        if self.lora is None or not self.lora.four_bit:
            return self.frozen * per
        quantised = self.shape.layers * self.shape.linear_parameters
        scales = 1 / 64 + 4 / (64 * 256) if self.lora.nested else 4 / 64
        return int(quantised * (0.5 + scales)) + (self.frozen - quantised) * per

    def unsharded_gradients(self) -> tuple[int, str]:
        """Gradients held whole: FSDP's between accumulated batches, or the buckets of DDP."""
        if self.sharded and self.training.accumulation_steps > 1 and not self.training.sync_each_batch:
            return self.e * self.trained, f" + {self.e} B whole, for want of sync_each_batch"
        if not self.sharded and self.machine.gpus > 1:
            return self.trained_width() * self.trained, " + as much in DDP's buckets"
        return 0, ""

    def each(self) -> dict[str, list[Part]]:
        """What is there besides at each moment."""
        kept = Part("activations kept", self.kept_bytes(), self.kept_formula())
        moments = {
            "loss": [self.gathered_in_loss(), kept, Part("loss", self.loss_bytes(), self.loss_formula())],
            "backward of a layer": [self.gathered_in_layer(), kept, self.layer()],
        }
        if self.kind == "autocast" and self.checkpointed:
            t, s = self.training.tokens, self.shape
            casts = Part(
                "gathered weights", 2 * s.layers * s.linear_parameters, "autocast's bfloat16 copies of all linear maps"
            )
            running = Part("activations of one layer", t * (8 * s.intermediate + 12 * s.hidden), "T (8 i + 12 h)")
            moments["end of forward"] = [casts, kept, running]
        temporaries = int(OPTIMIZERS[self.training.optimizer][1] * self.trained) // self.machine.shards
        if temporaries and not self.machine.offload:
            moments["optimizer step"] = [Part("optimizer step", temporaries, "4 B per trained parameter, not fused")]
        return moments

    def gathered_in_loss(self) -> Part:
        """FSDP: head, final norm and the last layer (prefetched), in the width of computation."""
        if not self.sharded:
            return Part("gathered weights", 0, "none: each GPU has all weights")
        if self.machine.sharding == "gradients":
            return self.all_gathered()
        # With peft, accelerate does not find the final norm, whose hook would gather the head, and TRL does by itself.
        heads = 2 if self.lora else 1
        size = self.e * (heads * self.shape.embedding + self.shape.hidden + self.layer_elements())
        return Part("gathered weights", size, f"{'head, twice,' if self.lora else 'head'} and one layer, {self.e} B")

    def gathered_in_layer(self) -> Part:
        """FSDP: two layers, and the gradients on their way."""
        s = self.shape
        if not self.sharded:
            buffers = (
                0
                if self.lora
                else 6 * s.hidden * s.intermediate
                if self.kind == "autocast"
                else 2 * s.hidden * s.intermediate
            )
            if self.lora is not None and self.lora.four_bit:
                buffers = 2 * s.hidden * s.intermediate
            return Part("gathered weights", buffers, "one matrix: its gradient, or its weights out of 4 bits")
        gradient = lora_parameters(s, self.lora) if self.lora else s.hidden * s.intermediate
        waiting = gradient if self.lora else max(s.embedding + s.hidden, s.layer_parameters)
        if self.machine.sharding == "gradients":
            return self.all_gathered(gradient + waiting)
        size = self.e * (2 * self.layer_elements() + gradient + waiting)
        return Part("gathered weights", size, f"two layers, a gradient, the last one being reduced, {self.e} B")

    def all_gathered(self, more: int = 0) -> Part:
        """Without `reshard_after_forward`."""
        size = self.e * (self.shape.parameters + (self.trained if self.lora else 0) + more)
        return Part("gathered weights", size, f"all layers, for want of reshard_after_forward, {self.e} B")

    def layer_elements(self) -> int:
        """Parameters that FSDP gathers for one layer."""
        return self.shape.layer_parameters + (lora_parameters(self.shape, self.lora) if self.lora else 0)

    def layer_kept(self) -> int:
        """What one layer keeps if it is not checkpointed."""
        return activations.layer_bytes(self.shape, self.training, self.kind, adapters_float32=self.adapters_float32)

    def layer(self) -> Part:
        """The layer whose backward runs."""
        moving = activations.transient_bytes(
            self.shape, self.training, self.kind, adapters_float32=self.adapters_float32
        )
        again = self.layer_kept() if self.checkpointed else 0
        return Part(
            "activations of one layer", again + moving, "computed again, and gradients" if again else "gradients"
        )

    def kept_bytes(self) -> int:
        """Between forward and backward, on the GPU."""
        s, t = self.shape, self.training
        rotary = 2 * self.residual * s.head_dim * t.max_length
        if not t.activation_offloading:
            return s.layers * self.kept_per_layer() + rotary + activations.mask_bytes(t)
        on_way = min(_OFFLOAD_STASH, s.layers) * activations.checkpoint_layer_bytes(s, t, self.kind)
        if not self.checkpointed:  # the widest tensors; those that two maps share stay, as that code says
            on_way = _OFFLOAD_STASH * t.tokens * self.e * s.intermediate
            on_way += s.layers * t.tokens * self.e * (2 * s.hidden + s.queries)
        return on_way + rotary + activations.mask_bytes(t)

    def kept_per_layer(self) -> int:
        """Between forward and backward, of one layer."""
        if self.checkpointed:
            return activations.checkpoint_layer_bytes(self.shape, self.training, self.kind)
        return self.layer_kept()

    def kept_formula(self) -> str:
        """What is kept, in words."""
        what = f"{self.residual} T h" if self.checkpointed else f"{self.kept_per_layer() // self.training.tokens:,} T"
        where = ", most of it in host memory" if self.training.activation_offloading else ""
        return f"{self.shape.layers} layers x {what} B{where}"

    def loss_bytes(self) -> int:
        """Final norm, loss and the head's gradient."""
        s, t, e = self.shape, self.training.tokens, self.e
        norm = t * ((6 if self.kind == "bfloat16" else 8) * s.hidden + 4)
        if self.training.logits == "full":
            cast = 0 if self.sharded or self.kind != "autocast" else 2 * s.embedding
            return norm + t * (12 * s.vocabulary + 2 * self.residual * s.hidden) + cast
        scored = t * (2 * self.residual * s.hidden + 64)  # the norm's result, and of it the positions with a label
        gradient = t * (4 if self.residual == 4 else 6) * s.hidden
        tile = e * min(t, _TILE_TOKENS) * _TILE_VOCABULARY
        head = 0 if self.lora else (4 if self.residual == 4 else 6) * s.embedding
        return norm + scored + gradient + tile + head

    def loss_formula(self) -> str:
        """The loss, in words."""
        if self.training.logits == "full":
            return f"12 B x T x {self.shape.vocabulary:,} logits"
        head = "" if self.lora else ", the head's gradient"
        return f"tiles of {_TILE_TOKENS} x {_TILE_VOCABULARY}, T (14 h + ...){head}"

    def host(self) -> int:
        """Host memory of one node: offloaded state and activations, and the whole model while it is loaded or saved."""
        machine, local = self.machine, self.machine.gpus_per_node
        state = sum(self.shards()) * local if machine.offload else 0
        whole = self.trained * self.trained_width() + self.frozen_bytes()
        loading = whole * (1 if machine.one_loads else local) + (self.shards()[0] * local if machine.offload else 0)
        saving = state + (self.trained * (4 + 2) if self.lora is None else 0)  # gathered on the main process, then cast
        offloaded = 0
        if self.training.activation_offloading:
            size = self.kept_per_layer()  # pinned memory comes in powers of two
            offloaded = self.shape.layers * (1 << (size - 1).bit_length()) * local
        return max(loading, saving, state + offloaded)
