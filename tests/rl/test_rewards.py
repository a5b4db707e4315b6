"""Rewards by their papers' formulas, at their corners."""

import pytest

from s1_hf.rl.rewards import REWARDS, L1Exact, L1Max, WithinBudget, correct

ROW = {
    "solution": ["51", "51", "51", "51"],
    "thinking": ["", "", "", ""],
    "final_answer": ["Answer: 51", "Answer: 52", "", "Answer: 51"],
    "ended": ["natural", "cut", "cut", "unfinished"],
    "prompts": [[]] * 4,
    "trainer_state": None,
}


def test_an_answer_is_right_after_thinking_that_was_closed():
    assert correct(**ROW) == [1.0, 0.0, 0.0, 0.0]


def test_kinds_are_those_of_the_data():
    row = ROW | {"solution": ["B"] * 4, "final_answer": ["Answer: B", "Answer: A", "", "B"], "kind": ["choice"] * 4}
    assert correct(**row) == [1.0, 0.0, 0.0, 0.0]


def test_l1_exact_is_equation_1():
    rewards = L1Exact()(**ROW, thinking_tokens=[400, 600, 500, 500], max_thinking_tokens=[500] * 4)
    assert rewards == pytest.approx([1 - 0.0003 * 100, -0.0003 * 100, 0.0, 0.0])


def test_l1_max_is_equation_2():
    row = {**ROW, "final_answer": ["Answer: 51"] * 4, "ended": ["natural"] * 4}
    rewards = L1Max()(**row, thinking_tokens=[400, 500, 3000, 0], max_thinking_tokens=[500, 500, 500, 4000])
    assert rewards == pytest.approx([0.5 + 0.0003 * 100, 0.5, 0.0, 1.0])
    assert L1Max()(**ROW, thinking_tokens=[0] * 4, max_thinking_tokens=[500] * 4)[1:] == [0.0, 0.0, 0.0]


def test_within_budget_is_equation_13():
    rewards = WithinBudget()(
        thinking_tokens=[79, 80, 90, 100, 40],
        max_thinking_tokens=[100] * 5,
        ended=["natural", "natural", "natural", "natural", "cut"],
    )
    assert rewards == pytest.approx([0.0, 0.0, -0.5, -1.0, -1.0])
    assert WithinBudget()(thinking_tokens=[0], max_thinking_tokens=[0], ended=["natural"]) == [-1.0]


@pytest.mark.parametrize("name", ["l1_exact", "l1_max", "within_budget"])
def test_a_length_needs_a_budget(name):
    with pytest.raises(ValueError, match="needs a budget"):
        REWARDS[name](**ROW, thinking_tokens=[1] * 4, max_thinking_tokens=[None, 5, 5, 5])


@pytest.mark.parametrize("missing", [None, float("nan")])
def test_a_row_without_a_right_answer_is_not_a_wrong_one(missing):
    with pytest.raises(ValueError, match=r"`solution` has to be the right answer in every row, but is (None|nan)"):
        correct(**ROW | {"solution": ["51", missing, "51", "51"]})


def test_data_without_right_answers_are_refused():
    with pytest.raises(ValueError, match="in a column `solution`"):
        L1Max()(**{**ROW, "solution": None}, thinking_tokens=[1] * 4, max_thinking_tokens=[5] * 4)


@pytest.mark.parametrize(
    "build", [lambda: L1Exact(0), lambda: L1Max(-1), lambda: L1Max(delta=2), lambda: WithinBudget(0.0)]
)
def test_what_is_out_of_range_is_refused(build):
    with pytest.raises(ValueError, match="has to be a number"):
        build()
