"""Every architecture of the installed transformers that generates text, as a tiny random model that forgets soon."""

from __future__ import annotations

from typing import Any

import torch
from transformers import (
    MODEL_FOR_CAUSAL_LM_MAPPING,
    MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING,
    DynamicCache,
    PretrainedConfig,
    PreTrainedModel,
)

# What makes a model large, and what it is here; windows are shorter than what is generated, so that they forget.
SMALL: dict[str, Any] = {
    **dict.fromkeys(("hidden_size", "d_model", "n_embd", "embedding_size", "word_embed_proj_dim", "embed_dim"), 32),
    **dict.fromkeys(("input_embedding_size", "attention_hidden_size", "lru_width", "emb_dim", "mamba_d_ssm"), 32),
    **dict.fromkeys(("intermediate_size", "ffn_dim", "encoder_ffn_dim", "decoder_ffn_dim", "dim_ff", "dff"), 32),
    **dict.fromkeys(("moe_intermediate_size", "shared_expert_intermediate_size", "intermediate_size_mlp"), 32),
    **dict.fromkeys(("shared_intermediate_size", "moe_shared_expert_intermediate_size", "dense_intermediate_size"), 32),
    **dict.fromkeys(("num_attention_heads", "n_head", "n_heads", "num_heads", "encoder_attention_heads"), 4),
    **dict.fromkeys(("decoder_attention_heads", "num_key_value_heads", "num_kv_heads", "attention_heads"), 4),
    **dict.fromkeys(("swa_num_attention_heads", "swa_num_key_value_heads", "linear_num_key_heads"), 4),
    **dict.fromkeys(("linear_num_value_heads", "linear_num_heads", "num_query_groups"), 4),
    **dict.fromkeys(("head_dim", "swa_head_dim", "v_head_dim", "qk_rope_head_dim", "qk_nope_head_dim"), 8),
    **dict.fromkeys(("linear_key_head_dim", "linear_value_head_dim", "linear_head_dim", "attention_head_dim"), 8),
    **dict.fromkeys(("kv_lora_rank", "q_lora_rank", "rotary_dim", "kv_channels", "index_head_dim"), 8),
    **dict.fromkeys(("num_experts", "num_local_experts", "n_routed_experts", "moe_num_experts"), 4),
    **dict.fromkeys(("num_experts_per_tok", "moe_topk", "moe_k"), 2),
    **dict.fromkeys(("sliding_window", "sliding_window_size", "attention_window_size", "window_size"), 5),
    **dict.fromkeys(("local_attention", "attention_chunk_size", "keep_window_size"), 6),
    **dict.fromkeys(("max_position_embeddings", "n_positions", "n_ctx", "max_seq_len", "model_max_length"), 256),
    **dict.fromkeys(("mamba_d_state", "state_size", "ssm_state_size", "time_step_rank", "mamba_dt_rank"), 4),
    **dict.fromkeys(("chunk_size", "mamba_chunk_size"), 8),
    **dict.fromkeys(("encoder_layers", "decoder_layers", "depth", "num_encoder_layers", "num_decoder_layers"), 1),
    **dict.fromkeys(("n_group", "topk_group", "num_nextn_predict_layers"), 1),
    **dict.fromkeys(("pad_token_id", "bos_token_id", "eos_token_id", "decoder_start_token_id"), 0),
    "mamba_n_heads": 4, "mamba_d_head": 16, "n_inner": None, "index_topk": 4, "index_n_heads": 2, "qk_head_dim": 16,
    "hidden_size_per_layer_input": 8, "laurel_rank": 4, "initializer_range": 0.4, "out_hidden_size": 32,
    "text_hidden_size": 32,
}  # fmt: skip

_ROPE = {"rope_type": "default", "rope_theta": 1e4}
_HALF = _ROPE | {"partial_rotary_factor": 0.5}
_MROPE = {"rope_parameters": _ROPE | {"mrope_section": [2, 1, 1]}}

# What single architectures want besides.
SPECIAL: dict[str, dict[str, Any]] = {
    "bamba": {"attn_layer_indices": [1]},
    "chameleon": {"vocabulary_map": {"<image>": 5}},
    "deepseek_ocr2": {"mlp_layer_types": ["dense", "sparse"]},
    "dbrx": {"attn_config": {"kv_n_heads": 2, "clip_qkv": 8, "rope_theta": 1e4}},
    "dots1": {"n_shared_experts": 1},
    "falcon_h1": {"mamba_d_ssm": 64},
    "gemma3n_text": {
        "layer_types": ["sliding_attention", "full_attention"] * 2,
        "num_hidden_layers": 4,
        "num_kv_shared_layers": 2,
        "activation_sparsity_pattern": [0.0] * 4,
        "intermediate_size": [32] * 4,
    },
    "glm5_next": {"index_kpool": 2},
    "gpt_neo": {"attention_types": [[["global", "local"], 1]]},
    "granitemoehybrid": {"layer_types": ["mamba", "attention"]},
    "jamba": {"attn_layer_period": 2, "attn_layer_offset": 1, "expert_layer_period": 2, "expert_layer_offset": 1},
    "lfm2": {"layer_types": ["conv", "full_attention"]},
    "lfm2_moe": {"layer_types": ["conv", "full_attention"]},
    "mamba2": {"head_dim": 16, "n_groups": 1},
    "ernie4_5_vl_moe": {"moe_intermediate_size": [32, 32]},
    "mimo_v2_flash": {
        "num_attention_heads": 8,
        "rope_parameters": {"full_attention": _HALF, "sliding_attention": _HALF},
    },
    "mistral4": {"qk_head_dim": 16, "head_dim": 16},
    "qwen4_exp_text": {
        "indexer_n_heads": 2,
        "indexer_kv_heads": 1,
        "indexer_head_dim": 8,
        "indexer_budget": 4,
        "indexer_compress_ratio": 2,
        "hc_lowrank": 8,
        "ple_embed_dim": 8,
        "ngram_vocab_size_base": 50,
    },
    "cohere_compass": {"rope_parameters": {"full_attention": _ROPE}},
    "cohere_compass_text": {"rope_parameters": {"full_attention": _ROPE}},
    "recurrent_gemma": {"num_hidden_layers": 3},
    "reformer": {"is_decoder": True, "axial_pos_embds": False, "feed_forward_size": 32, "attention_head_size": 8},
    "xmod": {"default_language": "en_XX"},
    "xlstm": {"hidden_size": 128, "ffn_round_up_to_multiple_of": 8},
    "zamba": {
        "layers_block_type": ["linear_attention", "hybrid", "hybrid"],
        "num_hidden_layers": 3,
        "attention_hidden_size": 64,
        "attention_head_dim": 16,
    },
    "zamba2": {
        "layers_block_type": ["linear_attention", "hybrid", "hybrid"],
        "num_hidden_layers": 3,
        "attention_hidden_size": 64,
        "attention_head_dim": 16,
    },
    "zaya": {"num_experts_per_tok": 1},
    **dict.fromkeys(("glm46v", "glm4v", "glm_ocr", "glmga", "paddleocr_vl", "qwen2_vl", "qwen2_5_vl"), _MROPE),
    "glm4v_moe": {"rope_parameters": _MROPE["rope_parameters"] | {"mrope_section": [1, 1, 0]}},
}


def architectures() -> dict[str, tuple[type[PretrainedConfig], type[PreTrainedModel]]]:
    """By model type, the classes of its configuration and of its model that generates text."""
    found = {}
    for mapping in (MODEL_FOR_CAUSAL_LM_MAPPING, MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING):
        for config in mapping:
            cls = mapping[config]
            found.setdefault(config.model_type, (config, cls[0] if isinstance(cls, tuple) else cls))
    return found


def tiny_config(cls: type[PretrainedConfig], **fields: Any) -> PretrainedConfig:
    """A configuration with every size made small, and a layer of each kind that the default one has.

    Args:
        **fields: more of it, and of the configurations in it.
    """
    default = cls()
    given = default.to_dict() | {name: None for name in cls.attribute_map if name not in cls.sub_configs}
    fields = SPECIAL.get(cls.model_type, {}) | fields
    small = {name: value for name, value in SMALL.items() if given.get(name, 0) != 0 or "token" in name}
    for name in cls.sub_configs:
        if getattr(default, name, None) is not None:
            own = fields if name == "text_config" else {key: value for key, value in fields.items() if "vocab" in key}
            small[name] = tiny_config(type(getattr(default, name)), **own).to_dict()
    kinds = given.get("layer_types") or given.get("layers_block_type")
    if kinds:
        places = sorted({kinds.index(kind) for kind in kinds})
        places = places if len(places) > 1 else places * 2
        for name, value in given.items():
            if isinstance(value, list) and len(value) == len(kinds):
                small[name] = [value[place] for place in places]
        small["num_hidden_layers"] = len(places)
    else:
        small |= dict.fromkeys(("num_hidden_layers", "n_layer", "n_layers", "num_layers"), 2)
    rope = given.get("rope_parameters")
    if isinstance(rope, dict) and "mrope_section" in rope:
        small["rope_parameters"] = rope | {"mrope_section": [2, 1, 1]}
    small = {name: value for name, value in (small | fields).items() if name in given}
    return cls(**small)


def tiny_model(model_type: str, vocab_size: int) -> PreTrainedModel:
    """A random model of that type, in float32."""
    config_class, cls = architectures()[model_type]
    config = tiny_config(config_class, vocab_size=vocab_size, vocab_size_per_layer_input=vocab_size)
    text_config = config.get_text_config(decoder=True)
    if not isinstance(config, cls.config_class) and isinstance(text_config, cls.config_class):
        config = text_config  # the text model of one that sees
    torch.manual_seed(0)
    model = cls(config).float().eval()
    model.generation_config.eos_token_id = None
    return model


def layer_kinds(config: PretrainedConfig) -> set[str]:
    """What the layers of its cache are called."""
    return {type(layer).__name__ for layer in DynamicCache(config=config.get_text_config(decoder=True)).layers}
