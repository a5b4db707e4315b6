"""When thinking stops, by hand and beside all sequences of answers."""

from __future__ import annotations

import itertools

import pytest

pytest.importorskip("math_verify")

from s1_hf.methods import Confident, Stable, Trial
from s1_hf.methods.exits.rules import stop_at
from s1_hf.methods.exits.trials import streak
from s1_hf.results.rows import Row


def trials(answers, confidences=None) -> list[Trial]:
    confidences = confidences or [None] * len(answers)
    made = []
    for i, (answer, confidence) in enumerate(zip(answers, confidences, strict=True)):
        row = Row(
            "m", "s", "t", "p", 0, 16 * i + 16, 3, answer == "5", "cut", extracted=answer, total_tokens=16 * i + 20,
            confidence=confidence,
        )  # fmt: skip
        made.append(Trial(row, 20, i == len(answers) - 1))
    return made


def slowly(answers, times: int) -> int:
    """The first place where so many in a row are there and have one value."""
    values = [None if answer is None else float(answer) for answer in answers]
    for i in range(len(values) - 1):
        last = values[max(i - times + 1, 0) : i + 1]
        if len(last) == times and None not in last and len(set(last)) == 1:
            return i
    return len(values) - 1


def test_every_sequence_of_answers_stops_where_it_should():
    for answers in itertools.product(["5", "5.0", "7", None], repeat=5):
        for times in (1, 2, 3):
            assert stop_at(trials(answers), Stable(times)) == slowly(answers, times), (answers, times)


def test_a_streak_ends_at_another_answer_and_at_none():
    found = [streak(trials(answers)) for answers in ([], [None], ["5"], ["7", "5", "05"], ["5", None, "5"], ["5", "7"])]
    assert found == [0, 0, 1, 2, 1, 1]


def test_a_rule_is_not_asked_about_the_end():
    """Where nothing is left to save."""
    assert stop_at(trials(["5"]), Stable(1)) == 0
    assert stop_at(trials([None, None]), Stable(1)) == 1


def test_confidence_counts_from_the_threshold_on():
    made = trials(["5", "5", "5", "5"], [0.2, 0.5, 0.9, 0.1])
    assert [stop_at(made, Confident(t)) for t in (0.0, 0.3, 0.5, 0.51, 0.95)] == [0, 1, 1, 2, 3]


def test_choices_are_compared_by_their_letters():
    assert streak(trials(["B", "(B)", "b"]), "choice") >= 2


@pytest.mark.parametrize(
    "make", [lambda: Stable(0), lambda: Stable(1.5), lambda: Confident(1.1), lambda: Confident("1")]
)
def test_misuse_is_refused(make):
    with pytest.raises(ValueError, match="has to be"):
        make()
