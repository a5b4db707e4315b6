"""Any function as a scorer."""

from __future__ import annotations

import math

import pytest

from s1_hf.scoring import Candidate, FunctionScorer

ONE = Candidate("q", ["a", "bb"], "ccc")


def test_equal_candidates_of_a_call_are_asked_about_once():
    asked = []

    def lengths(candidate):
        asked.append(candidate)
        return [len(part) for part in candidate.parts]

    unfinished = Candidate("q", ["a", "bb", "ccc"])
    scorer = FunctionScorer(lengths, "lengths", of_steps=True)
    assert scorer.scores([ONE, ONE, unfinished]).values == [(1.0, 2.0, 3.0)] * 3
    assert asked == [ONE, unfinished]


def test_a_function_of_answers_gives_one_number_and_wants_answers():
    scorer = FunctionScorer(lambda one: len(one.answer), "answers", of_steps=False)
    assert scorer.scores([ONE]).values == [(3.0,)]
    with pytest.raises(ValueError, match="'answers' scores answers, but 1 of 1"):
        scorer.scores([Candidate("q", ["a"])])


@pytest.mark.parametrize("values", [[1.0], [1.0, 2.0, math.nan], 1.0])
def test_numbers_that_cannot_be_used_are_refused(values):
    with pytest.raises(ValueError, match="has to give 3 finite numbers"):
        FunctionScorer(lambda one: values, "bad", of_steps=True).scores([ONE])


def test_a_function_needs_a_name():
    with pytest.raises(ValueError, match="`name`"):
        FunctionScorer(lambda one: 1.0, "", of_steps=True)


def test_a_function_is_a_function():
    with pytest.raises(TypeError, match="`function` has to be a function of a candidate, but is None"):
        FunctionScorer(None, "none", of_steps=False)


@pytest.mark.parametrize("given", ["hi", None, ["a"], [0.5, 0.5]])
def test_what_is_no_number_is_named(given):
    scorer = FunctionScorer(lambda candidate: given, "mine", of_steps=False)
    with pytest.raises(ValueError, match="'mine' has to give a finite number for this, but gave"):
        scorer.scores([Candidate("q", ["a"], "b")])
