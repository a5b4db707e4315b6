"""Candidates, their aggregates and their costs."""

from __future__ import annotations

import subprocess
import sys

import pytest

from s1_hf.scoring import Candidate, ScoringCost, aggregate


def test_parts_are_the_steps_and_then_the_answer():
    assert Candidate("q", ["a", "b"]).parts == ("a", "b")
    assert Candidate("q", ["a", "b"], "c").parts == ("a", "b", "c")
    assert Candidate("q", [], "").parts == ("",) and Candidate("q", [], "").is_finished


@pytest.mark.parametrize(("steps", "answer"), [("one text", None), ([1], None), (["a"], 3)])
def test_texts_are_texts(steps, answer):
    with pytest.raises(TypeError):
        Candidate("q", steps, answer)


def test_nothing_is_no_candidate():
    with pytest.raises(ValueError, match="at least one step or an answer"):
        Candidate("q", [])


@pytest.mark.parametrize("question", [None, 3, b"q", [], ["q"], {"role": "user"}], ids=str)
def test_a_question_is_a_text_or_a_chat(question):
    with pytest.raises(TypeError, match="`question` has to be a text or a chat"):
        Candidate(question, ["a"])


@pytest.mark.parametrize(
    ("question", "steps"), [("\ud800", ["a"]), ("q", ["\ud800"]), ([{"role": "user", "content": "\ud800"}], ["a"])]
)
def test_half_a_character_is_refused(question, steps):
    with pytest.raises(ValueError, match=r"character 0 is a lone surrogate \(U\+D800\)"):
        Candidate(question, steps)


@pytest.mark.parametrize("values", [[0.1, float("nan")], [float("nan"), 0.1], [float("inf")], ["a"], "abc", [None]])
@pytest.mark.parametrize("how", ["last", "min", "product", "mean"])
def test_what_is_no_finite_number_is_not_made_into_one(values, how):
    with pytest.raises(ValueError, match="`values` has to hold finite numbers"):
        aggregate(values, how)


def test_a_question_is_a_text_or_a_chat_of_one():
    assert Candidate([{"role": "user", "content": "q"}], ["a"]).question_text == "q"
    with pytest.raises(ValueError, match="a chat of 2 messages"):
        _ = Candidate([{"role": "user", "content": "q"}] * 2, ["a"]).question_text


@pytest.mark.parametrize(("how", "value"), [("last", 0.5), ("min", 0.25), ("product", 0.1), ("mean", 1.55 / 3)])
def test_aggregates(how, value):
    assert aggregate((0.8, 0.25, 0.5), how) == pytest.approx(value)


def test_aggregates_of_nothing_or_in_unknown_ways_are_refused():
    with pytest.raises(ValueError, match="at least one number"):
        aggregate(())
    with pytest.raises(ValueError, match="'max'"):
        aggregate((1.0,), "max")


def test_costs_add_up():
    assert ScoringCost(1, 2, 3) + ScoringCost(10, 20, 30) == ScoringCost(11, 22, 33)


def test_the_room_is_imported_without_transformers():
    code = "import s1_hf.scoring, sys; sys.exit('transformers' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
