"""Requests: what tells them apart, and one formula for seeds."""

from dataclasses import replace

import pytest

from s1_hf.engines.request import Request, Sampling, request_as_text, request_from_text, seed_of
from s1_hf.forcing.budget import Budget
from s1_hf.forcing.loops import LoopGuard

ONE = Request(prompt=(1, 2), max_new_tokens=10, task="t", problem="0")
OTHERS = {
    "prompt": (1, 3),
    "max_new_tokens": 11,
    "max_answer_tokens": 5,
    "give_up_after": 4,
    "sampling": Sampling(),
    "repetition_penalty": 1.1,
    "task": "u",
    "problem": "1",
    "sample": 1,
    "attempt": 1,
}
BUDGETS = [
    Budget(max_thinking_tokens=9),
    Budget(min_thinking_tokens=9),
    Budget(num_ignores=9),
    Budget(wait_text="Hmm"),
    Budget(answer_prefix=None),
    Budget(loop_guard=LoopGuard()),
]


def test_whatever_decides_about_an_answer_is_in_its_key():
    requests = [ONE, *(replace(ONE, **{name: value}) for name, value in OTHERS.items())]
    requests += [replace(ONE, budget=budget) for budget in BUDGETS]
    assert len({request.key for request in requests}) == 1 + len(OTHERS) + len(BUDGETS)


def test_a_key_is_the_same_in_every_process():
    assert ONE.key == "e89c82dcf37d5b734646713fc551a023"


def test_the_seed_decides_only_when_tokens_are_drawn():
    assert replace(ONE, seed=3).key == ONE.key
    assert replace(ONE, seed=3, sampling=Sampling()).key != replace(ONE, sampling=Sampling()).key


def test_seeds_differ_by_run_task_problem_sample_and_attempt():
    seeds = [seed_of(0, "t", "0"), seed_of(1, "t", "0"), seed_of(0, "u", "0"), seed_of(0, "t", "1")]
    seeds += [seed_of(0, "t", "0", 1), seed_of(0, "t", "0", 0, 1)]
    assert len(set(seeds)) == 6
    assert all(0 <= seed < 2**63 for seed in seeds)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"temperature": 0}, "`temperature` has to be a number above 0, but is 0"),
        ({"temperature": float("nan")}, "`temperature` has to be a number above 0"),
        ({"temperature": float("inf")}, "`temperature` has to be a number above 0"),
        ({"top_p": 0}, "`top_p` has to be a number above 0 and at most 1, but is 0"),
        ({"top_k": -1}, "`top_k` has to be an integer of at least 0, but is -1"),
        ({"min_p": 2}, "`min_p` has to be a number from 0 to 1, or None, but is 2"),
    ],
)
def test_a_value_out_of_its_range_is_named(settings, message):
    with pytest.raises(ValueError, match=message):
        Sampling(**settings)


ASKED = Request(
    prompt=(1, 2), max_new_tokens=9, budget=Budget(num_ignores=1), max_answer_tokens=4, give_up_after=3, seed=2**62,
    sampling=Sampling(temperature=0.5, top_k=3), task="t", problem="p", sample=2, attempt=1,
)  # fmt: skip


@pytest.mark.parametrize(
    "asked", [ASKED, replace(ASKED, sampling=None, max_answer_tokens=None)], ids=["drawn", "greedy"]
)
def test_a_request_comes_back_from_what_stands_beside_its_answer(asked):
    more = {"prompt": (1, 2), "budget": Budget(num_ignores=1), "task": "t", "problem": "p"}
    again, key = request_from_text(request_as_text(asked), "the row", **more)
    assert again == asked and key == asked.key
    other, key = request_from_text(request_as_text(asked), "the row", **more | {"prompt": (1, 3)})
    assert other.key != key


@pytest.mark.parametrize(
    "text",
    ["", "[]", "{}", '{"key": "a", "max_new_tokens": -1}', '{"key": "a", "max_new_tokens": 1, "sampling": {"p": 1}}',
     '{"key": "a", "max_new_tokens": 1, "prompt": [1]}', '{"key": "a", "max_new_tokens": 1, "seed": 1e999}'],
)  # fmt: skip
def test_what_is_no_request_is_named(text):
    with pytest.raises(ValueError, match="the row"):
        request_from_text(text, "the row")
