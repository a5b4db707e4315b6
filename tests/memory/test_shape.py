"""A model's dimensions, from its config."""

import pytest
from families_of_models import FAMILIES, config_of, nested_gemma
from fine_tunes import NAME_7B, NAME_32B, P
from transformers import (
    AutoModelForCausalLM,
    DeepseekV3Config,
    GptOssConfig,
    MambaConfig,
    MixtralConfig,
    Qwen2Config,
    Qwen3MoeConfig,
)

from s1_hf import memory
from s1_hf.memory import shape


@pytest.mark.parametrize(("name", "parameters"), [(NAME_32B, P), (NAME_7B, 7_615_616_512)])
def test_shipped_configs_have_the_published_number_of_parameters(name, parameters):
    config, source = memory.read_config(name)
    assert memory.decoder_shape(config).parameters == parameters
    assert source in ("config shipped with s1-hf", "local cache of the hub")


def test_a_tied_head_counts_once():
    sizes = {"hidden_size": 16, "intermediate_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2}
    sizes |= {"num_key_value_heads": 1, "vocab_size": 100}
    tied, untied = (memory.decoder_shape(Qwen2Config(**sizes, tie_word_embeddings=tie)) for tie in (True, False))
    assert untied.parameters - tied.parameters == 100 * 16


def test_an_unverified_architecture_is_refused():
    with pytest.raises(ValueError, match="llama, mistral, qwen2.*but this one is 'mamba'"):
        memory.decoder_shape(MambaConfig())


@pytest.mark.parametrize("method", ["gptq", "bitsandbytes", "compressed-tensors"])
def test_weights_that_are_quantised_are_refused(method):
    config = config_of("qwen3", 2, quantization_config={"quant_method": method})
    with pytest.raises(ValueError, match=f"quantised .{method}.*`load_in_4bit`"):
        memory.decoder_shape(config)


def test_a_model_that_cannot_be_built_is_refused():
    with pytest.raises(ValueError, match="No model can be built from this config"):
        memory.decoder_shape(Qwen2Config(hidden_size=0))


def test_without_a_network_a_local_folder_is_asked_for(monkeypatch):
    def offline(*args, **kwargs):
        raise OSError("no way there")

    monkeypatch.setattr(shape, "config_of_model", offline)
    with pytest.raises(ValueError, match="No config of 'nobody/nothing'.*--model_name_or_path FOLDER"):
        memory.read_config("nobody/nothing")


def real_parameters(config):
    """Those of the model with its weights."""
    return sum(p.numel() for p in AutoModelForCausalLM.from_config(config).parameters())


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("tied", [True, False])
def test_parameters_are_those_of_the_model(family, tied):
    config = config_of(family, 3, tie_word_embeddings=tied)
    found = memory.decoder_shape(config)
    assert found.parameters == real_parameters(config)
    assert found.layers_parameters <= 3 * found.layer_parameters
    embeddings = (2 - tied) * found.embedding + found.hidden  # with the last norm
    assert found.parameters == embeddings + found.layers_parameters


def test_a_vision_tower_is_counted_beside_the_text_model():
    config = nested_gemma()
    found = memory.decoder_shape(config)
    assert (found.hidden, found.layers, found.parameters) == (64, 2, real_parameters(config))


@pytest.mark.parametrize(
    ("config", "billions", "experts"),
    [
        (MixtralConfig(sliding_window=None), 46.702792704, (8, 2, 14_336)),
        (
            Qwen3MoeConfig(
                num_hidden_layers=48, num_attention_heads=32, num_key_value_heads=4, head_dim=128, num_experts=128
            ),
            30.532122624,
            (128, 8, 768),
        ),
        (GptOssConfig(), 116.829156672, (128, 4, 2_880)),
        (DeepseekV3Config(), 671.026404352, (256, 8, 2_048)),
    ],
    ids=["Mixtral-8x7B", "Qwen3-30B-A3B", "gpt-oss-120b", "DeepSeek-V3"],
)
def test_published_mixtures_of_experts_have_their_published_sizes(config, billions, experts):
    found = memory.decoder_shape(config)
    assert found.parameters == billions * 1e9
    assert (found.experts.count, found.experts.chosen, found.experts.intermediate) == experts


def test_deepseeks_first_layers_have_no_experts():
    found = memory.decoder_shape(DeepseekV3Config())
    assert (found.experts.layers, found.experts.shared, found.latent.keys) == (58, 2_048, 512)


def test_experts_are_not_quantised():
    """bitsandbytes replaces linear maps; the experts of a layer are one tensor."""
    found = memory.decoder_shape(config_of("mixtral", 2))
    assert found.quantisable == 2 * (2 * 64 * 64 + 2 * 64 * 32)
    assert found.quantisable < found.layers_parameters / 4


def test_windows_are_counted_where_layers_have_them():
    assert memory.decoder_shape(config_of("gemma3_text", 12)).windowed_layers == 10  # five of six
    assert memory.decoder_shape(config_of("mistral", 4, sliding_window=8)).windowed_layers == 4
    assert memory.decoder_shape(config_of("qwen2", 4, sliding_window=8)).windowed_layers == 0  # use_sliding_window


def test_a_part_of_a_model_under_tensor_parallelism_keeps_the_whole_embedding():
    whole = memory.decoder_shape(config_of("llama", 2))
    part = whole.split(2)
    assert (part.heads, part.kv_heads, part.intermediate) == (2, 1, 80)
    assert part.parameters == whole.parameters - whole.layers_parameters // 2
