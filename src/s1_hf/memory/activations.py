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


def layer_bytes(shape: DecoderShape, training: Training, kind: Numerics, *, adapters_float32: bool = True) -> int:
    """What one layer keeps for backward without checkpointing.

    Args:
        adapters_float32 (`bool`): whether LoRA's factors enter their matmuls in float32, as peft makes them. Under
            FSDP's mixed precision, and with a 4-bit base in TRL, they are bfloat16.
    """
    e, q, k, i = width(kind), shape.queries, shape.keys, shape.intermediate
    per_token = _norms(shape, training.lora, kind) + 2 * e * q + 2 * e * k + 4 * shape.heads
    per_token += (4 if training.lora is None else 3) * e * i
    fixed = 0
    if training.lora is not None:
        per_token += _adapter_inputs(shape, training.lora, adapters_float32)
        if adapters_float32 and kind == "bfloat16" and training.bf16:  # autocast's copies of the factors
            fixed = 2 * lora_parameters(shape, training.lora)
    if kind == "autocast":
        fixed = 2 * shape.linear_parameters
    return training.tokens * per_token + fixed + _mask(shape, training, e)


def checkpoint_layer_bytes(shape: DecoderShape, training: Training, kind: Numerics) -> int:
    """What a checkpointed layer keeps: only its input."""
    return training.tokens * shape.hidden * residual_width(kind)


def lora_parameters(shape: DecoderShape, lora: Lora) -> int:
    """Elements of one layer's adapters: rank x (inputs + outputs) for each map."""
    return sum(lora.rank * sum(shape.linears[name]) for name in lora.targets)


def transient_bytes(shape: DecoderShape, training: Training, kind: Numerics, *, adapters_float32: bool = True) -> int:
    """What is added to `layer_bytes` at the worst moment of a layer's backward, which is in its MLP.

    These are gradients: two tensors as wide as the MLP and one as wide as the residuals. If `down_proj` is frozen, the
    layer does not keep its input, which is a third wide one. With a float32 adapter on `down_proj`, the worst moment is
    when the layer is recomputed: the adapter's input exists in bfloat16 and in float32 (with dropout, twice).

    Derived from the peaks found by benchmarks/training_memory.py; unlike `layer_bytes`, not exact.
    """
    h, i, e = residual_width(kind) * shape.hidden, shape.intermediate, width(kind)
    wide = 2 * e * i
    if training.lora is not None and "down_proj" not in training.lora.targets:
        wide = 3 * e * i
    elif training.lora is not None and adapters_float32:
        wide, h = (2 + 4 + 4 * (training.lora.dropout > 0)) * i, 5 * h
    return training.tokens * (wide + h)


def mask_bytes(training: Training) -> int:
    """The boolean mask shared by all layers: one byte per row and pair of positions."""
    return training.per_device_batch_size * training.max_length**2 if training.masked else 0


def _norms(shape: DecoderShape, lora: Lora | None, kind: Numerics) -> int:
    h = shape.hidden
    if lora is not None:
        both = 2 * (4 * h + 4)
    else:
        both = {"bfloat16": 16 * h + 8, "autocast": 26 * h + 8, "float32": 24 * h + 8}[kind]
    if not shape.head_norms:
        return both
    kept = 4 if lora is not None else 8 if kind == "float32" else 6
    return both + kept * (shape.queries + shape.keys) + 4 * (shape.heads + shape.kv_heads)


def _adapter_inputs(shape: DecoderShape, lora: Lora, float32: bool) -> int:
    """Bytes per token of the inputs of A and of B in all adapters; adapters may share an input."""
    inputs = {name: shape.linears[name][0] for name in lora.targets}
    own = float32 or lora.dropout > 0  # each has its own copy: in another dtype, or with other zeros
    kept = sum(2 * lora.rank for _ in inputs)
    if own:
        kept += sum(2 * n for n in inputs.values())
    else:
        kept += 2 * shape.hidden * any(name in inputs for name in ("q_proj", "k_proj", "v_proj"))
        kept += 2 * shape.hidden * any(name in inputs for name in ("gate_proj", "up_proj"))
        kept += 2 * shape.intermediate * ("down_proj" in inputs)  # o_proj's input is attention's result, kept anyway
    return kept + (sum(inputs.values()) if lora.dropout else 0)  # CUDA's dropout keeps a mask of one byte per element


def _mask(shape: DecoderShape, training: Training, e: int) -> int:
    """Given a mask, sdpa keeps a numeric copy of it per layer, and keys and values repeated for every query head."""
    if not training.masked:
        return 0
    repeated = (
        training.tokens * 2 * e * (shape.queries - shape.keys) if shape.kv_heads > 1 else 0
    )  # a single head is a view
    return e * training.per_device_batch_size * training.max_length**2 + repeated
