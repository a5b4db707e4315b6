"""Rows are summarized by setting and by method."""

from __future__ import annotations

import pytest
from result_rows import a_row

from s1_hf.results.summaries import summarize_methods, summarize_settings


def test_a_setting_is_summarized_over_problems_and_samples():
    rows = [
        a_row(problem=str(p), sample=s, correct=p == 0 or s == 1, thinking_tokens=10 * p + s, tries=p + 1)
        for p in range(4)
        for s in range(2)
    ]
    (summary,) = summarize_settings(rows)
    assert (summary.problems, summary.samples, summary.accuracy) == (4, 2, 62.5)
    assert (summary.thinking_tokens, summary.tries) == (15.5, 2.5)
    assert summary.low < 62.5 < summary.high and summary.ended == {"cut": 8}


def test_what_was_not_found_is_wrong_and_costs_tokens_but_no_thinking():
    rows = [a_row(problem="1", total_tokens=12), a_row(problem="2", total_tokens=90, thinking_tokens=0, correct=False,
            ended="not_found")]  # fmt: skip
    (summary,) = summarize_settings(rows)
    assert (summary.thinking_tokens, summary.total_tokens, summary.accuracy) == (8, 51, 50)
    (nothing,) = summarize_settings(rows[1:])
    assert nothing.thinking_tokens == 0 and summarize_methods([nothing])[0].scaling is None


def test_the_papers_table_3_follows_from_rows():
    """Token-conditional control without and with budget forcing: 40 and 100 %, -24 and 13 per doubling, 40 %."""
    budgets = [1024, 2048, 4096, 8192, 16384]
    points = {
        "TCC": [(7939, 8), (7158, 9), (8263, 10), (7108, 10), (7500, 12)],
        "TCC + BF": [(1024, 1), (2048, 9), (4031, 10), (5664, 10), (6330, 12)],
    }
    rows = [
        a_row(method=method, setting=str(budget), problem=str(i), thinking_tokens=tokens, correct=i < right,
              max_thinking_tokens=budget)
        for method, curve in points.items() for budget, (tokens, right) in zip(budgets, curve, strict=True)
        for i in range(30)
    ]  # fmt: skip
    without, forced = summarize_methods(summarize_settings(rows))
    assert (without.method, without.control, round(without.scaling), without.performance) == ("TCC", 40, -24, 40)
    assert (forced.method, forced.control, round(forced.scaling), forced.performance) == ("TCC + BF", 100, 13, 40)


def test_what_promises_nothing_has_no_control_and_one_setting_no_scaling():
    (method,) = summarize_methods(summarize_settings([a_row(problem="1"), a_row(problem="2", correct=False)]))
    assert (method.control, method.scaling, method.performance, method.settings) == (None, None, 50.0, 1)


def test_a_setting_in_which_no_row_started_thinking_has_no_control_and_says_why():
    """One that thinks beyond its cap, and two that never think and so would seem to keep theirs."""
    over = [a_row(setting="cap 8", thinking_tokens=9, max_thinking_tokens=8)]
    never = {"thinking_tokens": 0, "ended": "never_started"}
    idle = [a_row(setting=f"cap {cap}", max_thinking_tokens=cap, **never) for cap in (16, 32)]
    (method,) = summarize_methods(summarize_settings([*over, *idle]))
    assert (method.control, method.never_started) == (0, ("cap 16", "cap 32"))
    assert method.no_control.startswith("budget forcing: cap 16, cap 32 have no Control, because no answer started")
    (method,) = summarize_methods(summarize_settings(idle[:1]))
    assert method.control is None and "cap 16 has no Control" in method.no_control
    (method,) = summarize_methods(summarize_settings(over))
    assert method.no_control == ""


def test_tasks_and_methods_are_kept_apart_and_in_order():
    rows = [a_row(task=t, method=m, setting=s) for s in "xy" for m in "ba" for t in "ut"]
    assert [(s.task, s.method, s.setting) for s in summarize_settings(rows)][:2] == [("u", "b", "x"), ("t", "b", "x")]
    assert [(m.task, m.method, m.settings) for m in summarize_methods(summarize_settings(rows))] == [
        ("t", "b", 2), ("t", "a", 2), ("u", "b", 2), ("u", "a", 2),
    ]  # fmt: skip


def test_rows_that_do_not_belong_together_are_refused():
    with pytest.raises(ValueError, match="problem '1' has sample 0 twice"):
        summarize_settings([a_row(), a_row()])
    with pytest.raises(ValueError, match="from 1 to 2 samples"):
        summarize_settings([a_row(), a_row(sample=1), a_row(problem="2")])


def test_tokens_of_a_scorer_count_beside_those_of_the_model():
    rows = [a_row(problem="1", total_tokens=100, scorer_tokens=30), a_row(problem="2", total_tokens=200)]
    (summary,) = summarize_settings(rows)
    assert (summary.total_tokens, summary.scorer_tokens, summary.all_tokens) == (150, 15, 165)
