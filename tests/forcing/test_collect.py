"""One budget from what a caller gives: a `Budget`, or its fields as keywords."""

from __future__ import annotations

import pytest

from misuse import forcing, generating, processor
from s1_hf import Budget
from s1_hf.forcing.budget import NAMES
from s1_hf.forcing.collect import check_spelling, collect_budget, looks_like_budget, one_for_each, stacked


@pytest.mark.parametrize("build", [processor, forcing, generating])
@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("max_think_tokens", "max_thinking_tokens"),
        ("max_thinking_token", "max_thinking_tokens"),
        ("num_ignore", "num_ignores"),
        ("wait_texts", "wait_text"),
        ("loopguard", "loop_guard"),
    ],
)
def test_a_misspelt_budget_is_answered_with_the_nearest_name(build, name, meant):
    with pytest.raises(ValueError, match=f"`{name}` is not an argument. Did you mean `{meant}`?"):
        build(**{name: 5})


@pytest.mark.parametrize("build", [processor, forcing, generating])
def test_a_budget_is_a_budget_and_stands_alone(build):
    with pytest.raises(TypeError, match=r"`budget` has to be a Budget, such as `Budget\(max_thinking_tokens=500\)`"):
        build(budget=5)
    with pytest.raises(ValueError, match="`budget` has to stand alone, but `num_ignores` came with it"):
        build(budget=Budget(max_thinking_tokens=5), num_ignores=1)


def test_rows_that_differ_only_in_their_budgets_are_stacked():
    rows = [Budget(max_thinking_tokens=5, num_ignores=1), Budget(max_thinking_tokens=None, min_thinking_tokens=3)]
    assert stacked(rows) == Budget(max_thinking_tokens=(5, None), num_ignores=(1, 0), min_thinking_tokens=(0, 3))
    assert stacked([Budget(num_ignores=2)] * 3) == Budget(num_ignores=2)
    with pytest.raises(ValueError, match="have to have the same settings, except for max_thinking_tokens"):
        stacked([Budget(), Budget(wait_text="Hmm")])


def test_a_public_call_takes_a_budget_or_its_fields():
    keywords = {"num_ignores": 2, "do_sample": True}
    assert collect_budget(None, keywords) == Budget(num_ignores=2)
    assert keywords == {"do_sample": True}
    assert collect_budget(Budget(num_ignores=3), {"do_sample": True}) == Budget(num_ignores=3)
    with pytest.raises(TypeError, match="f\\(\\) got an unexpected keyword argument 'do_sample'"):
        collect_budget(None, {"do_sample": True}, nothing_else="f")


def test_each_prompt_gets_its_own_budget():
    budget = Budget(max_thinking_tokens=[5, None], num_ignores=[0, 2], wait_text="Hmm")
    each = [Budget(max_thinking_tokens=5, wait_text="Hmm"), Budget(num_ignores=2, wait_text="Hmm")]
    assert one_for_each(budget, 2) == each
    assert one_for_each(Budget(num_ignores=1), 3) == [Budget(num_ignores=1)] * 3
    with pytest.raises(ValueError, match="2 budgets were given for 3 prompts"):
        one_for_each(budget, 3)


OF_OTHERS = [
    "thinking_budget", "thinking_token_budget", "reasoning_budget", "budget_tokens", "max_reasoning_tokens", "effort",
    "max_thinking", "MAX_THINKING_TOKENS", "reasoning_effort", "thinkingBudget", "thinkingLevel", "maxThinkingTokens",
    "max-thinking-tokens", "max_thinking_token", "num_ignore", "token_budget", "min_reasoning_tokens",
]  # fmt: skip
OF_NO_BUDGET = [
    "enable_thinking", "include_reasoning", "reasoning_content", "reasoning", "thinking", "max_tokens", "min_tokens",
    "max_completion_tokens", "kv_cache_budget", "preserve_thinking", "content", "alt_text", "output_text", "ignore_eos",
    "", "\U0001f600", "a" * 1_000_000,
]  # fmt: skip


@pytest.mark.parametrize("name", [*NAMES, *OF_OTHERS])
def test_names_that_somebody_has_for_a_budget_look_like_one(name):
    assert looks_like_budget(name)


@pytest.mark.parametrize("name", OF_NO_BUDGET, ids=lambda name: name[:30])
def test_other_names_do_not(name):
    assert not looks_like_budget(name)


def test_another_case_is_a_misspelling():
    with pytest.raises(ValueError, match="Did you mean `num_ignores`"):
        check_spelling(["NUM_IGNORES"])
