"""Settings that cannot act are refused, or left out."""

from __future__ import annotations

import pytest

from s1_hf import Budget, LoopGuard
from s1_hf.forcing.effect import check_effect, without_idle


@pytest.mark.parametrize("budgets", [[Budget(answer_reserve=5)], [Budget(answer_reserve=5, max_thinking_tokens=9)]])
def test_a_setting_that_needs_another_one_is_refused_without_it(budgets):
    with pytest.raises(ValueError, match='`answer_reserve` has no effect without `max_thinking_tokens="auto"`'):
        check_effect(budgets)


IDLE = [
    (Budget(wait_text="Hmm"), "`wait_text` has no effect without `num_ignores` or `min_thinking_tokens`"),
    (Budget(wait_text=None), "`wait_text` has no effect without `num_ignores` or `min_thinking_tokens`"),
    (Budget(answer_prefix=None), "`answer_prefix` has no effect without `max_thinking_tokens` or `loop_guard`"),
    (Budget(num_ignores=1, max_thinking_tokens=0), "`num_ignores` has no effect without a `max_thinking_tokens` above"),
    (Budget(num_ignores=(1, 0), max_thinking_tokens=(0, 5)), "`num_ignores` has no effect"),
    (Budget(cut_window=5, max_thinking_tokens=0), "`cut_window` has no effect without a `max_thinking_tokens` above 0"),
    (Budget(loop_guard=LoopGuard(), max_thinking_tokens=0), "`loop_guard` has no effect"),
    (Budget(cut_at="sentence", max_thinking_tokens=5), "`cut_at` has no effect without `cut_window`"),
]


@pytest.mark.parametrize(("budget", "message"), IDLE, ids=[str(budget.changed()) for budget, _ in IDLE])
def test_what_cannot_act_in_a_request_is_refused(budget, message):
    with pytest.raises(ValueError, match=message):
        check_effect([budget], of_request=True)


def test_a_program_may_say_once_what_acts_in_some_of_its_calls():
    for budget, _ in IDLE:
        if budget.cut_at == "line":
            check_effect([budget])


def test_what_can_act_is_not_refused():
    for budget in (
        Budget(wait_text="Hmm", min_thinking_tokens=5),
        Budget(answer_prefix="So:", loop_guard=LoopGuard()),
        Budget(answer_prefix=None, max_thinking_tokens=0),
        Budget(num_ignores=(1, 1), max_thinking_tokens=(0, 5)),
        Budget(num_ignores=1, max_thinking_tokens="auto", cut_window=3, loop_guard=LoopGuard()),
    ):
        check_effect([budget], of_request=True)


def test_a_setting_that_acts_under_one_of_several_budgets_is_fine():
    check_effect([Budget(answer_reserve=5), Budget(answer_reserve=5, max_thinking_tokens="auto")])


def test_what_has_no_effect_under_any_budget_is_left_out():
    """A soft cut's place needs the soft cut, which needs a cap."""
    soft = {"cut_text": "Stop.", "cut_window": 5, "cut_at": "sentence", "answer_reserve": 9}
    assert without_idle([Budget(**soft), Budget(num_ignores=1, **soft)]) == [Budget(), Budget(num_ignores=1)]
    both = [Budget(max_thinking_tokens=9, **soft), Budget(**soft)]
    del soft["answer_reserve"]
    assert without_idle(both) == [Budget(max_thinking_tokens=9, **soft), Budget(**soft)]


def test_a_list_without_any_cap_is_no_cap():
    with pytest.raises(ValueError, match="`cut_text` has no effect without `max_thinking_tokens`"):
        check_effect([Budget(max_thinking_tokens=[None, None], cut_text="x")])
