"""Trials from the rows of a sweep: what each takes, where there are no more, and what is refused."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest

from s1_hf.forcing.budget import Budget
from s1_hf.forcing.columns import columns_of
from s1_hf.methods import Trial, trials_of
from s1_hf.results.rows import Row


def row(cap, ended, thinking, total, problem="p", ignored=0, **budget) -> Row:
    columns = columns_of(Budget(max_thinking_tokens=cap, **budget))
    return Row(
        "m",
        f"cap {cap}",
        "t",
        problem,
        0,
        thinking,
        3,
        False,
        ended,
        ignored,
        total_tokens=total,
        extracted="5",
        **columns,
    )


def told(trials: list[Trial]):
    return [(trial.row.max_thinking_tokens, trial.spent, trial.is_last) for trial in trials]


def test_each_trial_costs_what_is_new():
    """Two tokens open thinking, and seven close it and answer; then it ends by itself, with four less."""
    rows = [row(10, "cut", 10, 19), row(20, "cut", 20, 29), row(30, "natural", 24, 29), row(None, "natural", 24, 29)]
    random.Random(1).shuffle(rows)
    (trials,) = trials_of(rows, opening_tokens=2)
    assert told(trials) == [(10, 19, False), (20, 29 - 12, False), (30, 29 - 22, True)]
    assert told(trials_of(rows)[0]) == [(10, 19, False), (20, 29 - 10, False), (30, 29 - 20, True)]


def test_a_row_that_had_no_room_for_its_wait_goes_on_from_the_point_before():
    rows = [
        row(10, "cut", 10, 17, num_ignores=1),
        row(20, "natural", 19, 25, num_ignores=1),  # a Wait would have stood across 20
        row(30, "cut", 30, 37, num_ignores=1, ignored=1),
        row(40, "natural", 35, 41, num_ignores=1, ignored=1),
    ]
    (trials,) = trials_of(rows)
    assert told(trials) == [(10, 17, False), (20, 15, False), (30, 27, False), (40, 11, True)]


@pytest.mark.parametrize("ended", ["natural", "looped", "unfinished", "never_started", "handed_over"])
def test_thinking_that_has_ended_has_no_more_trials(ended):
    (trials,) = trials_of([row(10, ended, 4, 9), row(20, ended, 4, 9)])
    assert told(trials) == [(10, 9, True)]


def test_the_largest_cap_is_the_last():
    assert told(trials_of([row(10, "cut", 10, 17), row(20, "cut", 20, 27)])[0])[-1] == (20, 17, True)


def test_problems_and_samples_stay_apart_and_in_order():
    rows = [row(cap, "cut", cap, cap + 7, problem) for cap in (10, 20) for problem in "qp"]
    rows += [replace(one, sample=1) for one in rows]
    found = trials_of(rows)
    assert [(one[0].row.problem, one[0].row.sample) for one in found] == [("q", 0), ("p", 0), ("q", 1), ("p", 1)]
    assert all(len(one) == 2 for one in found)


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ([], "is empty"),
        ([row(10, "cut", 10, 17), row(10, "cut", 10, 17)], "once under each cap"),
        ([row(10, "cut", 10, 17), row(20, "cut", 20, 27, "q")], "once under each cap"),
        ([row(10, "cut", 10, 17), row(20, "cut", 20, 27, num_ignores=1)], "several methods or budgets"),
        ([row(10, "cut", 10, 17), replace(row(20, "cut", 20, 27), method="other")], "several methods or budgets"),
        ([row(10, "cut", 8, 17, cut_window=4)], "without stop messages, soft cuts and minimums"),
        ([row(10, "cut", 8, 17, cut_text="So")], "without stop messages"),
        ([row(10, "cut", 10, 17, min_thinking_tokens=5)], "without stop messages"),
        ([replace(row(10, "cut", 10, 17), num_ignores=None)], "says otherwise, or nothing"),
    ],
)
def test_rows_that_are_no_trials_are_refused(rows, said):
    with pytest.raises(ValueError, match=said):
        trials_of(rows)


def test_more_opening_tokens_than_there_are_are_refused():
    with pytest.raises(ValueError, match="`opening_tokens` has to be less"):
        trials_of([row(10, "cut", 10, 17), row(20, "cut", 20, 27)], opening_tokens=9)
