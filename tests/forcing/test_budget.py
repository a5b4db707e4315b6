"""The settings: what they are called, what travels with them, what has no effect."""

import pytest

from s1_hf.forcing.budget import NAMES, PER_PROMPT, Budget, BudgetKeywords, SharedKeywords, check_effect, without_idle
from s1_hf.forcing.collect import collect_budget, stacked
from s1_hf.forcing.loops import LoopGuard


def test_the_keywords_are_the_fields():
    """Type checkers read the one, everything else the other."""
    assert set(BudgetKeywords.__annotations__) | set(SharedKeywords.__annotations__) == set(NAMES)
    assert set(SharedKeywords.__annotations__) == set(NAMES) - set(PER_PROMPT)


@pytest.mark.parametrize(
    ("budget", "name"),
    [
        (Budget(), "no intervention"),
        (Budget(max_thinking_tokens=500), "cap 500"),
        (Budget(max_thinking_tokens="auto"), "cap auto"),
        (Budget(num_ignores=1), "1 ignore"),
        (Budget(max_thinking_tokens=0, num_ignores=2), "cap 0, 2 ignores"),
        (Budget(num_ignores=2, wait_text="Hmm"), "2 ignores, wait_text 'Hmm'"),
    ],
)
def test_a_budget_is_named_by_what_it_sets(budget, name):
    assert budget.name == name


@pytest.mark.parametrize(
    "budget",
    [
        Budget(),
        Budget(max_thinking_tokens=(5, None), num_ignores=(1, 2)),
        Budget(max_thinking_tokens="auto", wait_text=["Wait", "Hmm"], answer_prefix=None, answer_reserve=7),
        Budget(loop_guard=LoopGuard(max_period=3)),
    ],
)
def test_a_budget_comes_back_from_its_dictionary(budget):
    assert Budget.from_dict(budget.to_dict()) == budget
    assert hash(Budget.from_dict(budget.to_dict())) == hash(budget)


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


@pytest.mark.parametrize("budgets", [[Budget(answer_reserve=5)], [Budget(answer_reserve=5, max_thinking_tokens=9)]])
def test_a_setting_that_needs_another_one_is_refused_without_it(budgets):
    with pytest.raises(ValueError, match='`answer_reserve` has no effect without `max_thinking_tokens="auto"`'):
        check_effect(budgets)


def test_a_setting_that_acts_under_one_of_several_budgets_is_fine():
    check_effect([Budget(answer_reserve=5), Budget(answer_reserve=5, max_thinking_tokens="auto")])


@pytest.mark.parametrize("value", [-1, 1.5, True, "5", None])
def test_the_reserve_is_a_count(value):
    with pytest.raises(ValueError, match="`answer_reserve` has to be an integer of at least 0, but is"):
        Budget(answer_reserve=value)


def test_what_has_no_effect_under_any_budget_is_left_out():
    """A soft cut's place needs the soft cut, which needs a cap."""
    soft = {"cut_text": "Stop.", "cut_window": 5, "cut_at": "sentence", "answer_reserve": 9}
    assert without_idle([Budget(**soft), Budget(num_ignores=1, **soft)]) == [Budget(), Budget(num_ignores=1)]
    both = [Budget(max_thinking_tokens=9, **soft), Budget(**soft)]
    del soft["answer_reserve"]
    assert without_idle(both) == [Budget(max_thinking_tokens=9, **soft), Budget(**soft)]
