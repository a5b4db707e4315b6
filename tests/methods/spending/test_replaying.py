"""Totals spent on the rows of a sweep: what is paid, the oracle beside all choices, and what is refused."""

from __future__ import annotations

import itertools
from dataclasses import replace

import pytest

from s1_hf.forcing.budget import Budget
from s1_hf.forcing.columns import columns_of
from s1_hf.methods import spend_rows
from s1_hf.results.rows import Row
from s1_hf.results.summaries import summarize_settings

CAPS = (10, 20, 30)


def rows_of(problem, right, *, cost=5, ends_at=None, sample=0, confidence=None):
    made = []
    for cap, is_right in zip(CAPS, right, strict=True):
        over = ends_at is not None and ends_at < cap
        thinking = ends_at if over else cap
        made.append(
            Row(
                "budget forcing", f"cap {cap}", "t", problem, sample, thinking, cost, is_right,
                "natural" if over else "cut", extracted="5" if is_right else "7", total_tokens=thinking + cost,
                confidence=confidence, **columns_of(Budget(max_thinking_tokens=cap)),
            )
        )  # fmt: skip
    return made


def sweep():
    return [
        *rows_of("a", (True, True, True)), *rows_of("b", (False, True, True)), *rows_of("c", (False, False, True)),
        *rows_of("d", (False, True, False), cost=7), *rows_of("e", (True, False, False), ends_at=14),
    ]  # fmt: skip


def test_each_row_says_what_was_spent_on_it():
    rows = spend_rows(sweep(), [150, 40], ["uniform", "stability"])
    assert [(row.method, row.setting) for row in rows[::5]] == [
        ("spending, uniform", "total 150"), ("spending, uniform", "total 40"),
        ("spending, stability", "total 150"), ("spending, stability", "total 40"),
    ]  # fmt: skip
    for total, method in itertools.product((150, 40), ("uniform", "stability")):
        own = [row for row in rows if row.setting == f"total {total}" and row.method.endswith(method)]
        assert [row.problem for row in own] == list("abcde")
        assert 0 < sum(row.total_tokens for row in own) <= total
        assert all((row.ended == "not_found") == (row.total_tokens == 0) for row in own)
        assert not any(row.correct for row in own if row.ended == "not_found")
        assert all(row.promises == (None, None) and row.request is None for row in own)
    assert len(summarize_settings(rows)) == 4


def test_all_levels_are_paid_for_by_adaptive_policies_only():
    uniform, adaptive = (spend_rows(sweep(), [10**6], [policy]) for policy in ("uniform", "stability"))
    assert [row.total_tokens for row in uniform] == [35, 35, 35, 37, 19]
    assert [row.total_tokens for row in adaptive] == [45, 45, 45, 51, 24]
    assert [row.tries for row in adaptive] == [3, 3, 3, 3, 2] and {row.tries for row in uniform} == {1}
    same = ("problem", "correct", "thinking_tokens", "extracted")
    assert [[getattr(row, name) for name in same] for row in uniform] == [
        [getattr(row, name) for name in same] for row in adaptive
    ]


def test_no_choice_of_levels_beats_the_oracle():
    """All 4^5 ways to give each problem a level, or none."""
    rows = sweep()
    of = {(row.problem, row.max_thinking_tokens): row for row in rows}
    for total in range(0, 130, 7):
        best = 0
        for levels in itertools.product([None, *CAPS], repeat=5):
            chosen = [of[name, level] for name, level in zip("abcde", levels, strict=True) if level is not None]
            if sum(row.total_tokens for row in chosen) <= total:
                best = max(best, sum(row.correct for row in chosen))
        found = spend_rows(rows, [max(total, 1)], ["oracle"])
        assert sum(row.correct for row in found) == best
        assert sum(row.total_tokens for row in found) <= total
        for policy in ("uniform", "stability"):
            assert sum(row.correct for row in spend_rows(rows, [max(total, 1)], [policy])) <= best


def test_samples_and_tasks_have_totals_of_their_own():
    one = [*rows_of("a", (True, True, True)), *rows_of("b", (False, True, True))]
    both = one + [replace(row, sample=1) for row in one] + [replace(row, task="u") for row in one]
    alone = spend_rows(one, [40], ["stability"])
    found = spend_rows(both, [40], ["stability"])
    assert found[:2] == alone
    assert found[2:4] == [replace(row, sample=1) for row in alone]
    assert found[4:] == [replace(row, task="u") for row in alone]


def test_rows_without_a_cap_are_left_out():
    extra = [replace(row, max_thinking_tokens=None, total_tokens=999) for row in sweep()[::3]]
    assert spend_rows([*extra, *sweep()], [90], ["uniform"]) == spend_rows(sweep(), [90], ["uniform"])


def test_what_is_set_aside_is_what_answers_took_or_what_is_said():
    assert [row.total_tokens for row in spend_rows(sweep()[:3], [16], ["uniform"])] == [15]
    assert [row.total_tokens for row in spend_rows(sweep()[:3], [16], ["uniform"], reserve=7)] == [0]
    assert [row.total_tokens for row in spend_rows(sweep()[:3], [16], ["uniform"], opening_reserve=2)] == [0]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"rows": []}, "none has a cap"),
        ({"totals": []}, "`totals` has to be"),
        ({"totals": [0]}, "`totals` has to be"),
        (
            {"policies": ["fair"]},
            "`policies` has to be different ones of 'uniform', 'stability', 'confidence', 'oracle'",
        ),
        ({"policies": "uniform"}, "`policies` has to be"),
        ({"policies": ["confidence"]}, "because no row has one"),
        ({"reserve": -1}, "`reserve` has to be"),
        ({"opening_tokens": 1.5}, "`opening_tokens` has to be"),
        ({"round_size": 0}, "`round_size` has to be"),
    ],
)
def test_misuse_is_refused(options, said):
    given = {"rows": sweep(), "totals": [100], "policies": ["uniform"]} | options
    with pytest.raises(ValueError, match=said):
        spend_rows(given.pop("rows"), given.pop("totals"), given.pop("policies"), **given)
