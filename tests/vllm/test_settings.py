"""Budgets travel flat, as numbers and texts, and nothing that looks like one is overlooked."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import pytest

from s1_hf import Budget, LoopGuard
from s1_hf.forcing.budget import NAMES
from s1_hf.forcing.confidence import Confidence
from s1_hf.forcing.flat import flat
from s1_hf.forcing.pauses import Pause
from s1_hf.vllm.settings import (
    ANSWER,
    CHECKED,
    CONFIDENCE,
    GIVE_UP,
    KEY,
    SEED,
    SEPARATOR,
    START,
    STEP_TOKENS,
    asks_for_budget,
    budget_from,
    settings_of,
)


def params(extra: dict | None, **fields) -> SimpleNamespace:
    own = {"temperature": 0.0, "top_k": -1, "top_p": 1.0, "min_p": 0.0, "max_tokens": 50, "seed": None}
    return SimpleNamespace(extra_args=extra, **(own | {"stop": None, "stop_token_ids": None} | fields))


def test_numbers_with_a_point_and_switches_in_words_are_understood():
    assert budget_from({"max_thinking_tokens": 500.0}) == Budget(max_thinking_tokens=500)
    assert budget_from({"loop_guard": "true"}) == Budget(loop_guard=LoopGuard())
    assert budget_from({"loop_guard": 0}) == Budget()


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"max_thinking_tokens": -1}, "`max_thinking_tokens` has to be an integer of at least 0"),
        ({"max_thinking_tokens": "many"}, "`max_thinking_tokens` has to be an integer of at least 0"),
        ({"max_thinking_tokens": 1.5}, "`max_thinking_tokens` has to be an integer of at least 0"),
        ({"max_thinking_tokens": [1, 2]}, "`max_thinking_tokens` has to be one number for a request"),
        ({"max_thinking_tokens": True}, "`max_thinking_tokens` has to be an integer of at least 0"),
        ({"cut_text": "stop"}, "`cut_text` has no effect without `max_thinking_tokens`"),
        ({"loop_guard": "maybe"}, "`loop_guard` has to be true, or a list of three numbers"),
        ({"loop_guard": [1, 1, 1]}, "`repeats` has to be an integer of at least 2"),
        ({"loop_guard": [1, 2, 10**12]}, "have to be at most 4,096 tokens, but are 2 and 1,000,000,000,000"),
        ({"wait_text": ["a", "b\ud800"]}, "`wait_text` has to be Unicode"),
        ({"wait_text": 5}, "`wait_text` has to be a text"),
    ],
)
def test_a_wrong_field_is_named(given, message):
    with pytest.raises(ValueError, match=message):
        budget_from(given)


def test_what_is_said_wins_over_an_engines_texts_even_if_it_is_the_default():
    defaults = {"wait_text": "Hmm", "cut_text": "stop"}
    said = Budget(max_thinking_tokens=9, num_ignores=1, wait_text="Wait", cut_text=None)
    assert budget_from(flat(said), defaults) == said
    but_for_one = [name for name in NAMES if name != "wait_text"]
    assert budget_from(flat(said, but_for_one), defaults) == replace(said, wait_text="Hmm")


def test_only_who_has_checked_may_give_what_cannot_act():
    """A key that somebody chose is no sign of that."""
    idle = {"num_ignores": 1, "cut_text": "stop"}
    assert budget_from(idle | {CHECKED: True}).cut_text == "stop"
    with pytest.raises(ValueError, match="`cut_text` has no effect without"):
        budget_from(idle | {KEY: "mine"})


def test_an_engines_texts_fill_what_a_request_leaves_out():
    defaults = {"wait_text": "Hmm", "cut_text": "stop"}
    assert budget_from({"num_ignores": 1}, defaults) == Budget(num_ignores=1, wait_text="Hmm")
    own = {"max_thinking_tokens": 9, "num_ignores": 1, "wait_text": ""}
    assert budget_from(own, defaults) == Budget(**{**own, "wait_text": None}, cut_text="stop")


def test_only_requests_that_ask_have_a_budget():
    assert not asks_for_budget(params(None))
    assert not asks_for_budget(params({"others": 1}))
    assert asks_for_budget(params({"num_ignores": 0}))
    for name in (KEY, SEED, START, GIVE_UP, ANSWER, SEPARATOR, STEP_TOKENS, CONFIDENCE):
        assert asks_for_budget(params({name: 1}))


def test_settings_are_read_off_the_parameters():
    found = settings_of(params({KEY: "a", SEED: 3, "num_ignores": 1}, seed=9, stop_token_ids=[7, 5], stop=["."]), {})
    assert found.has_stop_texts
    assert (found.key, found.seed, found.stops, found.top_k) == ("a", 3, (5, 7), 0)
    assert found.is_greedy and settings_of(params({KEY: "a"}, seed=9), {}).seed == 9
    assert not settings_of(params({KEY: "a"}, temperature=0.5), {}).is_greedy
    assert settings_of(params({SEPARATOR: "\n", STEP_TOKENS: 4.0}), {}).pause == Pause("\n", 4)
    assert settings_of(params({CONFIDENCE: [0]}), {}).confidence == Confidence(None)
    assert settings_of(params({CONFIDENCE: [20.0, 64.0, 9.5]}), {}).confidence == Confidence(20, 64, 9.5)
    assert settings_of(params({SEED: 3.0, ANSWER: 2.0}), {}) == settings_of(params({SEED: 3, ANSWER: 2}), {})
