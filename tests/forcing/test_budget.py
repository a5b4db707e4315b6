"""The settings: what they are called, what travels with them, what has no effect."""

import json
from collections import deque
from enum import IntEnum

import numpy as np
import pytest
import torch

from misuse import EVERYWHERE, Series
from s1_hf.forcing.budget import Budget
from s1_hf.forcing.loops import LoopGuard


@pytest.mark.parametrize(
    ("budget", "name"),
    [
        (Budget(), "no intervention"),
        (Budget(max_thinking_tokens=500), "cap 500"),
        (Budget(max_thinking_tokens="auto"), "cap auto"),
        (Budget(max_thinking_tokens="auto", thinking_share=0.25), "cap auto, thinking_share 0.25"),
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


@pytest.mark.parametrize("value", [-1, 1.5, True, "5", None])
def test_the_reserve_is_a_count(value):
    with pytest.raises(ValueError, match="`answer_reserve` has to be an integer of at least 0, but is"):
        Budget(answer_reserve=value)


@pytest.mark.parametrize("value", [0, -0.5, 1.01, float("nan"), float("inf"), True, "0.5", None, [0.5]])
def test_the_share_is_a_number_up_to_1(value):
    with pytest.raises(ValueError, match="`thinking_share` has to be a number above 0 and at most 1, but is"):
        Budget(thinking_share=value)


def test_the_share_may_be_a_number_of_any_library():
    assert (
        Budget(thinking_share=np.float32(0.5)) == Budget(thinking_share=torch.tensor(0.5)) == Budget(thinking_share=0.5)
    )
    assert Budget(thinking_share=1) == Budget()


COUNT = r"an integer of at least 0"


COUNTS = [True, False, 1.0, float("inf"), float("nan"), "5", -1, [1, -1], [1, 2.0], [True], [[1]], ["5"], 1j, b"5"]


@EVERYWHERE
@pytest.mark.parametrize("value", COUNTS, ids=repr)
@pytest.mark.parametrize("name", ["max_thinking_tokens", "min_thinking_tokens", "num_ignores"])
def test_a_budget_that_is_no_count_is_refused(build, name, value):
    """Named, with the rule and the value, before the model is run."""
    more = ', "auto" or None' if name == "max_thinking_tokens" else ""
    rule = f"`{name}` has to be {COUNT}{more}, or a sequence with one per prompt, but is {value!r}."
    with pytest.raises(ValueError) as error:
        build(**{name: value})
    assert str(error.value) == rule


@EVERYWHERE
@pytest.mark.parametrize("value", [None, "auto", [None], ["auto"]], ids=repr)
@pytest.mark.parametrize("name", ["min_thinking_tokens", "num_ignores"])
def test_only_the_cap_may_be_absent_or_auto(build, name, value):
    with pytest.raises(ValueError, match=f"`{name}` has to be {COUNT}, or a sequence"):
        build(**{name: value})


@EVERYWHERE
def test_auto_is_for_all_prompts_together(build):
    with pytest.raises(ValueError, match=r"`max_thinking_tokens` has to be .* but is \['auto', 4\]"):
        build(max_thinking_tokens=["auto", 4])


@EVERYWHERE
@pytest.mark.parametrize("name", ["max_thinking_tokens", "min_thinking_tokens", "num_ignores"])
@pytest.mark.parametrize("value", [[], (), range(0)], ids=repr)
def test_an_empty_sequence_of_budgets_is_refused(build, name, value):
    with pytest.raises(ValueError, match=f"`{name}` has to have one value per prompt, but is empty."):
        build(**{name: value})


@pytest.mark.parametrize(
    ("given", "value"),
    [
        (np.array(7), 7),
        (np.uint8(7), 7),
        (torch.tensor(7), 7),
        (np.array([7, 8]), (7, 8)),
        (torch.tensor([7, 8]), (7, 8)),
        (Series([np.int64(7), 8]), (7, 8)),
        ([torch.tensor(7), np.int64(8)], (7, 8)),
        (range(7, 9), (7, 8)),
        (deque([7, 8]), (7, 8)),
        (IntEnum("Budgets", {"SMALL": 7}).SMALL, 7),
    ],
    ids=lambda value: f"{type(value).__name__} {value}"[:30],
)
@pytest.mark.parametrize("name", ["max_thinking_tokens", "num_ignores"])
def test_what_holds_integers_is_a_budget(name, given, value):
    """The Budget that comes of it holds Python's integers, so that it can be compared, hashed and written as JSON."""
    made = Budget(**{name: given})
    assert getattr(made, name) == value and json.dumps(made.to_dict())
    assert hash(made) == hash(Budget(**{name: value}))
    assert Budget.from_dict({name: given}) == made


@EVERYWHERE
@pytest.mark.parametrize(
    ("given", "said"),
    [
        (np.array([7.0, 8.0]), "[7.0, 8.0]"),
        (np.array([[7], [8]]), "[[7], [8]]"),
        (np.array(["7"]), "['7']"),
        (np.array([True]), "[True]"),
        (np.bool_(True), "True"),
        (torch.tensor(7.0), "7.0"),
        (torch.tensor(True), "True"),
        (Series([7, float("nan")]), "[7, nan]"),
    ],
    ids=str,
)
def test_what_holds_anything_else_is_refused_as_a_list_would_be(build, given, said):
    with pytest.raises(ValueError) as error:
        build(num_ignores=given)
    assert str(error.value).endswith(f"or a sequence with one per prompt, but is {said}.")


@EVERYWHERE
@pytest.mark.parametrize("make", [lambda: {7}, lambda: {7: 8}, lambda: iter([7]), lambda: {7: 8}.values()])
def test_what_has_no_order_or_one_pass_only_is_refused(build, make):
    with pytest.raises(ValueError, match="`num_ignores` has to be .* Give a list, with one for each prompt, in their"):
        build(num_ignores=make())


def test_texts_may_come_in_an_array():
    assert Budget(wait_text=np.array(["Wait", "Hmm"])).waits == ("Wait", "Hmm")


def test_bytes_are_no_budgets():
    with pytest.raises(ValueError, match="`num_ignores` has to be an integer of at least 0, or a sequence"):
        Budget(num_ignores=b"34")


def test_numpy_integers_are_counts():
    """And so is anything that is an integer, alone or in a sequence."""
    budget = Budget(max_thinking_tokens=np.int64(7), num_ignores=(np.int32(1), 2), min_thinking_tokens=range(3, 5))
    assert (budget.column("max_thinking_tokens", 2), budget.num_prompts) == ([7, 7], 2)
    assert (budget.column("num_ignores", 2), budget.column("min_thinking_tokens", 2)) == ([1, 2], [3, 4])


@EVERYWHERE
def test_budgets_per_prompt_have_one_length(build):
    with pytest.raises(ValueError, match="have to have the same length, but have .*'max_thinking_tokens': 2.*ores': 3"):
        build(max_thinking_tokens=[1, 2], num_ignores=[1, 2, 3])


@EVERYWHERE
@pytest.mark.parametrize(
    ("low", "high", "match"),
    [
        (5, 4, r"but 5 > 4\.$"),
        (1, 0, r"but 1 > 0\.$"),
        ([1, 5], 4, r"but 5 > 4 \(prompt 1\)\.$"),
        (3, [None, 3, 2], r"but 3 > 2 \(prompt 2\)\.$"),
        ([3, 9], [2, 8], r"but 3 > 2 \(prompt 0\)\. .* but 9 > 8 \(prompt 1\)\.$"),
    ],
)
def test_a_minimum_above_the_maximum_is_refused(build, low, high, match):
    """Every prompt where it is so is named; an equal minimum and an absent maximum are fine."""
    with pytest.raises(ValueError, match=match):
        build(min_thinking_tokens=low, max_thinking_tokens=high)
    Budget(min_thinking_tokens=[4, 9], max_thinking_tokens=[4, None])


@EVERYWHERE
@pytest.mark.parametrize("value", ["", [], (), ["a", ""], ["a", 3], 3, b"a", {"a"}, True], ids=repr)
def test_a_wait_text_that_is_no_text_is_refused(build, value):
    with pytest.raises(ValueError) as error:
        build(wait_text=value)
    rule = "`wait_text` has to be a text, a sequence of texts, or None for no text at all, but is "
    assert str(error.value) == f"{rule}{value!r}."


@EVERYWHERE
@pytest.mark.parametrize("value", ["", 3, ["a"], b"a", False], ids=repr)
def test_an_answer_prefix_that_is_no_text_is_refused(build, value):
    with pytest.raises(ValueError) as error:
        build(answer_prefix=value)
    assert str(error.value) == f"`answer_prefix` has to be a text, or None for none, but is {value!r}."


@EVERYWHERE
@pytest.mark.parametrize("value", [True, 4, {"repeats": 4}, LoopGuard], ids=str)
def test_a_loop_guard_that_is_none_is_refused(build, value):
    with pytest.raises(ValueError, match="`loop_guard` has to be a LoopGuard or None, but is "):
        build(loop_guard=value)


@EVERYWHERE
def test_everything_wrong_is_said_at_once(build):
    """Four bad arguments, four sentences, in the order of the arguments."""
    with pytest.raises(ValueError) as error:
        build(max_thinking_tokens=-1, num_ignores=2.5, wait_text="", answer_prefix="")
    named = [part.split("`")[1] for part in str(error.value).split(". ") if part.startswith("`")]
    assert named == ["max_thinking_tokens", "num_ignores", "wait_text", "answer_prefix"]


def test_changing_the_callers_list_does_not_change_a_checked_budget():
    """Settings are frozen: what was checked is what holds."""
    caps = [3, 4]
    budget = Budget(max_thinking_tokens=caps)
    caps[0] = -7
    assert budget.column("max_thinking_tokens", 2) == [3, 4]


def test_integers_of_numpy_become_plain_ones():
    budget = Budget(max_thinking_tokens=np.int64(30), num_ignores=[np.int32(1), 2], cut_window=np.int8(4))
    assert json.loads(json.dumps(budget.to_dict())) == budget.to_dict()
    assert budget == Budget(max_thinking_tokens=30, num_ignores=(1, 2), cut_window=4)


def test_what_has_no_effect_is_not_in_the_name():
    shared = {"cut_text": "Enough.", "cut_window": 8, "cut_at": "sentence"}
    assert Budget(num_ignores=1, **shared).name == "1 ignore"
    assert Budget(max_thinking_tokens=32, cut_window=8).name == "cap 32, cut_window 8"


@pytest.mark.parametrize("field", [{"wait_text": "\ud800"}, {"wait_text": ["a", "\ud800"]}, {"cut_text": "\ud800"}])
def test_texts_are_unicode(field):
    """A tokenizer could not read them, nor a request hold them."""
    with pytest.raises(ValueError, match=r"` has to be Unicode, but character 0 is a lone surrogate \(U\+D800\)"):
        Budget(**field)
    with pytest.raises(ValueError, match=r"`answer_prefix` has to be Unicode, but character 1 is"):
        Budget(answer_prefix="a\udfff")
