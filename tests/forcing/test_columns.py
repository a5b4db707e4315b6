"""A budget as columns of a table, and back."""

import json
from dataclasses import fields

import pytest

from s1_hf import Budget, LoopGuard
from s1_hf.forcing.budget import NAMES
from s1_hf.forcing.columns import columns_of, from_columns
from s1_hf.results.rows import Row

BUDGETS = [
    Budget(),
    Budget(max_thinking_tokens=500, min_thinking_tokens=20, num_ignores=2, cut_window=8, cut_at="sentence"),
    Budget(max_thinking_tokens="auto", answer_reserve=30, thinking_share=0.5),
    Budget(max_thinking_tokens="auto"),
    Budget(max_thinking_tokens=0, cut_text="Time is up.\n", answer_prefix=None),
    Budget(num_ignores=3, wait_text=None),
    Budget(num_ignores=3, wait_text=["Wait", "Hmm, 嗯"]),
    Budget(num_ignores=1, wait_text='["Wait"]'),
    Budget(num_ignores=1, loop_guard=LoopGuard(max_period=8, repeats=3, min_tokens=16)),
]


@pytest.mark.parametrize("budget", BUDGETS, ids=range(len(BUDGETS)))
def test_a_budget_comes_back_from_its_columns_also_through_json(budget):
    assert from_columns(json.loads(json.dumps(columns_of(budget)))) == budget


@pytest.mark.parametrize("budget", BUDGETS, ids=range(len(BUDGETS)))
def test_every_column_is_one_number_or_one_text(budget):
    found = columns_of(budget)
    assert found.keys() == set(NAMES)
    assert all(value is None or isinstance(value, int | float | str) for value in found.values())
    assert found["max_thinking_tokens"] is None or type(found["max_thinking_tokens"]) is int


def test_a_new_setting_is_a_column_of_rows():
    assert set(NAMES) <= {one.name for one in fields(Row)}


def test_several_texts_stand_as_a_list_and_no_text_is_empty():
    assert columns_of(BUDGETS[6])["wait_text"] == '["Wait", "Hmm, 嗯"]'
    assert (columns_of(BUDGETS[5])["wait_text"], columns_of(BUDGETS[4])["answer_prefix"]) == ("", "")


@pytest.mark.parametrize("columns", [{"wait_text": "[1"}, {"loop_guard": "[1, 2]"}, {"cut_at": "word"}])
def test_columns_of_something_else_are_refused(columns):
    with pytest.raises(ValueError, match=next(iter(columns))):
        from_columns(columns_of(Budget()) | columns)
