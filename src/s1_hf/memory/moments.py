"""The worst moments of a training step, and what a GPU holds at each of them."""

from __future__ import annotations

from dataclasses import replace

from s1_hf.memory import activations
from s1_hf.memory.activations import lora_parameters, numerics, residual_width, width
from s1_hf.memory.host import host_need
from s1_hf.memory.machine import Machine
from s1_hf.memory.parts import Need, Part
from s1_hf.memory.shape import DecoderShape
from s1_hf.memory.state import State
from s1_hf.memory.training import OPTIMIZERS, Training

# The tile sizes of TRL 1.16's fused loss, from trl/kernels/chunked_logprob.py and trl/trainer/utils.py.
_TILE_TOKENS, _TILE_VOCABULARY = 4096, 32768
_OFFLOAD_STASH = 5  # tensors in transit: max_fwd_stash_size in trl/models/activation_offloading.py
# How far off the formulas may be where no simulated step was compared with them: for models whose layers keep other
# tensors than the formulas say to the byte, and for what other GPUs send.
_CLOSE, _NOT_SIMULATED = 0.1, 0.2
_LOGIT_BYTES = {"full": 12, "copied": 18}


class Moments:
    """The parts of a plan at each moment; the formulas are in [`plan`]. All numbers are bytes on one GPU."""

    def __init__(self, shape: DecoderShape, training: Training, machine: Machine) -> None:
        self.all_parameters = shape.parameters
        self.shape = shape.split(machine.tensor) if machine.tensor > 1 else shape
        self.whole_rows = training
        self.training, self.machine = _own_tokens(training, machine), machine
        self.state = State(self.shape, training, machine)
        self.sharded, self.lora = self.state.sharded, training.lora
        self.kind = numerics(training, self.sharded or machine.zero is not None)
        self.e, self.residual = width(self.kind), residual_width(self.kind)
        casts = self.sharded or machine.zero is not None or (self.lora is not None and self.lora.four_bit)
        self.adapters_float32 = training.bf16 and not casts
        self.checkpointed = training.gradient_checkpointing or machine.activation_checkpointing
        self.rotary = 2 * self.residual * self.shape.head_dim * self.training.max_length
        self.spread = 0.0 if self.shape.exact and not training.liger else _CLOSE
        if machine.context > 1 or machine.tensor > 1 or machine.zero is not None:
            self.spread = max(self.spread, _NOT_SIMULATED)

    def each(self) -> dict[str, list[Part]]:
        """All parts at each moment, without what is not there."""
        own = self._all()
        return {name: [self._known(part) for part in parts if part is not None] for name, parts in own.items()}

    def _known(self, part: Part) -> Part:
        """With its uncertainty. Nothing of what outlives a batch is uncertain."""
        moves = part.name.startswith(("activations", "gathered", "loss", "keys", "DeepSpeed"))
        return part.within(self.spread) if moves and self.spread else part

    def _all(self) -> dict[str, list[Part | None]]:
        """Accumulated gradients exist from the second batch onwards."""
        trained, accumulates = self.state.trained, self.state.accumulates
        head = 0 if self.lora else self.shape.embedding + self.shape.hidden
        none, first = (
            self.state.parts(trained if accumulates else 0),
            self.state.parts(trained if accumulates else head),
        )
        more = [self._buckets(), self._others()]
        moments: dict[str, list[Part | None]] = {
            "loss": [*none, self._gathered_in_loss(), self._kept(), self._loss(), self._buckets()],
            "backward of the last layer": [*first, self._gathered_in_layer(), self._kept(), self._layer(), *more],
        }
        if not accumulates:
            later = lora_parameters(self.shape, self.lora) if self.lora else self.shape.layer_parameters + head
            end = [self._gathered_in_layer(last=False), self._kept(layers=1), self._layer(), *more]
            moments["backward of the first layer"] = [*self.state.parts(trained - later), *end]
        if self.kind == "autocast" and self.checkpointed:
            moments["end of forward"] = [*none, *self._end_of_forward()]
        if not self.lora:
            moments["backward of the embedding"] = [*self.state.parts(trained), *self._embedding()]
        moments["optimizer step"] = [*self.state.parts(trained), *self._optimizer_step()]
        return moments

    def host(self) -> Need:
        """Host memory of one node; pinned memory is allocated in powers of two."""
        offloaded = self.shape.layers * (1 << (self._kept_per_layer() - 1).bit_length())
        kept = offloaded if self.training.activation_offloading else 0
        return host_need(self.state, self.machine, self.whole_rows, kept, self.all_parameters)

    def _kept(self, layers: int | None = None) -> Part:
        """What is kept from forward to backward."""
        per_layer, t = self._kept_per_layer(), self.training
        windowed = self.shape.windowed_layers if layers is None else 0
        layers = self.shape.layers if layers is None else layers
        always = self.rotary + activations.mask_bytes(self.shape, t)
        if not self.checkpointed:
            always += windowed * (self._layer_bytes(windowed=True) - per_layer)
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

    def _layer_bytes(self, *, windowed: bool = False) -> int:
        return activations.layer_bytes(
            self.shape, self.training, self.kind, adapters_float32=self.adapters_float32, windowed=windowed
        )

    def _layer(self) -> Part:
        """The layer whose backward is running."""
        moving = activations.transient_bytes(
            self.shape, self.training, self.kind, adapters_float32=self.adapters_float32
        )
        moving += activations.pair_bytes(self.shape, self.training, self.kind)
        if self.checkpointed:
            size = self._layer_bytes(windowed=self.shape.windowed_layers > 0)
            return Part("activations of one layer", size + moving, "recomputed, with gradients")
        return Part("activations of one layer", moving, "gradients")

    def _end_of_forward(self) -> list[Part]:
        """Autocast keeps its copies of the weights until it ends, with or without checkpointing."""
        s, t = self.shape, self.training.tokens
        casts = Part(
            "gathered weights",
            2 * s.layers * activations.cast_parameters(s),
            "autocast's copies of all linear maps, 2 B",
        )
        wide = s.experts.chosen * 2 * s.experts.intermediate + s.experts.shared if s.experts else s.intermediate
        running = Part("activations of one layer", t * (8 * wide + 12 * s.hidden), "T (8 i + 12 h) B")
        return [casts, self._kept(), running]

    def _embedding(self) -> list[Part | None]:
        """With FSDP: the gathered embedding, its gradient, and the gradient being reduced."""
        if self.machine.zero is not None:
            kept = Part("activations kept", 2 * self.residual * self.training.tokens * self.shape.hidden, "2 gradients")
            return [self._gathered_by_zero(), kept, self._buckets(self.shape.embedding)]
        each = 3 * self.e if self.sharded else self.state.trained_width * self.state.accumulates
        kept = Part("activations kept", 2 * self.residual * self.training.tokens * self.shape.hidden, "2 gradients")
        return [Part("gathered weights", each * self.shape.embedding, f"embedding or its gradient, {each} B"), kept]

    def _optimizer_step(self) -> list[Part | None]:
        zero, trained = self.machine.zero, self.state.trained
        if zero is not None:  # its gradients are cast to float32 for the step
            own = trained // self.machine.shards
            size = 0 if zero.offload_optimizer else 4 * (min(own, zero.step) if zero.stage == 3 else own)
            return [Part("optimizer step", size, "DeepSpeed's gradients in float32"), self._gathered_by_zero()]
        each = 0.0 if self.machine.offload else OPTIMIZERS[self.training.optimizer].step
        size = int(each * trained) // self.machine.shards
        return [Part("optimizer step", size, f"{each:.3g} B per trained parameter, which a fused step does not need")]

    def _buckets(self, largest: int | None = None) -> Part | None:
        """DeepSpeed: gradients that are collected to be reduced together, and those that just came."""
        zero = self.machine.zero
        if zero is None:
            return None
        largest = self.shape.hidden * self.shape.intermediate if largest is None else largest
        size = self.state.trained_width * (zero.reduce_bucket * (1 if zero.stage == 3 else 2) + largest)
        words = "buckets of gradients" + ("" if zero.stage == 3 else ", two of them")
        return Part("DeepSpeed's buckets", size, f"{words}, {zero.reduce_bucket:,} elements each")

    def _gathered_by_zero(self) -> Part:
        zero = self.machine.zero
        if zero is None or zero.stage < 3:
            return Part("gathered weights", 0, "none: each GPU has all weights")
        s = self.shape
        elements = min(s.parameters, max(zero.live, s.embedding, self._layer_elements()) + zero.prefetched)
        return Part("gathered weights", self.e * elements, f"{elements:,} live and prefetched weights, {self.e} B")

    def _others(self) -> Part | None:
        """What GPUs that share a row exchange: keys and values of all tokens, or all tokens of some heads."""
        machine, s, tokens = self.machine, self.shape, self.training.tokens
        if machine.context == 1:
            return None
        if machine.ulysses:
            size = self.e * tokens * (3 * s.queries + 2 * s.keys)
            return Part("keys of other GPUs", size, "all tokens of some heads, and their gradients")
        size = 2 * 2 * self.e * s.keys * tokens * machine.context
        return Part("keys of other GPUs", size, "keys and values of all tokens, and their gradients")

    def _gathered_in_loss(self) -> Part:
        """With FSDP: head, final norm and the prefetched last layer, in the dtype of computation."""
        if self.machine.zero is not None:
            return self._gathered_by_zero()
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
        if self.machine.zero is not None:
            return self._gathered_by_zero()
        s, matrix = self.shape, self.shape.hidden * self.shape.intermediate
        if s.experts is not None:  # all experts of a layer are one tensor
            matrix = max(matrix, 2 * s.experts.count * s.experts.intermediate * s.hidden)
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
        """Parameters that FSDP gathers for one layer; 4-bit weights are gathered as they are, and count as fewer."""
        if self.lora is None:
            return self.shape.layer_parameters
        own = self.shape.layer_parameters
        if self.lora.four_bit:
            own -= int((1 - 0.57 / self.e) * self.shape.quantisable / self.shape.layers)
        return own + lora_parameters(self.shape, self.lora)

    def _loss(self) -> Part:
        """Final norm, loss and the head's gradient."""
        s, t = self.shape, self.training.tokens
        norm = t * ((6 if self.kind == "bfloat16" else 8) * s.hidden + 4)
        if self.training.logits != "fused":
            each = _LOGIT_BYTES[self.training.logits]
            cast = 2 * s.embedding if self.kind == "autocast" else 0
            size = norm + t * (each * s.vocabulary + 2 * self.residual * s.hidden) + cast
            return Part("loss", size, f"{each} B x T x {s.vocabulary:,} logits")
        scored = t * (2 * self.residual * s.hidden + 64)  # the norm's result, and its copy at positions with a label
        both = 4 if self.residual == 4 else 6  # a gradient is first float32, then cast to the dtype of its tensor
        tile = self.e * min(t, _TILE_TOKENS) * _TILE_VOCABULARY
        head = 0 if self.lora else both * s.embedding
        words = f"tiles of {_TILE_TOKENS} x {_TILE_VOCABULARY}, T (16 h + ...) B" + (
            ", the head's gradient" if head else ""
        )
        return Part("loss", norm + scored + t * both * s.hidden + tile + head, words)


def _own_tokens(training: Training, machine: Machine) -> Training:
    """What one GPU has of a row: context parallelism knows no mask, so that none is made."""
    if machine.context == 1:
        return training
    return replace(training, max_length=-(-training.max_length // machine.context), padding_free=True)
