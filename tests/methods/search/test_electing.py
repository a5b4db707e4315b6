"""The answer that is given, of several that are scored."""

from __future__ import annotations

import pytest

pytest.importorskip("math_verify")

from s1_hf.methods.search.electing import check_election, elected


def test_equal_answers_share_their_weight():
    """0.4 + 0.4 for a half, written in two ways, outweigh 0.7; the row is the one with the higher reward."""
    answers, rewards = ["7", "0.5", None, "1/2"], [0.7, 0.3, 5.0, 0.5]
    assert elected(answers, rewards, "weighted") == 3
    assert elected(answers, rewards, "best") == 0
    assert elected(answers, [0.9, 0.3, 0.0, 0.5], "weighted") == 0
    assert elected(answers, rewards, "majority") == 1


@pytest.mark.parametrize("election", ["best", "weighted", "majority"])
def test_the_first_of_equals_and_the_first_of_all_if_nobody_answers(election):
    assert elected(["3", "4"], [0.5, 0.5], election) == 0
    assert elected([None, "4", "3"], [0.5, 0.5, 0.5], election) == 1
    assert elected([None, "4", "3"], [0.0, 0.0, 0.0], election) == 1
    assert elected([None, None], [0.1, 0.9], election) == 0


def test_letters_are_compared_as_choices():
    assert elected(["A", "B", "b"], [0.6, 0.4, 0.4], "weighted", "choice") == 1


def test_negative_weights_are_refused():
    with pytest.raises(ValueError, match=r"must not be negative, but one is -0\.5"):
        elected(["3", "4"], [-0.5, 2.0], "weighted")
    assert elected(["3", None], [0.5, -2.0], "weighted") == 0  # who gives no answer does not vote
    assert elected(["3", "4"], [-0.5, -2.0], "best") == 0
    with pytest.raises(ValueError, match="`election` has to be one of 'best', 'weighted', 'majority'"):
        check_election("vote")
