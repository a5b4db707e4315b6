"""A model's dimensions, from its config only: parameters are counted on the meta device, where they use no memory."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

import torch
from transformers import AutoConfig, AutoModelForCausalLM, PreTrainedConfig

# Decoders whose layers keep what `activations` predicts; tests/memory/test_activations.py measures each of them.
CHECKED = ("llama", "qwen2", "qwen3")
CONFIGS = Path(str(files("s1_hf"))) / "memory" / "configs"


@dataclass(frozen=True)
class DecoderShape:
    """Dimensions of a dense decoder with a gated MLP, RMS norms and rotary positions.

    Args:
        parameters (`int`): number of parameters in the whole model; an embedding that is also the head counts once.
        layer_parameters (`int`): number of parameters in one decoder layer.
        head_norms (`bool`): whether queries and keys are normalised per head (Qwen3).
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
        """Input and output widths of a layer's linear maps, in the order of the forward pass."""
        h, i, q, k = self.hidden, self.intermediate, self.queries, self.keys
        return {
            "q_proj": (h, q),
            "k_proj": (h, k),
            "v_proj": (h, k),
            "o_proj": (q, h),
            "gate_proj": (h, i),
            "up_proj": (h, i),
            "down_proj": (i, h),
        }

    @property
    def linear_parameters(self) -> int:
        """Number of elements in a layer's weight matrices."""
        return sum(inputs * outputs for inputs, outputs in self.linears.values())


def decoder_shape(config: PreTrainedConfig) -> DecoderShape:
    """The dimensions in a transformers config.

    Raises:
        ValueError: the model is not a causal language model, or its layers keep other tensors than the formulas say
            (mixtures of experts, sliding windows, ...): a wrong "fits" costs more than no answer.
    """
    if config.model_type not in CHECKED:
        raise ValueError(
            f"Memory can be planned for models of type {', '.join(CHECKED)}, for which the formulas were verified, but "
            f"this one is {config.model_type!r}. Train it for one step on the longest row, with `--max_steps 1 "
            "--expected_steps none`, and read `torch.cuda.max_memory_allocated()`."
        )
    if config.hidden_act != "silu":
        raise ValueError(f"`hidden_act` has to be 'silu', as in the verified models, but is {config.hidden_act!r}.")
    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(config)
        model.tie_weights()  # transformers 5.0 does not do it on this device
    return DecoderShape(
        hidden=config.hidden_size,
        intermediate=config.intermediate_size,
        layers=config.num_hidden_layers,
        heads=config.num_attention_heads,
        kv_heads=config.num_key_value_heads,
        head_dim=getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads,
        vocabulary=config.vocab_size,
        head_norms=config.model_type == "qwen3",
        parameters=sum(p.numel() for p in model.parameters()),  # shared parameters count once
        layer_parameters=sum(p.numel() for p in model.model.layers[0].parameters()),
    )


def read_config(source: str, revision: str = "main") -> tuple[PreTrainedConfig, str]:
    """A model's config and where it was found: in a folder, the local cache, this package or the Hub, tried in order.

    The package ships the configs of its recipes' models, because the shape of a published model does not change and
    asking the Hub without a network takes half a minute.

    Raises:
        ValueError: none of these places has a config.
    """
    if Path(source).is_dir():
        return AutoConfig.from_pretrained(source), f"folder {source}"
    try:
        return AutoConfig.from_pretrained(source, revision=revision, local_files_only=True), "local cache of the hub"
    except OSError:
        pass  # not in the cache
    shipped = CONFIGS / source
    if (shipped / "config.json").is_file():
        return AutoConfig.from_pretrained(shipped), "config shipped with s1-hf"
    try:
        return AutoConfig.from_pretrained(source, revision=revision), "hub"
    except OSError as error:
        raise ValueError(
            f"No config of {source!r} was found: it is neither a folder nor in the local cache, and the Hub does not "
            "have it or cannot be reached. Without a network, name a local folder that contains the model's "
            "config.json: --model_name_or_path FOLDER"
        ) from error
