"""Answers in groups."""

from __future__ import annotations

import pytest

pytest.importorskip("math_verify")

from ending import ending

from s1_hf.grading import group_equivalent, voting, worker


@pytest.fixture
def asked(monkeypatch):
    """What the worker is asked, in order."""
    questions: list[tuple[str, ...]] = []
    ask = worker._ask
    worker.read.cache_clear()
    worker._verdict.cache_clear()
    monkeypatch.setattr(worker, "_ask", lambda *question: questions.append(question) or ask(*question))
    return questions


def test_groups_hold_equal_answers_in_order_and_leave_out_no_answer():
    answers = ["0.5", None, "7", "1/2", "07", r"\frac{1}{2}", "x", "0.5"]
    assert group_equivalent(answers) == [[0, 3, 5, 7], [2, 4], [6]]


def test_the_first_member_stands_for_its_group():
    """1/3 equals both decimals, which are not equal to each other: they meet only under 1/3."""
    assert group_equivalent(["1/3", "0.3333333", "0.33333333"]) == [[0, 1, 2]]
    assert group_equivalent(["0.3333333", "0.33333333", "1/3"]) == [[0, 2], [1]]


def test_choices_are_grouped_by_letter():
    assert group_equivalent(["A", "B", None, "(A)", "x", "y"], "choice") == [[0, 3], [1], [4], [5]]


@pytest.mark.parametrize("form", ["x^{}+1", "y=x^{}+1", "x<{}", r"(-\infty,{}]\cup(99,\infty)", "2x+{}y=3", "f(x)={}"])
def test_distinct_formulas_are_read_once_and_not_compared(form, asked):
    answers = [form.format(i) for i in range(2, 18)]
    assert group_equivalent([*answers, *answers]) == [[i, i + 16] for i in range(16)]
    assert [question for question, *_ in asked] == ["read"] * 16


def test_only_what_may_be_equal_is_compared(asked):
    assert group_equivalent(["(x+1)^2", "x^2+1", "x^2+2x+1"]) == [[0, 2], [1]]
    assert [question for question, *_ in asked].count("compare") == 1


def test_a_formula_that_took_too_long_is_not_tried_again(asked, monkeypatch):
    monkeypatch.setattr(worker, "TIME_LIMIT_S", 0.5)
    hostile = [f"{i}^{{{i}^{{{i}^{i}}}}}" for i in (11, 12, 13)]
    assert ending(group_equivalent, ["x+1", *hostile, "1+x"]) == [[0, 4], [1], [2], [3]]
    assert [formulas for question, *formulas in asked if question == "read" and formulas[0] in hostile] == [
        [formula] for formula in hostile
    ]


def test_a_comparison_that_took_too_long_rules_out_the_formula_that_has_no_value(monkeypatch):
    """It is not compared again; the other one is."""
    values = {"a": [1.0, 0.0, 1.0], "b": None, "y": [1.0, 0.0, 1.0], "a+0": [1.0, 0.0, 1.0]}
    compared = []

    def verify(one, other):
        compared.append({one, other})
        return "ended" if "b" in (one, other) else "equal" if "a+0" in (one, other) else "different"

    monkeypatch.setattr(
        voting, "read", lambda f: worker.Reading({"equation": False, "value": values[f], "ratio": None})
    )
    monkeypatch.setattr(voting, "verify", verify)
    assert group_equivalent(["a", "b", "y", "a+0"]) == [[0, 3], [1], [2]]
    assert compared == [{"a", "b"}, {"a", "y"}, {"a", "a+0"}]


def test_a_vote_spends_no_more_than_its_time_on_math_verify(asked, monkeypatch):
    monkeypatch.setattr(voting, "VOTE_LIMIT_S", -1.0)
    assert group_equivalent(["x+1", "1+x", "0.5", "1/2", "x+1"]) == [[0, 4], [1], [2], [3]]
    assert asked == []
