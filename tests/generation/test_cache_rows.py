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
from s1_hf.generation.decoding import Decoding
from s1_hf.generation.running import Row
from s1_hf.generation.sweep import SweepCall
from sweep_models import Pushed, prompts_of, random_model
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
    "janus": "its `generate` drops the logits processors that it is given",
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


@pytest.mark.parametrize("model_type", sorted(architectures().keys() - LEFT_OUT.keys()))
def test_rows_that_join_others_are_what_they_are_in_batches(model_type, monkeypatch, caplog):
    """Where an architecture allows it: the third of three rows takes the place of the first."""
    caplog.set_level(logging.CRITICAL)
    monkeypatch.setattr(decoding, "EVERY", 2)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = tiny_model(model_type, len(TOKENIZER) + 3)
        joined = rows_of_three(model, refills=True)
        if joined is not None:
            assert joined == rows_of_three(model, refills=False)


def rows_of_three(model, refills: bool) -> dict | None:
    """Ids and reports of three rows of which two run at once; `None` if others could not join them and were to."""
    options = {"format": FORMAT, "max_new_tokens": 10, "logits_processor": [Pushed(FORMAT.ends, 200.0)]}
    prompts = prompts_of(TOKENIZER, [*PROMPTS, "c"])
    call = SweepCall(model, TOKENIZER, prompts, options)
    rows = [Row(i, Budget(max_thinking_tokens=cap)) for i, cap in enumerate((0, 8, 5))]
    decoding = Decoding(model, prompts, rows, call.make, at_once=2, refills=refills)
    ended = list(decoding.next())
    if refills and not decoding.joins:
        return None
    return {done.row.prompt: (done.ids, done.report) for done in [*ended, *decoding.all()]}


def test_what_is_left_out_exists():
    assert LEFT_OUT.keys() <= architectures().keys()


@pytest.mark.parametrize("model_type", [name for name, reason in LEFT_OUT.items() if reason == REFUSED])
def test_models_that_mix_up_the_rows_of_a_batch_are_refused(model_type):
    with pytest.raises(ValueError, match=f"{model_type} of transformers mixes up the rows of a batch. Use `generate`"):
        sweep(tiny_model(model_type, len(TOKENIZER) + 3), TOKENIZER, "ab", max_new_tokens=5)


def test_the_architectures_that_are_tested_have_every_kind_of_layer():
    """Windows, chunks, indices, convolutions, states of one's own, layers that share, and all of it mixed."""
    found = set()
    for model_type in ("gemma3n_text", "llama4_text", "deepseek_v32", "lfm3", "zamba2", "inkling_text"):
        found |= layer_kinds(tiny_model(model_type, len(TOKENIZER) + 3).config)
    assert found == {
        "DummyLayer",
        "DynamicIndexedLayer",
        "DynamicLayer",
        "DynamicSlidingWindowLayer",
        "LinearAttentionAndFullAttentionLayer",
        "LinearAttentionAndSlidingWindowAttentionLayer",
        "LinearAttentionLayer",
    }


def filled(cache, rows: int, tokens: int):
    generator = torch.Generator().manual_seed(0)
    for _ in range(tokens):
        states = torch.randn(2, rows, 1, 1, 32, generator=generator)
        cache.update(states[0], states[1], 0)
    return cache


def test_rows_are_taken_as_often_as_asked_and_the_cache_stays_as_it_is():
    model = random_model("s1", 0)[0]
    cache = filled(DynamicCache(), rows=3, tokens=4)
    before = cache.layers[0].keys.clone()
    taken = rows_of_cache(model, cache, torch.tensor([2, 0, 2, 2]))
    assert torch.equal(taken.layers[0].keys, before[[2, 0, 2, 2]])
    taken.update(torch.zeros(4, 1, 1, 32), torch.zeros(4, 1, 1, 32), 0)
    assert torch.equal(cache.layers[0].keys, before)


def test_rows_of_a_quantised_cache_are_taken_without_quantising_again():
    """8-bit floats, the one backend of transformers that needs no other package."""
    config = random_model("s1", 0)[0].config
    try:
        cache = QuantizedCache("fp8", config)
    except (TypeError, ValueError):
        pytest.skip("this transformers has no 8-bit floats")
    filled(cache, rows=3, tokens=4)
    taken = rows_of_cache(random_model("s1", 0)[0], cache, torch.tensor([1, 1, 0, 2]))
    old, new = (one.layers[0]._quantized_keys[0].float() for one in (cache, taken))
    assert torch.equal(new, old[[1, 1, 0, 2]])
    assert taken.get_seq_length() == 4


def test_what_cannot_say_which_rows_it_holds_is_left_out_with_what_counts_its_tokens():
    carried = {"state": [torch.zeros(2, 3)], "cache_position": torch.tensor([4]), "attention_mask": torch.ones(2, 4)}
    taken, has_cache = take_rows(random_model("s1", 0)[0], carried, torch.tensor([1]), 2)
    assert not has_cache
    assert taken.keys() == {"attention_mask"} and taken["attention_mask"].shape == (1, 4)


def test_positions_of_several_kinds_are_taken_by_row():
    positions = torch.arange(3 * 2 * 4).reshape(3, 2, 4)
    taken, _ = take_rows(random_model("s1", 0)[0], {"position_ids": positions}, torch.tensor([1, 1, 0]), 2)
    assert torch.equal(taken["position_ids"], positions[:, [1, 1, 0]])


@pytest.mark.parametrize("model_type", ["gpt_oss", "lfm3", "mamba2", "minimax", "recurrent_gemma", "deepseek_v4"])
def test_branches_take_turns_on_caches_that_forget(model_type, monkeypatch, caplog):
    """A cap is met with every token, so that some branches have to run while the other rows wait with their cache."""
    caplog.set_level(logging.CRITICAL)
    waited, stock = [], decoding.Decoding._in_turn
    monkeypatch.setattr(
        decoding.Decoding, "_in_turn", lambda *args: waited.append(len(args[2] + args[3])) or stock(*args)
    )
    options = {"max_new_tokens": 14, "logits_processor": [Pushed(FORMAT.ends, 200.0)]}
    settings = [Budget(max_thinking_tokens=cap, num_ignores=9) for cap in (1, 2, 3, 4, 9)]
    model = tiny_model(model_type, len(TOKENIZER) + 3)
    result = sweep(model, TOKENIZER, "ab", settings=settings, **options)
    assert max(waited) > 2
    for setting, completions in zip(result.settings, result.completions, strict=True):
        assert list(completions) == generate(model, TOKENIZER, "ab", budget=setting, **options), setting.name
