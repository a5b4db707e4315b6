"""Settings, and models in folders. Nothing is downloaded."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import pytest
import torch
from transformers import Qwen2Config, Qwen2ForCausalLM

from s1_hf import embedded
from s1_hf.evaluation import Settings

with suppress(ModuleNotFoundError):  # its own tests skip themselves
    from s1_hf.evaluation.lighteval import run  # noqa: F401  # before any other part of lighteval's pipeline


@pytest.fixture
def settings(tmp_path):
    """Makes the settings of the embedded model in float32, with a store of this test's own."""

    def make(**given) -> Settings:
        return Settings(**{"model": "embedded", "dtype": "float32", "cache_dir": str(tmp_path / "store")} | given)

    return make


@pytest.fixture
def config(tmp_path):
    """The same for lighteval."""
    from lighteval.models.model_input import GenerationParameters

    from s1_hf.evaluation import BudgetForcingConfig

    def make(**settings) -> BudgetForcingConfig:
        generation = {n: settings.pop(n) for n in list(settings) if n in GenerationParameters.model_fields}
        given = {"model_name": str(embedded.MODEL_PATH), "dtype": "float32", "cache_dir": str(tmp_path / "store")}
        return BudgetForcingConfig(**given | settings, generation_parameters=GenerationParameters(**generation))

    return make


@pytest.fixture(scope="session")
def random_model(tmp_path_factory) -> Path:
    """A folder with a random Qwen2 on the embedded model's tokenizer; its Wait is as likely as its end."""
    folder = tmp_path_factory.mktemp("random")
    _, tokenizer = embedded.load()
    shape = {"hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 3, "num_attention_heads": 4}
    config = Qwen2Config(vocab_size=432, num_key_value_heads=2, max_position_embeddings=1024, **shape)
    config.initializer_range = 0.3
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        model = Qwen2ForCausalLM(config)
    model.generation_config.eos_token_id = tokenizer.eos_token_id
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder
