"""The worst moments of a training step, and what a GPU holds at each of them."""

from __future__ import annotations

from s1_hf.memory import activations
from s1_hf.memory.activations import lora_parameters, numerics, residual_width, width
from s1_hf.memory.machine import Machine
from s1_hf.memory.shape import DecoderShape
from s1_hf.memory.state import Part, State
from s1_hf.memory.training import OPTIMIZERS, Training

# The tile sizes of TRL 1.16's fused loss, from trl/kernels/chunked_logprob.py and trl/trainer/utils.py.
_TILE_TOKENS, _TILE_VOCABULARY = 4096, 32768
_OFFLOAD_STASH = 5  # tensors in transit: max_fwd_stash_size in trl/models/activation_offloading.py


class Moments:
    """The parts of a plan at each moment; the formulas are in [`plan`]. All numbers are bytes on one GPU."""

    def __init__(self, shape: DecoderShape, training: Training, machine: Machine) -> None:
        self.shape, self.training, self.machine = shape, training, machine
        self.state = State(shape, training, machine)
        self.sharded, self.lora = self.state.sharded, training.lora
        self.kind = numerics(training, self.sharded)
        self.e, self.residual = width(self.kind), residual_width(self.kind)
        self.adapters_float32 = training.bf16 and not self.sharded and not (self.lora and self.lora.four_bit)
        self.checkpointed = training.gradient_checkpointing or machine.activation_checkpointing
        self.rotary = 2 * self.residual * shape.head_dim * training.max_length

    def each(self) -> dict[str, list[Part]]:
        """All parts at each moment. Accumulated gradients exist from the second batch onwards."""
        trained, accumulates = self.state.trained, self.state.accumulates
        head = 0 if self.lora else self.shape.embedding + self.shape.hidden
        none, first = (
            self.state.parts(trained if accumulates else 0),
            self.state.parts(trained if accumulates else head),
        )
        moments = {
            "loss": [*none, self._gathered_in_loss(), self._kept(), self._loss()],
            "backward of the last layer": [*first, self._gathered_in_layer(), self._kept(), self._layer()],
        }
        if not accumulates:
            later = lora_parameters(self.shape, self.lora) if self.lora else self.shape.layer_parameters + head
            end = [self._gathered_in_layer(last=False), self._kept(layers=1), self._layer()]
            moments["backward of the first layer"] = [*self.state.parts(trained - later), *end]
        if self.kind == "autocast" and self.checkpointed:
            moments["end of forward"] = [*none, *self._end_of_forward()]
        if not self.lora:
            moments["backward of the embedding"] = [*self.state.parts(trained), *self._embedding()]
        moments["optimizer step"] = [*self.state.parts(trained), *self._optimizer_step()]
        return moments

    def host(self) -> int:
        """Host memory of one node; pinned memory is allocated in powers of two."""
        offloaded = self.shape.layers * (1 << (self._kept_per_layer() - 1).bit_length())
        return self.state.host(offloaded if self.training.activation_offloading else 0)

    def _kept(self, layers: int | None = None) -> Part:
        """What is kept from forward to backward."""
        per_layer, t = self._kept_per_layer(), self.training
        layers = self.shape.layers if layers is None else layers
        always = self.rotary + activations.mask_bytes(t)
        what = f"{self.residual} T h" if self.checkpointed else f"{per_layer // t.tokens:,} T"
        if not t.activation_offloading:
            return Part("activations kept", layers * per_layer + always, f"{layers} layers x {what} B")
        moving = min(_OFFLOAD_STASH, layers) * per_layer
        if not self.checkpointed:  # tensor by tensor, not by layer; tensors shared by two maps stay on the GPU
            staying = layers * t.tokens * self.e * (2 * self.shape.hidden + self.shape.queries)
            moving = min(moving, _OFFLOAD_STASH * t.tokens * self.e * self.shape.intermediate + staying)
        return Part("activations kept", moving + always, f"those in transit; {layers} x {what} B in host memory")

    def _kept_per_layer(self) -> int:
        if self.checkpointed:
            return activations.checkpoint_layer_bytes(self.shape, self.training, self.kind)
        return self._layer_bytes()

    def _layer_bytes(self) -> int:
        return activations.layer_bytes(self.shape, self.training, self.kind, adapters_float32=self.adapters_float32)

    def _layer(self) -> Part:
        """The layer whose backward is running."""
        moving = activations.transient_bytes(
            self.shape, self.training, self.kind, adapters_float32=self.adapters_float32
        )
        if self.checkpointed:
            return Part("activations of one layer", self._layer_bytes() + moving, "recomputed, with gradients")
        return Part("activations of one layer", moving, "gradients")

    def _end_of_forward(self) -> list[Part]:
        """Autocast keeps its copies of the weights until it ends, with or without checkpointing."""
        s, t = self.shape, self.training.tokens
        casts = Part(
            "gathered weights", 2 * s.layers * s.linear_parameters, "autocast's copies of all linear maps, 2 B"
        )
        running = Part("activations of one layer", t * (8 * s.intermediate + 12 * s.hidden), "T (8 i + 12 h) B")
        return [casts, self._kept(), running]

    def _embedding(self) -> list[Part]:
        """With FSDP: the gathered embedding, its gradient, and the gradient being reduced."""
        each = 3 * self.e if self.sharded else self.state.trained_width * self.state.accumulates
        kept = Part("activations kept", 2 * self.residual * self.training.tokens * self.shape.hidden, "2 gradients")
        return [Part("gathered weights", each * self.shape.embedding, f"embedding or its gradient, {each} B"), kept]

    def _optimizer_step(self) -> list[Part]:
        each = 0.0 if self.machine.offload else OPTIMIZERS[self.training.optimizer][1]
        size = int(each * self.state.trained) // self.machine.shards
        return [Part("optimizer step", size, f"{each:.3g} B per trained parameter, which a fused step does not need")]

    def _gathered_in_loss(self) -> Part:
        """With FSDP: head, final norm and the prefetched last layer, in the dtype of computation."""
        if not self.sharded:
            return Part("gathered weights", 0, "none: each GPU has all weights")
        if self.machine.sharding == "gradients":
            return self._all_gathered()
        # With peft, accelerate does not find the final norm, whose hook would gather the head, so TRL gathers it again.
        heads, words = (2, "head (twice)") if self.lora else (1, "head")
        size = self.e * (heads * self.shape.embedding + self.shape.hidden + self._layer_elements())
        return Part("gathered weights", size, f"{words} and one layer, {self.e} B")

    def _gathered_in_layer(self, *, last: bool = True) -> Part:
        """With FSDP: two layers and the gradients in transit, which after the last layer are the head's."""
        s, matrix = self.shape, self.shape.hidden * self.shape.intermediate
        if not self.sharded:
            return self._one_matrix(matrix)
        gradient = lora_parameters(s, self.lora) if self.lora else matrix
        waiting = gradient if self.lora else max(last * (s.embedding + s.hidden), s.layer_parameters)
        if self.machine.sharding == "gradients":
            return self._all_gathered(gradient + waiting)
        size = self.e * (2 * self._layer_elements() + gradient + waiting)
        return Part("gathered weights", size, f"two layers, a gradient, the previous one being reduced, {self.e} B")

    def _one_matrix(self, elements: int) -> Part:
        """In one process: a matrix's gradient before it is added, or its weights dequantised from 4 bits."""
        if self.lora is not None:
            words = "the largest matrix dequantised, 2 B" if self.lora.four_bit else "none: each GPU has all weights"
            return Part("gathered weights", 2 * elements if self.lora.four_bit else 0, words)
        each = 6 if self.kind == "autocast" else self.e  # in bfloat16, then in float32
        return Part("gathered weights", each * elements, f"the gradient of the largest matrix, {each} B")

    def _all_gathered(self, more: int = 0) -> Part:
        """All layers, as they stay gathered without `reshard_after_forward`."""
        size = self.e * (self.shape.parameters + (self.state.trained if self.lora else 0) + more)
        return Part("gathered weights", size, f"all layers, without reshard_after_forward, {self.e} B")

    def _layer_elements(self) -> int:
        """Parameters that FSDP gathers for one layer."""
        return self.shape.layer_parameters + (lora_parameters(self.shape, self.lora) if self.lora else 0)

    def _loss(self) -> Part:
        """Final norm, loss and the head's gradient."""
        s, t = self.shape, self.training.tokens
        norm = t * ((6 if self.kind == "bfloat16" else 8) * s.hidden + 4)
        if self.training.logits == "full":
            cast = 2 * s.embedding if self.kind == "autocast" else 0
            size = norm + t * (12 * s.vocabulary + 2 * self.residual * s.hidden) + cast
            return Part("loss", size, f"12 B x T x {s.vocabulary:,} logits")
        scored = t * (2 * self.residual * s.hidden + 64)  # the norm's result, and its copy at positions with a label
        both = 4 if self.residual == 4 else 6  # a gradient is first float32, then cast to the dtype of its tensor
        tile = self.e * min(t, _TILE_TOKENS) * _TILE_VOCABULARY
        head = 0 if self.lora else both * s.embedding
        words = f"tiles of {_TILE_TOKENS} x {_TILE_VOCABULARY}, T (16 h + ...) B" + (
            ", the head's gradient" if head else ""
        )
        return Part("loss", norm + scored + t * both * s.hidden + tile + head, words)
