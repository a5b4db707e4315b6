"""Scorers that know the right answers."""

from __future__ import annotations

import pytest

from s1_hf.engines.request import digest
from s1_hf.results.rows import Problem
from s1_hf.scoring import Candidate, LampsOracle, Oracle, ScoringCost

QUESTIONS = [Problem("1", "1/2 + 1/4?", "3/4"), Problem("2", "Which one?", "B", kind="choice")]


def test_the_oracle_grades_answers_as_the_grader_does():
    found = Oracle(QUESTIONS).scores(
        [
            Candidate("1/2 + 1/4?", ["so"], "It is \\boxed{0.75}."),
            Candidate("1/2 + 1/4?", ["so"], "It is \\boxed{0.7}."),
            Candidate("1/2 + 1/4?", ["\\boxed{0.75}"], ""),
            Candidate([{"role": "user", "content": "Which one?"}], [], "Answer: B"),
        ]
    )
    assert found.values == [(1.0,), (0.0,), (0.0,), (1.0,)]
    assert found.cost == ScoringCost()


def test_the_oracle_refuses_what_it_cannot_know():
    oracle = Oracle(QUESTIONS)
    with pytest.raises(ValueError, match="have none"):
        oracle.scores([Candidate("Which one?", ["B"])])
    with pytest.raises(ValueError, match="does not know the question 'What'"):
        oracle.scores([Candidate("What", [], "B")])
    with pytest.raises(ValueError, match="two right answers"):
        Oracle([*QUESTIONS, Problem("3", "1/2 + 1/4?", "1")])


def test_an_identity_tells_golds_apart():
    assert digest(Oracle(QUESTIONS).identity) == digest(Oracle(QUESTIONS[::-1]).identity)
    assert digest(Oracle(QUESTIONS).identity) != digest(Oracle(QUESTIONS[:1]).identity)


def test_the_oracle_of_the_lamps_knows_no_other_question():
    with pytest.raises(ValueError, match="no problem of the two lamps"):
        LampsOracle().scores([Candidate("1 + 1?", ["2"])])
