"""Rows of every kind of cache: sweeps and thinned batches on every architecture that generates text."""

from __future__ import annotations

import logging
import warnings

import pytest
import torch
from transformers import DynamicCache, QuantizedCache

from s1_hf import Budget, ThinkingFormat, generate, sweep
from s1_hf.generation import decoding
from s1_hf.generation.cache_rows import rows_of_cache, take_rows
from sweep_models import Pushed, random_model
from tiny_models import architectures, layer_kinds, tiny_model
from toys import toy_tokenizer

# Architectures that are left out, and why.
ENCODER_DECODER = "it is an encoder-decoder, which `check_model` refuses"
NEEDS_IMAGE = "its `generate` or `forward` takes no text without an image"
NEEDS_TIMM = "its vision tower is timm's, which is not installed; its text model is tested by itself, or a plain Qwen2"
NO_MODEL = "its default configuration makes no model, or one that cannot generate: "
REFUSED = "it mixes up the rows of a batch; `sweep` refuses it"
LEFT_OUT = {
    "blt": NO_MODEL + "BltConfig has no num_hidden_layers, which `generate` asks for",
    "blip": NEEDS_IMAGE,
    "blip-2": NEEDS_IMAGE,
    "diffusion_gemma": "it does not write token after token, but by diffusion",
    "dots3_note": NO_MODEL + "its per_layer_config names layers 25 to 41; its text model is tested (dots3_note_text)",
    "ernie4_5_vl_moe": "its rotary embedding splits a head in fixed parts of 44 and 20, larger than a tiny head",
    "fast_vlm": NEEDS_TIMM,
    "florence2": ENCODER_DECODER,
    "gemma3n": NEEDS_TIMM,
    "gemma4_assistant": "a draft model, which reads another model's states",
    "gemma4_unified_assistant": "a draft model, which reads another model's states",
    "granite4_vision": NO_MODEL + "it wants a deepstack_layer_map",
    "hunyuan_vl": NO_MODEL + "its rotary embedding wants an mrope_section",
    "idefics": NEEDS_IMAGE,
    "instructblip": NEEDS_IMAGE,
    "instructblipvideo": NEEDS_IMAGE,
    "kosmos-2": NEEDS_IMAGE,
    "molmo2": NO_MODEL + "its adapter names layers 18 and 24 of the vision tower",
    "muse_spark": NO_MODEL + "its vision tower wants one patch size for each layer; muse_glimmer has the same layers",
    "musicgen": "it writes audio codes",
    "musicgen_melody": "it writes audio codes",
    "nemotron_h_omni": NO_MODEL + "its vision tower lacks a temporal patch size; its text model is tested (nemotron_h)",
    "perception_lm": NEEDS_TIMM,
    "pi0": "it writes a robot's actions, and has no `generate`",
    "pix2struct": ENCODER_DECODER,
    "pp_formulanet": ENCODER_DECODER,
    "qwen2_5_omni_thinker": NO_MODEL + "it lacks a vision_start_token_id",
    "qwen3_omni_moe_thinker": NO_MODEL + "it lacks a vision_start_token_id",
    "rwkv": REFUSED,
    "t5gemma2": ENCODER_DECODER,
    "udop": ENCODER_DECODER,
    "vision-encoder-decoder": ENCODER_DECODER,
    "xlnet": REFUSED,
}

TOKENIZER = toy_tokenizer("opened")
FORMAT = ThinkingFormat.from_tokenizer(TOKENIZER)
PROMPTS = ["ab", "a longer one"]
SETTINGS = [Budget(max_thinking_tokens=4), Budget(), Budget(num_ignores=1)]


@pytest.fixture
def thins_soon(monkeypatch):
    """Batches of any size are thinned out, and looked at often."""
    monkeypatch.setattr(decoding, "SMALLEST", 2)
    monkeypatch.setattr(decoding, "EVERY", 4)


@pytest.mark.parametrize("model_type", sorted(architectures().keys() - LEFT_OUT.keys()))
def test_a_sweep_of_every_architecture_equals_separate_runs_token_for_token(model_type, thins_soon, caplog):
    """One batch, whose rows are doubled and leave, beside `generate`'s own loop with all rows to the end."""
    caplog.set_level(logging.CRITICAL)
    options = {"max_new_tokens": 15, "max_answer_tokens": 3, "logits_processor": [Pushed(FORMAT.ends, 200.0)]}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what single models deprecate
        model = tiny_model(model_type, len(TOKENIZER) + 3)
        result = sweep(model, TOKENIZER, PROMPTS, settings=SETTINGS, **options)
        for setting, completions in zip(result.settings, result.completions, strict=True):
            assert list(completions) == generate(model, TOKENIZER, PROMPTS, budget=setting, **options), setting.name


def test_what_is_left_out_exists():
    assert LEFT_OUT.keys() <= architectures().keys()
