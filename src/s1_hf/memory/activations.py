"""The bytes that a decoder layer keeps for its backward pass.

The formulas count the storages that autograd saves, each once and without parameters, as shown by
`torch.autograd.graph.saved_tensors_hooks` with transformers 5.23, peft 0.21 and torch 2.13.
tests/memory/test_activations.py compares them for random shapes; they have to agree to the byte.

For each token (padding included), with hidden width h, MLP width i, total width q of the query heads and k of the key
heads (the value heads have the same), n heads, and e bytes per number (2 in bfloat16):

- each of the two norms keeps a float32 copy of its input (4h), the inverse norm (4), the normalised input before its
  weight (eh) and after it (eh), which is the input of the next linear maps;
- attention (sdpa's flash kernel or flash_attention_2, so no T x T matrix) keeps queries, keys, values and the result
  (2eq + 2ek), and a float32 log-sum per head (4n);
- the MLP keeps gate, up, silu(gate) and the product of up and silu(gate) (4ei).

In bfloat16 the sum is 16h + 8 + 4q + 4k + 4n + 8i. A frozen base (LoRA) does not keep the inputs of its own maps.

Within a tenth of what autograd keeps, not to the byte:

- a mixture of experts keeps, for each of the c experts of a token, its input and output (2eh), and as above 4e times
  an expert's width;
- Gemma's norms are float32 up to their weight (10h + 4), and two of four are added to the residuals (8h + 4);
- DeepSeek's attention keeps the compressed queries and keys and their norms beside what it makes of them;
- eager attention keeps its weights, in float32 and in e bytes: T x T for each head;
- Liger's norms keep their input and output (2eh + 4), and its MLP no silu(gate) (3ei).
"""

from __future__ import annotations

from typing import Literal

from s1_hf.memory.shape import DecoderShape
from s1_hf.memory.training import Lora, Training

# The dtypes of weights and activations:
# - "bfloat16": both are bfloat16, because FSDP casts the weights that it gathers or because they were loaded so.
# - "autocast": float32 weights in one process under `torch.autocast`. Residuals and norms stay in float32; each linear
#   map gets a bfloat16 copy of its input, and one of its weight, which lives until backward.
# - "float32": no mixed precision.
Numerics = Literal["bfloat16", "autocast", "float32"]


def numerics(training: Training, sharded: bool) -> Numerics:
    """Which of the three applies to a run."""
    if training.dtype == "bfloat16" or (training.bf16 and sharded):
        return "bfloat16"
    return "autocast" if training.bf16 else "float32"


def width(kind: Numerics) -> int:
    """Bytes per number inside attention and MLP."""
    return 4 if kind == "float32" else 2


def residual_width(kind: Numerics) -> int:
    """Bytes per number between the layers."""
    return 2 if kind == "bfloat16" else 4


def layer_bytes(
    shape: DecoderShape,
    training: Training,
    kind: Numerics,
    *,
    adapters_float32: bool = True,
    windowed: bool = False,
) -> int:
    """What one layer keeps for backward without checkpointing.

    Args:
        adapters_float32 (`bool`): whether LoRA's factors enter their matmuls in float32, as peft makes them. Under
            FSDP's mixed precision, and with a 4-bit base in TRL, they are bfloat16.
        windowed (`bool`): whether its attention looks back `shape.window` positions, for which longer rows need a mask.
    """
    e = width(kind)
    per_token = _norms(shape, training, kind) + _attention(shape, e) + _mlp(shape, training, kind)
    fixed = 0
    if training.lora is not None:
        per_token += _adapter_inputs(shape, training.lora, adapters_float32)
        if adapters_float32 and kind == "bfloat16" and training.bf16:  # autocast's copies of the factors
            fixed = 2 * lora_parameters(shape, training.lora)
    if kind == "autocast":
        fixed = 2 * cast_parameters(shape)
    masked = training.masked or (windowed and training.max_length > shape.window)
    return training.tokens * per_token + fixed + _pairs(shape, training, kind, masked)


def checkpoint_layer_bytes(shape: DecoderShape, training: Training, kind: Numerics) -> int:
    """What a checkpointed layer keeps: only its input."""
    return training.tokens * shape.hidden * residual_width(kind)


def lora_parameters(shape: DecoderShape, lora: Lora) -> int:
    """Elements of one layer's adapters: rank x (inputs + outputs) for each map that the layer has.

    Raises:
        ValueError: the layer has none of them, or its attention has other maps.
    """
    found = [name for name in lora.targets if name in shape.linears]
    if shape.latent or not found:
        kind = "DeepSeek's attention" if shape.latent else "a layer with experts"
        raise ValueError(f"Adapters on {', '.join(lora.targets)} are not covered for {kind}.")
    return sum(lora.rank * sum(shape.linears[name]) for name in found)


def transient_bytes(shape: DecoderShape, training: Training, kind: Numerics, *, adapters_float32: bool = True) -> int:
    """What is added to `layer_bytes` at the worst moment of a layer's backward, which is in its MLP.

    These are gradients: two tensors as wide as the MLP and one as wide as the residuals. If `down_proj` is frozen, the
    layer does not keep its input, which is a third wide one. With a float32 adapter on `down_proj`, the worst moment is
    when the layer is recomputed: the adapter's input exists in bfloat16 and in float32 (with dropout, twice).

    Derived from the peaks found by benchmarks/training_memory.py; unlike `layer_bytes`, not exact.
    """
    h, i, e = residual_width(kind) * shape.hidden, shape.intermediate, width(kind)
    if shape.experts is not None:
        experts = shape.experts
        i = experts.chosen * experts.intermediate + experts.shared
        h += 2 * e * experts.chosen * shape.hidden
        return training.tokens * (2 * e * i + h)
    wide = 2 * e * i
    if training.lora is not None and "down_proj" not in training.lora.targets:
        wide = 3 * e * i
    elif training.lora is not None and adapters_float32:
        wide, h = (2 + 4 + 4 * (training.lora.dropout > 0)) * i, 5 * h
    return training.tokens * (wide + h)


def mask_bytes(shape: DecoderShape, training: Training) -> int:
    """The boolean masks shared by all layers of a kind: one byte per row and pair of positions."""
    masks = training.masked + (shape.windowed_layers > 0 and training.max_length > shape.window)
    return masks * training.per_device_batch_size * training.max_length**2


def cast_parameters(shape: DecoderShape) -> int:
    """Elements of a layer's weights that autocast copies: those of linear maps, but not of experts."""
    return shape.linear_parameters if shape.experts is None else -(-shape.quantisable // shape.layers)


def pair_bytes(shape: DecoderShape, training: Training, kind: Numerics) -> int:
    """What eager attention adds while its backward runs: gradients of its weights, in float32 and in e bytes."""
    if not _eager(shape, training):
        return 0
    return (4 + width(kind)) * shape.heads * training.per_device_batch_size * training.max_length**2


def _norms(shape: DecoderShape, training: Training, kind: Numerics) -> int:
    h, lora = shape.hidden, training.lora
    if lora is not None:
        both = shape.norms * (4 * h + 4)
    elif training.liger:
        both = 2 * (2 * width(kind) * h + 4) + (shape.norms - 2) * (width(kind) * h + 4)
    elif shape.norm == "gemma":
        each, copies = 8 * h + 4, {"bfloat16": 4, "autocast": 12, "float32": 8}[kind]
        both = shape.norms * each + copies * h
    else:
        both = {"bfloat16": 16 * h + 8, "autocast": 26 * h + 8, "float32": 24 * h + 8}[kind]
    if not shape.head_norms:
        return both
    kept = 4 if lora is not None else 8 if kind == "float32" or shape.norm == "gemma" else 6
    return both + kept * (shape.queries + shape.keys) + 4 * (shape.heads + shape.kv_heads)


def _attention(shape: DecoderShape, e: int) -> int:
    if shape.latent is None:
        return 2 * e * (shape.queries + shape.keys) + 4 * shape.heads
    latent, values = shape.latent, shape.heads * shape.latent.value_dim
    compressed = (8 + e) * (latent.queries + latent.keys)  # with their norms
    return e * (shape.queries + shape.keys + 2 * values) + compressed + 4 * shape.heads


def _mlp(shape: DecoderShape, training: Training, kind: Numerics) -> int:
    each, e = 4 if training.lora is None else 3, width(kind)
    each -= training.liger and training.lora is None
    if shape.experts is None:
        return each * e * shape.intermediate
    experts, wide = shape.experts, residual_width(kind)  # autocast leaves experts in float32
    inputs = 2 * wide * shape.hidden if training.lora is None else 0
    chosen = (each + experts.more) * wide * experts.intermediate + inputs + 4 * 8
    return experts.chosen * chosen + each * e * experts.shared + (4 + e) * experts.count


def _adapter_inputs(shape: DecoderShape, lora: Lora, float32: bool) -> int:
    """Bytes per token of the inputs of A and of B in all adapters; adapters may share an input."""
    inputs = {name: shape.linears[name][0] for name in lora.targets if name in shape.linears}
    own = float32 or lora.dropout > 0  # each has its own copy: in another dtype, or with other zeros
    kept = sum(2 * lora.rank for _ in inputs)
    if own:
        kept += sum(2 * n for n in inputs.values())
    else:
        kept += 2 * shape.hidden * any(name in inputs for name in ("q_proj", "k_proj", "v_proj"))
        kept += 2 * shape.hidden * any(name in inputs for name in ("gate_proj", "up_proj"))
        kept += 2 * inputs.get("down_proj", 0)  # o_proj's input is attention's result, kept anyway
    return kept + (sum(inputs.values()) if lora.dropout else 0)  # CUDA's dropout keeps a mask of one byte per element


def _eager(shape: DecoderShape, training: Training) -> bool:
    return (training.attention or shape.attention) == "eager"


def _pairs(shape: DecoderShape, training: Training, kind: Numerics, masked: bool) -> int:
    """What grows with the pairs of positions.

    Given a mask, sdpa keeps a numeric copy of it per layer, and keys and values repeated for every query head.
    """
    e, pairs = width(kind), training.per_device_batch_size * training.max_length**2
    # a single head is a view
    repeated = training.tokens * 2 * e * (shape.queries - shape.keys) if shape.kv_heads > 1 else 0
    if _eager(shape, training):
        each = {"plain": 4 + e % 4, "softcap": 4 + e % 4 + e, "sinks": e + 4 * (kind == "autocast")}[shape.scores]
        return each * shape.heads * pairs + repeated
    if not masked or (training.attention or shape.attention) != "sdpa":
        return 0
    return e * pairs + repeated
