"""What a layer keeps: the formulas, compared with what autograd keeps."""

import random
from dataclasses import replace

import pytest
import torch
from families_of_models import FAMILIES, config_of
from transformers import AutoModelForCausalLM, LlamaConfig, MistralConfig, Qwen2Config, Qwen3Config, SmolLM3Config

from s1_hf import memory
from s1_hf.memory import Lora, Training, activations
from s1_hf.memory.training import ALL_LINEAR


def kept_by_autograd(model, ids, mask=None, *, bf16=True):
    """Bytes of the storages saved by the decoder's forward pass, each once, without parameters."""
    own = {tensor.untyped_storage().data_ptr() for tensor in (*model.parameters(), *model.buffers())}
    kept = {}

    def pack(tensor):
        if tensor.untyped_storage().data_ptr() not in own:
            kept[tensor.untyped_storage().data_ptr()] = tensor  # held, so that no address comes twice
        return tensor

    decoder = (model.get_base_model() if hasattr(model, "get_base_model") else model).model
    with (
        torch.autograd.graph.saved_tensors_hooks(pack, lambda t: t),
        torch.autocast("cpu", torch.bfloat16, enabled=bf16),
    ):
        decoder(input_ids=ids, attention_mask=mask, use_cache=False)
    return sum(tensor.untyped_storage().nbytes() for tensor in kept.values())


def kept_by_a_layer(config_class, training, seed, *, adapters_float32=True):
    """Measured and predicted bytes of one layer, of random width, as the difference of two models."""
    rng = random.Random(seed)
    head_dim, kv_heads = rng.choice([8, 16, 32]), rng.choice([1, 2, 3])
    heads = kv_heads * rng.choice([1, 2, 4])
    sizes = {"hidden_size": heads * head_dim, "head_dim": head_dim, "intermediate_size": rng.randrange(16, 300, 8)}
    sizes |= {"num_attention_heads": heads, "num_key_value_heads": kv_heads, "vocab_size": 50}
    sizes |= dict.fromkeys(("bos_token_id", "eos_token_id", "pad_token_id"), 0)
    training = replace(training, max_length=rng.randrange(9, 70))
    ids = torch.zeros(training.per_device_batch_size, training.max_length, dtype=torch.long)
    mask = torch.ones_like(ids).index_fill(1, torch.tensor([0]), 0) if training.masked else None
    measured = []
    for layers in (1, 2):
        config = config_class(num_hidden_layers=layers, **sizes)
        model = AutoModelForCausalLM.from_config(config, dtype=getattr(torch, training.dtype)).train()
        if training.lora is not None:
            model = with_adapters(model, training.lora, adapters_float32)
        if training.gradient_checkpointing:
            enable_checkpointing(model)
        measured.append(kept_by_autograd(model, ids, mask, bf16=training.bf16))
    kind, dimensions = activations.numerics(training, sharded=False), memory.decoder_shape(config)
    if training.gradient_checkpointing:
        return measured[1] - measured[0], activations.checkpoint_layer_bytes(dimensions, training, kind)
    predicted = activations.layer_bytes(dimensions, training, kind, adapters_float32=adapters_float32)
    return measured[1] - measured[0], predicted


def enable_checkpointing(model):
    new = getattr(model, "activation_checkpointing_enable", None)  # transformers' new name; the old one warns
    (new or model.gradient_checkpointing_enable)({"use_reentrant": False})


def with_adapters(model, lora, float32):
    peft = pytest.importorskip("peft")
    config = peft.LoraConfig(r=lora.rank, target_modules=list(lora.targets), task_type="CAUSAL_LM")
    model = peft.get_peft_model(model, config, autocast_adapter_dtype=float32)
    model.enable_input_require_grads()
    return model


@pytest.mark.parametrize(
    "settings", [{"dtype": "bfloat16"}, {}, {"bf16": False}], ids=["bfloat16", "autocast", "float32"]
)
@pytest.mark.parametrize("config_class", [Qwen2Config, Qwen3Config, LlamaConfig, MistralConfig, SmolLM3Config])
@pytest.mark.parametrize("checkpointing", [False, True])
def test_a_layer_keeps_what_the_formula_says_to_the_byte(config_class, settings, checkpointing):
    for seed in range(2):
        training = Training(1, gradient_checkpointing=checkpointing, **settings)
        measured, predicted = kept_by_a_layer(config_class, training, seed)
        assert measured == predicted


@pytest.mark.parametrize("targets", [ALL_LINEAR, ("q_proj", "v_proj"), ("up_proj", "down_proj")])
@pytest.mark.parametrize("adapters_float32", [True, False])
@pytest.mark.parametrize("config_class", [Qwen2Config, Qwen3Config])
def test_a_layer_with_adapters_keeps_what_the_formula_says_to_the_byte(config_class, targets, adapters_float32):
    training = Training(1, gradient_checkpointing=False, dtype="bfloat16", lora=Lora(4, targets))
    for seed in range(2):
        measured, predicted = kept_by_a_layer(config_class, training, seed, adapters_float32=adapters_float32)
        assert measured == predicted


def test_padding_adds_a_mask_and_repeated_keys_to_the_byte():
    training = Training(1, per_device_batch_size=2, gradient_checkpointing=False, dtype="bfloat16")
    for seed in (0, 3, 5, 6):  # as many keys as queries, fewer, one
        measured, predicted = kept_by_a_layer(Qwen2Config, training, seed)
        assert measured == predicted


@pytest.mark.parametrize(
    "settings", [{"dtype": "bfloat16"}, {}, {"bf16": False}], ids=["bfloat16", "autocast", "float32"]
)
@pytest.mark.parametrize("family", [name for name, family in FAMILIES.items() if not family.exact])
def test_a_layer_of_another_family_keeps_about_what_the_formula_says(family, settings):
    training = Training(150, gradient_checkpointing=False, **settings)
    ids = torch.arange(150)[None] % 50
    measured = []
    for layers in (2, 3):
        config = config_of(family, layers)
        model = AutoModelForCausalLM.from_config(config, dtype=getattr(torch, training.dtype)).train()
        measured.append(kept_by_autograd(model, ids, bf16=training.bf16))
    kind, dimensions = activations.numerics(training, sharded=False), memory.decoder_shape(config)
    predicted = activations.layer_bytes(dimensions, training, kind, windowed=dimensions.windowed_layers > 0)
    assert not dimensions.exact
    assert predicted == pytest.approx(measured[1] - measured[0], rel=0.1)


@pytest.mark.parametrize("window", [8, 500])
def test_a_window_takes_a_mask_for_longer_rows_to_the_byte(window):
    measured = []
    for layers in (1, 2):
        config = config_of("mistral", layers, sliding_window=window)
        model = AutoModelForCausalLM.from_config(config, dtype=torch.bfloat16).train()
        measured.append(kept_by_autograd(model, torch.zeros(1, 100, dtype=torch.long), bf16=False))
    training = Training(100, gradient_checkpointing=False, dtype="bfloat16", bf16=False)
    predicted = activations.layer_bytes(memory.decoder_shape(config), training, "bfloat16", windowed=True)
    assert measured[1] - measured[0] == predicted
