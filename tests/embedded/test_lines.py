"""Which lines of a trace are right."""

from __future__ import annotations

import pytest

from s1_hf.embedded.lines import right_lines
from s1_hf.embedded.problems import Problem, problems, training_traces

PROBLEM = Problem(12, 12, 2, 17)
LINES = ["A from 12 by 12, B from 2 by 17.", "12 > 2", "12 < 19", "Not yet.", "Wait, keep going.", "24 > 19"]
MET = ["24 < 36", "36 = 36", "Wait, check: 36 = 36."]


def test_all_lines_of_the_traces_that_the_toy_was_taught_are_right():
    of_question = {problem.question: problem for problem in problems()}
    for trace in training_traces():
        assert all(right_lines(of_question[trace.question], trace.thinking.split("\n")))


def test_space_and_a_full_stop_do_not_matter():
    assert right_lines(PROBLEM, [f" {line}\n" for line in LINES] + ["24 < 36", "36 = 36."]) == [True] * 8


@pytest.mark.parametrize(
    "wrong",
    [
        "24 < 19",  # the sign
        "24 > 36",  # the sum
        "24 < 37",
        "24 > 19",  # twice
        "36 = 36",  # one left out
        "Wait, check: 36 = 36.",  # not found yet
        "A from 12 by 12, B from 2 by 17.",
        "So what?",
        "",
    ],
)
def test_after_a_wrong_line_nothing_is_right(wrong):
    assert right_lines(PROBLEM, [*LINES, wrong, *MET]) == [True] * 6 + [False] * 4


@pytest.mark.parametrize("late", ["Not yet.", "Wait, keep going.", "48 > 36", "36 = 36", "Wait, check: 24 = 24."])
def test_after_the_lamps_have_met_only_checks_are_right(late):
    assert right_lines(PROBLEM, [*LINES, *MET, late]) == [True] * 9 + [False]


def test_the_first_line_is_the_summary():
    assert right_lines(PROBLEM, ["A from 12 by 12, B from 2 by 18.", "12 > 2"]) == [False, False]
    assert right_lines(PROBLEM, LINES[1:]) == [False] * 5
    assert right_lines(PROBLEM, []) == []
