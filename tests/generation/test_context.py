"""The model's context: what configurations say of it, and that nothing beyond it is begun."""

from __future__ import annotations

import shutil
from typing import Any

import pytest
import torch
from transformers import (
    AutoModelForCausalLM,
    Gemma3Config,
    Gemma3TextConfig,
    GenerationConfig,
    GPT2Config,
    LlamaConfig,
    MambaConfig,
    PretrainedConfig,
    Qwen3Config,
    XLNetConfig,
)

from misuse import MODEL
from s1_hf import BudgetForcingLogitsProcessor, budget_forcing, embedded, export_custom_generate, generate, sweep
from s1_hf.generation.context import check_fits, context_of
from toys import ToyConfig, Untouched, toy_tokenizer
from wishes import babbler, length, prompt_of

S1 = toy_tokenizer("s1")
PROMPT = length(S1, prompt_of(S1, "a"))
LONG = length(S1, prompt_of(S1, "b" * 31))


def untouched(context: int) -> Untouched:
    return Untouched(ToyConfig(vocab_size=len(S1), max_position_embeddings=context)).eval()


def scaled(**scaling: Any) -> dict[str, Any]:
    return {"rope_theta": 1e4, **scaling}


@pytest.mark.parametrize(
    ("config", "context"),
    [
        (Qwen3Config(max_position_embeddings=40960), 40960),
        (GPT2Config(n_positions=77), 77),
        (Gemma3Config(text_config=Gemma3TextConfig(max_position_embeddings=99)), 99),  # of the text model within
        (MambaConfig(), None),
        (XLNetConfig(), None),  # says -1
        (PretrainedConfig(), None),
    ],
    ids=lambda value: type(value).__name__,
)
def test_a_context_is_what_the_configuration_says(config, context):
    assert context_of(config) == context


@pytest.mark.parametrize(
    ("scaling", "context"),
    [
        ({"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 1000}, 4000),  # as Qwen's cards ask
        ({"rope_type": "yarn", "factor": 4.0}, 4000),
        (
            {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 250},
            1000,
        ),  # DeepSeek, gpt-oss
        ({"rope_type": "yarn", "factor": 2.0, "original_max_position_embeddings": 250}, 1000),
        ({"rope_type": "linear", "factor": 2.0}, 2000),
        ({"rope_type": "dynamic", "factor": 2.0}, 2000),
        (
            {
                "rope_type": "llama3",
                "factor": 8.0,
                "low_freq_factor": 1.0,
                "high_freq_factor": 4.0,
                "original_max_position_embeddings": 125,
            },
            1000,
        ),
    ],
)
def test_scaled_positions_stretch_the_context(scaling, context):
    assert context_of(LlamaConfig(max_position_embeddings=1000, rope_parameters=scaled(**scaling))) == context


def test_scaling_of_each_kind_of_layer_is_in_the_context_already():
    """Gemma 3 was trained with it."""
    kinds = {"full_attention": scaled(rope_type="linear", factor=8.0), "sliding_attention": scaled(rope_type="default")}
    assert context_of(Gemma3TextConfig(max_position_embeddings=1000, rope_parameters=kinds)) == 1000


def test_a_prompt_fits_to_the_last_token():
    check_fits(90, 10, 100)
    check_fits(99, None, 100)
    check_fits(1_000_000, 1_000_000, None)
    with pytest.raises(ValueError, match=r"prompt of 91 tokens and `max_new_tokens` of 10 .* 1 too many. Lower .* 9"):
        check_fits(91, 10, 100)
    for tokens, new in ((100, None), (100, 10), (5000, 10)):
        with pytest.raises(ValueError, match=f"context of 100 tokens, .* but has {tokens:,}. Shorten it"):
            check_fits(tokens, new, 100)


CALLS = {
    "generate": lambda model, prompts, **options: generate(model, S1, prompts, **options),
    "sweep": lambda model, prompts, **options: sweep(model, S1, prompts, **options),
}


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
@pytest.mark.parametrize(
    ("prompts", "options", "message"),
    [
        ("b" * 31, {}, f"The prompt has to fit into the model's context of {LONG} tokens, .* but has {LONG}"),
        (["a", "b" * 31], {}, f"Prompt 1 has to fit into .* but has {LONG}"),
        (["a", "b" * 30], {"max_new_tokens": 2}, f"Prompt 1 of {LONG - 1} tokens and `max_new_tokens` of 2 .* to 1,"),
        (
            "b" * 30,
            {"generation_config": GenerationConfig(max_new_tokens=2)},
            f"The prompt of {LONG - 1} tokens and `max_new_tokens` of 2",
        ),
        ("a", {"max_new_tokens": LONG}, f"`max_new_tokens` has to leave room for the prompt in .*, but is {LONG}"),
        ("a", {"max_length": LONG + 1}, f"`max_length` has to be at most the model's context of {LONG}, but is"),
    ],
)
def test_what_does_not_fit_is_refused_before_the_model_is_run(call, prompts, options, message):
    with pytest.raises(ValueError, match=message):
        call(untouched(LONG), prompts, **options)


def test_what_just_fits_is_generated():
    model = babbler(S1, ends=False, max_position_embeddings=PROMPT + 9)
    assert len(generate(model, S1, "a", max_new_tokens=9)[0].token_ids) == 9
    assert len(generate(model, S1, "a")[0].token_ids) == 9


@pytest.mark.parametrize("where", ["the model", "a configuration"])
def test_a_budget_in_stock_generate_refuses_it_too(where):
    """`budget_forcing` sees the prompt when `generate` comes with its first scores."""
    model = babbler(S1, ends=False, max_position_embeddings=PROMPT + 8)
    options: dict[str, Any] = {"max_new_tokens": 9}
    if where == "a configuration":
        options = {"generation_config": GenerationConfig(max_new_tokens=9)}
    kwargs = budget_forcing(model, S1, max_thinking_tokens=3, **options)
    inputs = S1(prompt_of(S1, "a"), return_tensors="pt", add_special_tokens=False)
    with pytest.raises(ValueError, match=f"The prompt of {PROMPT} tokens and `max_new_tokens` of 9"):
        model.generate(inputs["input_ids"], **kwargs)


def test_padding_on_the_left_takes_no_room():
    """A row's positions begin behind its padding; without it the same row would not fit."""
    model = babbler(S1, ends=False, max_position_embeddings=PROMPT + 9)
    kwargs = budget_forcing(model, S1, max_thinking_tokens=3, max_new_tokens=9)
    row = S1(prompt_of(S1, "a"), return_tensors="pt", add_special_tokens=False)["input_ids"]
    padded = torch.cat([torch.full((1, 5), S1.pad_token_id), row], dim=1)
    out = model.generate(padded, attention_mask=(padded != S1.pad_token_id).long(), **kwargs)
    assert out.shape[1] == 5 + PROMPT + 9
    with pytest.raises(ValueError, match=f"Prompt 1 of {PROMPT + 5} tokens"):
        model.generate(torch.cat([padded, torch.cat([row[:, :5], row], dim=1)]), **kwargs)


def test_rows_of_one_prompt_are_one_prompt_in_the_message():
    model = babbler(S1, ends=False, max_position_embeddings=LONG + 1)
    kwargs = budget_forcing(model, S1, do_sample=True, num_return_sequences=2, max_new_tokens=2)
    rows = S1([prompt_of(S1, "a"), prompt_of(S1, "b" * 31)], return_tensors="pt", padding=True, padding_side="left")
    with pytest.raises(ValueError, match=f"Prompt 1 of {LONG} tokens"):
        model.generate(**rows, **kwargs)


def test_an_exported_folder_refuses_it_before_the_model_is_run(tmp_path):
    folder = shutil.copytree(embedded.MODEL_PATH, tmp_path / "model")
    export_custom_generate(folder, max_thinking_tokens=20)
    model = AutoModelForCausalLM.from_pretrained(folder, trust_remote_code=True)
    model.forward = None  # must not be run
    ids = torch.full((1, 1020), 5)
    for given in ({"inputs": ids}, {"input_ids": ids}):
        with pytest.raises(ValueError, match="The prompt of 1,020 tokens and `max_new_tokens` of 9 have to fit"):
            model.generate(**given, max_new_tokens=9)


def test_a_bare_processor_refuses_what_it_can_know():
    ids, scores = torch.full((1, 7), 5), torch.zeros(1, len(S1) + 64)
    BudgetForcingLogitsProcessor(S1, num_ignores=1)(ids, scores)  # it knows no context
    BudgetForcingLogitsProcessor(S1, num_ignores=1, context=8)(ids, scores)
    with pytest.raises(ValueError, match="The prompt has to fit into the model's context of 7 tokens"):
        BudgetForcingLogitsProcessor(S1, num_ignores=1, context=7)(ids, scores)


@pytest.mark.parametrize("wrong", [True, 2.5])
def test_a_number_of_new_tokens_is_a_whole_number_above_0(wrong):
    with pytest.raises(ValueError, match="`max_new_tokens` has to be a whole number above 0, but is"):
        generate(MODEL, S1, "a", max_new_tokens=wrong)
