"""What cannot be done exactly is refused, with what to do."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from s1_hf.vllm.options import PROCESSOR
from s1_hf.vllm.refusals import check_engine, check_request
from s1_hf.vllm.settings import CONFIDENCE, KEY, SEED, SEPARATOR, START, STEP_TOKENS


def params(**fields) -> SimpleNamespace:
    own = {"temperature": 0.0, "top_k": 0, "top_p": 1.0, "min_p": 0.0, "max_tokens": 50, "seed": None}
    own |= {"presence_penalty": 0.0, "frequency_penalty": 0.0, "repetition_penalty": 1.0, "structured_outputs": None}
    own |= {
        "n": 1,
        "thinking_token_budget": None,
        "ignore_eos": False,
        "stop": [],
        "stop_token_ids": [],
        "extra_args": {"num_ignores": 1},
    }
    return SimpleNamespace(**(own | fields))


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"presence_penalty": 0.5}, "`presence_penalty` cannot be combined with a thinking budget"),
        ({"frequency_penalty": 0.5}, "`frequency_penalty` cannot be combined"),
        ({"repetition_penalty": 1.1}, "`repetition_penalty` cannot be combined .* see `loop_guard`"),
        ({"structured_outputs": object()}, "`structured_outputs` cannot be combined"),
        ({"thinking_token_budget": 5}, "`thinking_token_budget` cannot be combined .* Give `max_thinking_tokens`"),
        ({"ignore_eos": True}, "`ignore_eos` cannot be combined"),
        ({"extra_args": {"num_ignores": -1}}, "`num_ignores` has to be an integer of at least 0"),
        ({"extra_args": {"min_thinking_tokens": 51}}, "`min_thinking_tokens` has to fit .* `max_tokens` is 50"),
        ({"extra_args": {KEY: 5}}, f"`{KEY}` has to be a Unicode text"),
        ({"extra_args": {KEY: "\ud800"}}, f"`{KEY}` has to be a Unicode text"),
        ({"extra_args": {SEED: 2**64}}, f"`{SEED}` has to be an integer of 64 bits"),
        ({"extra_args": {SEED: 1}, "n": 2}, f"`{SEED}` would draw the same for each of 2 outputs. Give `seed`"),
        ({"extra_args": {SEPARATOR: ""}}, f"`{SEPARATOR}` has to be a Unicode text of 1 to 32 characters, but is"),
        ({"extra_args": {SEPARATOR: "-" * 65}}, f"`{SEPARATOR}` has to be a Unicode text of 1 to 32 characters"),
        ({"extra_args": {SEPARATOR: 5}}, f"`{SEPARATOR}` has to be a Unicode text"),
        ({"extra_args": {STEP_TOKENS: 0}}, f"`{STEP_TOKENS}` has to be an integer from 1, of 64 bits"),
        ({"extra_args": {STEP_TOKENS: 2**63}}, f"`{STEP_TOKENS}` has to be an integer from 1, of 64 bits"),
        ({"extra_args": {CONFIDENCE: 5}}, f"`{CONFIDENCE}` has to be a list of `top`, or of `top`, `window`"),
        ({"extra_args": {CONFIDENCE: []}}, f"`{CONFIDENCE}` has to be a list"),
        ({"extra_args": {CONFIDENCE: [1, 2]}}, f"`{CONFIDENCE}` has to be a list"),
        ({"extra_args": {CONFIDENCE: [-1]}}, f"`{CONFIDENCE}` has to be a list"),
        ({"extra_args": {CONFIDENCE: [1, 2**16 + 1, 1.0]}}, f"`{CONFIDENCE}` has to be a list"),
        ({"extra_args": {CONFIDENCE: [1, 5, float("inf")]}}, f"`{CONFIDENCE}` has to be a list"),
        ({"extra_args": {CONFIDENCE: [1, 5, "x"]}}, f"`{CONFIDENCE}` has to be a list"),
        ({"extra_args": {KEY: "a", SEED: "5"}}, f"`{SEED}` has to be an integer"),
    ],
)
def test_a_request_that_cannot_be_met_is_refused(fields, message):
    with pytest.raises(ValueError, match=message):
        check_request(params(**fields))


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("num_ignore", "num_ignores"),
        ("max_thinking_token", "max_thinking_tokens"),
        ("max_answer_token", "max_answer_tokens"),
        ("s1_hf_sed", "s1_hf_seed"),
        ("s1_hf_keys", "s1_hf_key"),
    ],
)
@pytest.mark.parametrize("beside", [{}, {"num_ignores": 1}], ids=["alone", "beside a budget"])
def test_a_misspelt_name_is_never_ignored(name, meant, beside):
    with pytest.raises(ValueError, match=f"`{name}` is not an argument. Did you mean `{meant}`"):
        check_request(params(extra_args={**beside, name: 1}))


def test_all_that_begins_like_ours_is_ours_and_nothing_else():
    with pytest.raises(ValueError, match="`s1_hf_anything` is not an argument. Besides the fields of a budget"):
        check_request(params(extra_args={"s1_hf_anything": 1}))
    check_request(params(extra_args={"thinking": 5, "max_tokens": 1, "kv_transfer_params": {}, "lora": "a"}))


def test_a_minimum_counts_what_a_row_that_goes_on_has_thought():
    given = {"min_thinking_tokens": 51, START: [0] * 7}
    check_request(params(extra_args=given))


def test_requests_without_a_budget_may_do_as_they_like():
    check_request(params(extra_args=None, presence_penalty=1.0, ignore_eos=True))
    check_request(params(min_tokens=5, logprobs=3, max_tokens=None))


def config(processors=(PROCESSOR,), runner_type="generate", speculative=None) -> SimpleNamespace:
    model = SimpleNamespace(runner_type=runner_type, logits_processors=list(processors))
    return SimpleNamespace(speculative_config=speculative, model_config=model)


def test_an_engine_that_cannot_be_exact_is_refused():
    check_engine(config(), PROCESSOR)
    with pytest.raises(ValueError, match="cannot be combined with speculative decoding"):
        check_engine(config(speculative=object()), PROCESSOR)
    with pytest.raises(ValueError, match="for models that generate, but `runner` is 'pooling'"):
        check_engine(config(runner_type="pooling"), PROCESSOR)
    with pytest.raises(ValueError, match="has to be named when the engine is built"):
        check_engine(config(processors=[]), PROCESSOR)


def test_a_class_names_the_processor_as_well():
    named = type("BudgetForcing", (), {"__module__": "s1_hf.vllm.processor", "__qualname__": "BudgetForcing"})
    check_engine(config(processors=[named]), PROCESSOR)
