"""A model's dimensions, from its config only: parameters are counted on the meta device, where they use no memory."""

from __future__ import annotations

from dataclasses import dataclass, replace
from importlib.resources import files
from pathlib import Path
from typing import Any, Literal

import torch
from transformers import AutoModelForCausalLM, PreTrainedConfig

from s1_hf.finding import config_of_model

# Decoders whose layers keep exactly what `activations` predicts; tests/memory/test_activations.py measures each.
CHECKED = ("llama", "mistral", "qwen2", "qwen3", "smollm3")
# Those for which the same test finds less than a tenth of difference.
CLOSE = (
    *("deepseek_v3", "gemma", "gemma2", "gemma3", "gemma3_text", "gpt_oss"),
    *("ministral3", "mixtral", "qwen2_moe", "qwen3_moe"),
)
CONFIGS = Path(str(files("s1_hf"))) / "memory" / "configs"


@dataclass(frozen=True)
class Experts:
    """A layer's mixture of experts.

    Args:
        count, chosen (`int`): experts of a layer, and how many of them each token goes through.
        intermediate (`int`): width of one expert.
        shared (`int`): width of the expert that every token goes through; 0 if there is none.
        layers (`int`): number of layers that have experts; the others have a dense MLP.
        more (`int`): tensors as wide as an expert that are kept beside gate, up, silu(gate) and their product, where
            gate and up are clamped (gpt-oss).
    """

    count: int
    chosen: int
    intermediate: int
    shared: int = 0
    layers: int = 0
    more: int = 0


@dataclass(frozen=True)
class Latent:
    """DeepSeek's attention: ranks of the compressed queries (0 if they are not) and keys, and the width of a value."""

    queries: int
    keys: int
    value_dim: int


@dataclass(frozen=True)
class DecoderShape:
    """Dimensions of a decoder with gated MLPs, RMS norms and rotary positions.

    Args:
        parameters (`int`): number of parameters in the whole model; an embedding that is also the head counts once.
        layer_parameters (`int`): number of parameters in the largest decoder layer, with all its experts.
        head_norms (`bool`): whether queries and keys are normalised per head (Qwen3, Gemma 3).
        layers_parameters (`int`): number of parameters in all decoder layers together.
        quantisable (`int`): elements of all layers' linear maps that bitsandbytes quantises: not those of experts.
        experts (`Experts`, *optional*): of a mixture of experts.
        latent (`Latent`, *optional*): of DeepSeek's attention.
        norm (`str`): `"gemma"` keeps its norms in float32 up to their weight, and has twice as many.
        norms (`int`): norms of the layer's width in a layer.
        window (`int`): positions that the attention of `windowed_layers` looks back; 0 if there is no window.
        attention (`str`): what transformers uses unless asked for another: `"eager"` keeps every weight.
        scores (`str`): whether attention's scores go through tanh (`"softcap"`, Gemma 2), or have a column of their own
            that takes what is left over (`"sinks"`, gpt-oss).
        exact (`bool`): whether the formulas for activations were found to be exact for this kind of model.
    """

    hidden: int
    intermediate: int
    layers: int
    heads: int
    kv_heads: int
    head_dim: int
    vocabulary: int
    head_norms: bool
    parameters: int
    layer_parameters: int
    layers_parameters: int
    quantisable: int
    experts: Experts | None = None
    latent: Latent | None = None
    norm: Literal["llama", "gemma"] = "llama"
    norms: int = 2
    window: int = 0
    windowed_layers: int = 0
    attention: str = "sdpa"
    scores: Literal["plain", "softcap", "sinks"] = "plain"
    exact: bool = True

    @property
    def queries(self) -> int:
        """Total width of the query heads."""
        return self.heads * self.head_dim

    @property
    def keys(self) -> int:
        """Total width of the key heads, which equals that of the value heads."""
        return self.kv_heads * self.head_dim

    @property
    def embedding(self) -> int:
        """Number of elements in the embedding matrix, and in the head."""
        return self.vocabulary * self.hidden

    @property
    def linears(self) -> dict[str, tuple[int, int]]:
        """Input and output widths of a layer's linear maps, in the order of the forward pass; not those of experts."""
        h, q, k = self.hidden, self.queries, self.keys
        i = self.experts.shared if self.experts else self.intermediate
        attention = {"q_proj": (h, q), "k_proj": (h, k), "v_proj": (h, k), "o_proj": (q, h)}
        mlp = {"gate_proj": (h, i), "up_proj": (h, i), "down_proj": (i, h)}
        return attention | (mlp if i else {})

    @property
    def linear_parameters(self) -> int:
        """Number of elements in a layer's weight matrices."""
        if self.experts or self.latent:
            return self.layer_parameters  # all but a few norms
        return sum(inputs * outputs for inputs, outputs in self.linears.values())

    def split(self, parts: int) -> DecoderShape:
        """What one of `parts` GPUs of tensor parallelism computes: some of the heads, and a part of each MLP."""
        experts = self.experts and replace(
            self.experts,
            intermediate=-(-self.experts.intermediate // parts),
            shared=-(-self.experts.shared // parts),
        )
        return replace(
            self,
            intermediate=-(-self.intermediate // parts),
            heads=-(-self.heads // parts),
            kv_heads=-(-self.kv_heads // parts),
            layer_parameters=-(-self.layer_parameters // parts),
            layers_parameters=-(-self.layers_parameters // parts),
            quantisable=-(-self.quantisable // parts),
            parameters=self.parameters - self.layers_parameters + -(-self.layers_parameters // parts),
            experts=experts,
        )


def quantised(config: PreTrainedConfig) -> str | None:
    """How published weights are quantised, where they stay so when they are loaded for training.

    Those of mxfp4 and fp8 do not in general: transformers makes them bfloat16 where a kernel for them is lacking.
    """
    said = getattr(config, "quantization_config", None)
    method = said.get("quant_method") if isinstance(said, dict) else getattr(said, "quant_method", None)
    method = getattr(method, "value", method)
    return None if method in (None, "mxfp4", "fp8") else str(method)


def decoder_shape(config: PreTrainedConfig) -> DecoderShape:
    """The dimensions in a transformers config; parameters are counted in the model that it builds.

    Raises:
        ValueError: the model is not a causal language model, or its layers keep other tensors than the formulas say: a
            wrong "fits" costs more than no answer.
    """
    if config.model_type not in (*CHECKED, *CLOSE):
        raise ValueError(
            f"Memory can be planned for models of type {', '.join((*CHECKED, *CLOSE))}, for which the formulas were "
            f"verified, but this one is {config.model_type!r}. Train it for one step on the longest row, with "
            "`--max_steps 1 --expected_steps none`, and read `torch.cuda.max_memory_allocated()`."
        )
    if method := quantised(config):
        raise ValueError(
            f"Memory can be planned for unquantised weights, but this model's are quantised ({method}): name the "
            "repository or folder that these were made from; `load_in_4bit` quantises it for adapters."
        )
    text: Any = config.get_text_config()
    gemma = config.model_type.startswith("gemma")
    act = getattr(text, "hidden_activation", None) or getattr(text, "hidden_act", None)
    if act not in (("gelu_pytorch_tanh",) if gemma else ("silu",)):
        raise ValueError(
            f"`hidden_act` has to be {'gelu_pytorch_tanh' if gemma else 'silu'}, as in the verified models, but is "
            f"{act!r}."
        )
    model = _on_meta(config)
    layers = _decoder(model).layers
    sizes = [sum(p.numel() for p in layer.parameters()) for layer in layers]
    latent = _latent(text)
    head_dim = getattr(text, "head_dim", None) or text.hidden_size // text.num_attention_heads
    window, windowed = _window(text)
    return DecoderShape(
        hidden=text.hidden_size,
        intermediate=text.intermediate_size,
        layers=text.num_hidden_layers,
        heads=text.num_attention_heads,
        kv_heads=text.num_key_value_heads,
        head_dim=text.qk_head_dim if latent else head_dim,
        vocabulary=text.vocab_size,
        head_norms=hasattr(layers[0].self_attn, "q_norm"),
        parameters=sum(p.numel() for p in model.parameters()),  # shared parameters count once
        layer_parameters=max(sizes),
        layers_parameters=sum(sizes),
        quantisable=sum(
            m.weight.numel() for layer in layers for m in layer.modules() if isinstance(m, torch.nn.Linear)
        ),
        experts=_experts(layers, text),
        latent=latent,
        norm="gemma" if gemma else "llama",
        norms=sum("layernorm" in name for name, _ in layers[0].named_children()),
        window=window,
        windowed_layers=windowed,
        attention=str(model.config._attn_implementation),
        scores=_scores(text),
        exact=config.model_type in CHECKED,
    )


def _on_meta(config: PreTrainedConfig) -> Any:
    try:
        with torch.device("meta"):
            model = AutoModelForCausalLM.from_config(config)
    except (ArithmeticError, RuntimeError) as error:
        raise ValueError(f"No model can be built from this config: {error}.") from error
        model.tie_weights()  # transformers 5.0 does not do it on this device
    return model


def _decoder(model: Any) -> Any:
    decoder = model.get_decoder()
    return getattr(decoder, "language_model", decoder)  # beside a vision tower


def _experts(layers: Any, text: Any) -> Experts | None:
    mixed = [layer for layer in layers if hasattr(layer.mlp, "experts")]
    if not mixed:
        return None
    mlp = mixed[-1].mlp
    count, size = mlp.experts.down_proj.shape[0], mlp.experts.down_proj.numel()
    shared = getattr(mlp, "shared_experts", None) or getattr(mlp, "shared_expert", None)
    return Experts(
        count=count,
        chosen=text.num_experts_per_tok,
        intermediate=size // (count * text.hidden_size),
        shared=shared.down_proj.in_features if shared is not None else 0,
        layers=len(mixed),
        more=3 if text.model_type == "gpt_oss" else 0,
    )


def _scores(text: Any) -> Literal["plain", "softcap", "sinks"]:
    if getattr(text, "attn_logit_softcapping", None):
        return "softcap"
    return "sinks" if text.model_type == "gpt_oss" else "plain"


def _latent(text: Any) -> Latent | None:
    if not getattr(text, "kv_lora_rank", None):
        return None
    return Latent(text.q_lora_rank or 0, text.kv_lora_rank, text.v_head_dim)


def _window(text: Any) -> tuple[int, int]:
    """The window, and the number of layers that have it."""
    window = getattr(text, "sliding_window", None)
    if not window or getattr(text, "use_sliding_window", True) is False:
        return 0, 0
    kinds = getattr(text, "layer_types", None)
    return window, kinds.count("sliding_attention") if kinds else text.num_hidden_layers


def read_config(source: str, revision: str = "main") -> tuple[PreTrainedConfig, str]:
    """A model's config and where it was found: in a folder, the local cache, this package or the Hub, tried in order.

    The package ships the configs of its recipes' models, because the shape of a published model does not change and
    asking the Hub without a network takes half a minute.

    Raises:
        ValueError: none of these places has a config.
    """
    if Path(source).is_dir():
        return config_of_model(source), f"folder {source}"
    try:
        return config_of_model(source, revision=revision, local_files_only=True), "local cache of the hub"
    except OSError:
        pass  # not in the cache
    shipped = CONFIGS / source
    if (shipped / "config.json").is_file():
        return config_of_model(shipped), "config shipped with s1-hf"
    try:
        return config_of_model(source, revision=revision), "hub"
    except OSError as error:
        raise ValueError(
            f"No config of {source!r} was found: it is neither a folder nor in the local cache, and the Hub does not "
            "have it or cannot be reached. Without a network, name a local folder that contains the model's "
            "config.json: --model_name_or_path FOLDER"
        ) from error
