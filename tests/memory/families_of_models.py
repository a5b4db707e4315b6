"""Small models of every family that is planned for."""

from dataclasses import dataclass, field
from typing import Any

import transformers
from transformers import AutoConfig, PreTrainedConfig

_SIZES = {
    "hidden_size": 64,
    "intermediate_size": 160,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "vocab_size": 50,
    "bos_token_id": 0,
    "eos_token_id": 0,
    "pad_token_id": 0,
}
_EXPERTS = {"num_experts_per_tok": 4, "moe_intermediate_size": 48}
_LATENT = {
    "num_key_value_heads": 4,
    "q_lora_rank": 32,
    "kv_lora_rank": 32,
    "qk_rope_head_dim": 8,
    "qk_nope_head_dim": 8,
    "v_head_dim": 16,
    "n_routed_experts": 16,
    "n_group": 4,
    "topk_group": 2,
    "first_k_dense_replace": 1,
}


@dataclass(frozen=True)
class Family:
    """What differs from the common sizes, and whether the formulas are exact."""

    more: dict[str, Any] = field(default_factory=dict)
    exact: bool = False


FAMILIES = {
    "llama": Family(exact=True),
    "mistral": Family({"head_dim": 16, "sliding_window": None}, exact=True),
    "qwen2": Family(exact=True),
    "qwen3": Family({"head_dim": 32}, exact=True),
    "smollm3": Family(exact=True),
    "deepseek_v3": Family(_EXPERTS | _LATENT),
    "gemma": Family({"head_dim": 16}),
    "gemma2": Family({"head_dim": 32, "sliding_window": 500}),
    "gemma3_text": Family({"head_dim": 32, "sliding_window": 500}),
    "gpt_oss": Family({"head_dim": 16, "num_local_experts": 8, "num_experts_per_tok": 4}),
    "ministral3": Family({"head_dim": 16}),
    "mixtral": Family({"num_local_experts": 8, "num_experts_per_tok": 2}),
    "qwen2_moe": Family(_EXPERTS | {"num_experts": 16, "shared_expert_intermediate_size": 96}),
    "qwen3_moe": Family(_EXPERTS | {"num_experts": 16, "head_dim": 16}),
}


def config_of(family: str, layers: int, **more: Any) -> PreTrainedConfig:
    """A config of `layers` layers."""
    return AutoConfig.for_model(family, **_SIZES | FAMILIES[family].more | {"num_hidden_layers": layers} | more)


def nested_gemma() -> PreTrainedConfig:
    """Gemma 3 with a vision tower, whose text has a config of its own."""
    text = _SIZES | FAMILIES["gemma3_text"].more | {"num_hidden_layers": 2}
    vision = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2}
    return transformers.Gemma3Config(text_config=text, vision_config=vision | {"image_size": 28})
