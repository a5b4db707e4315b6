"""A model's dimensions, from its config."""

import pytest
from fine_tunes import NAME_7B, NAME_32B, P
from transformers import MambaConfig, Qwen2Config

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


def test_without_a_network_a_local_folder_is_asked_for(monkeypatch):
    def offline(*args, **kwargs):
        raise OSError("no way there")

    monkeypatch.setattr(shape.AutoConfig, "from_pretrained", offline)
    with pytest.raises(ValueError, match="No config of 'nobody/nothing'.*--model_name_or_path FOLDER"):
        memory.read_config("nobody/nothing")
