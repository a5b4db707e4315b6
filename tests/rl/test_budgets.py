"""Budgets that are drawn."""

from random import Random

import pytest

from s1_hf import Budget
from s1_hf.rl.budgets import Drawn


def test_numbers_are_drawn_with_both_ends_and_the_rest_is_kept():
    drawn = Drawn(max_thinking_tokens=(3, 5), num_ignores=2, wait_text="Hm")
    budgets = [drawn(Random(seed)) for seed in range(60)]
    assert {budget.max_thinking_tokens for budget in budgets} == {3, 4, 5}
    assert {(budget.num_ignores, budget.wait_text) for budget in budgets} == {(2, "Hm")}
    assert drawn(Random(7)) == drawn(Random(7))
    assert drawn.largest == Budget(max_thinking_tokens=5, num_ignores=2, wait_text="Hm")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"max_thinking_tokens": (5, 3)}, "two numbers of tokens, from where to where"),
        ({"max_thinking_tokens": (5,)}, "two numbers of tokens"),
        ({"num_ignores": (0, 1.5)}, "two numbers of tokens"),
        ({"cap": 5}, "`cap` is no field of Budget"),
        ({"max_thinking_tokens": -1}, "has to be an integer of at least 0"),
        ({"max_thinking_tokens": (4, 9), "min_thinking_tokens": (2, 6)}, "6 > 4"),
        ({"max_thinking_tokens": 4, "min_thinking_tokens": (2, 6)}, "6 > 4"),
    ],
)
def test_what_is_no_range_of_budgets_is_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        Drawn(**settings)
