"""A budget as it travels in a request: numbers, texts and lists of these."""

from __future__ import annotations

import json

import pytest

from s1_hf import Budget, LoopGuard
from s1_hf.forcing.flat import flat, from_flat, with_defaults

BUDGETS = [
    Budget(),
    Budget(max_thinking_tokens=500, num_ignores=2, min_thinking_tokens=3),
    Budget(max_thinking_tokens="auto", answer_reserve=7),
    Budget(max_thinking_tokens="auto", thinking_share=0.25),
    Budget(max_thinking_tokens=9, wait_text=("Wait", "Hmm"), cut_text="stop\n", cut_window=4, cut_at="sentence"),
    Budget(wait_text=None, answer_prefix=None, num_ignores=1),
    Budget(loop_guard=LoopGuard()),
    Budget(loop_guard=LoopGuard(max_period=3, repeats=2, min_tokens=9)),
]


@pytest.mark.parametrize("budget", BUDGETS, ids=lambda budget: budget.name)
def test_a_budget_travels_flat(budget):
    """As numbers, texts and lists of these, which is all that vLLM's HTTP lets through."""
    given = flat(budget)
    for value in given.values():
        assert isinstance(value, (str, int, float)) or all(isinstance(one, (str, int)) for one in value)
    assert Budget(**from_flat(json.loads(json.dumps(given)))) == budget


@pytest.mark.parametrize("budget", BUDGETS, ids=lambda budget: budget.name)
def test_a_budget_as_result_files_have_it_is_read_too(budget):
    assert Budget(**from_flat(json.loads(json.dumps(budget.to_dict())))) == budget


def test_a_request_has_one_value_each():
    with pytest.raises(ValueError, match="`num_ignores` has to be one number for a request, but is \\[1, 2\\]"):
        from_flat({"num_ignores": [1, 2]})


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"max_thinking_tokens": {"a": None}}, 'of at least 0, "auto" or null, but is {"a": null}.'),
        ({"max_thinking_tokens": True}, 'of at least 0, "auto" or null, but is true.'),
        ({"num_ignores": None}, "of at least 0, but is null."),
        ({"min_thinking_tokens": "auto"}, 'of at least 0, but is "auto".'),
        ({"loop_guard": {"max_period": None}}, 'an object with any of them, but is {"max_period": null}.'),
        ({"loop_guard": {"max_perod": 4}}, 'an object with any of them, but is {"max_perod": 4}.'),
        ({"loop_guard": [4, None, None]}, "an object with any of them, but is [4, null, null]."),
    ],
    ids=str,
)
def test_what_is_wrong_is_told_in_the_words_of_json_and_of_one_request(given, said):
    with pytest.raises(ValueError) as raised:
        from_flat(given)
    assert str(raised.value).endswith(said) and "prompt" not in str(raised.value)


def test_a_loop_guard_may_say_some_of_its_numbers():
    assert from_flat({"loop_guard": {"max_period": 4.0}}) == {"loop_guard": LoopGuard(max_period=4)}


def test_a_default_that_cannot_act_in_a_request_is_left_out_of_it_and_what_it_says_itself_is_not():
    defaults = {"cut_text": "stop", "cut_window": 3}
    assert with_defaults({"num_ignores": 1}, defaults) == Budget(num_ignores=1)
    assert with_defaults({"cut_window": 4}, defaults) == Budget(cut_window=4)
    assert with_defaults({"max_thinking_tokens": 9}, defaults).cut_text == "stop"
