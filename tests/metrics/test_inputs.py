"""What the metrics accept, and how they name what they refuse."""

import numpy as np
import pytest

from s1_hf.metrics.inputs import ANSWERS, SETTINGS, answers, at_least, between, fraction, limit, numbers, same_shape


def test_answers_become_zeros_and_ones_of_the_same_shape():
    assert answers("correct", [[True, False], [0, 1]]).tolist() == [[1, 0], [0, 1]]


def test_a_limit_is_one_number_or_one_for_each_and_may_be_infinite():
    tokens = numbers("thinking_tokens", [1, 2], SETTINGS)
    assert limit("maximum", np.inf, tokens) == np.inf
    assert limit("maximum", [1, 0], tokens).tolist() == [1, 0]


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: numbers("x", [[1], [1, 2]], ANSWERS), "`x` has to contain numbers, .* but is"),
        (lambda: numbers("x", ["a"], SETTINGS), "`x` has to contain numbers, .* but is .'a'."),
        (lambda: numbers("x", [[1]], SETTINGS), "an array of shape [(]settings,[)], but its shape is [(]1, 1[)]"),
        (lambda: numbers("x", [[[1]]], ANSWERS), "[(]problems,[)] or [(]problems, seeds[)], but its shape is"),
        (lambda: numbers("x", [], SETTINGS), "at least one value"),
        (lambda: numbers("x", [0, 1, 3], SETTINGS, low=1, high=2), "from 1 to 2, but contains .0.0, 3.0."),
        (lambda: answers("x", [0, 1, 2]), "True or False [(]1 or 0[)], but contains .2.0."),
        (lambda: limit("x", [1, 2], np.ones(3)), "shape [(]3,[)].*, but its shape is [(]2,[)]"),
        (lambda: limit("x", -1, np.ones(3)), "0 or more, but is -1.0"),
        (lambda: same_shape(a=np.ones(2), b=np.ones(3)), "`a` and `b` .* [(]2,[)] and [(]3,[)]"),
        (lambda: between(0, 1, x=1.5), "`x` has to be from 0 to 1, but is 1.5"),
        (lambda: fraction(x=1), "`x` has to lie between 0 and 1 .*, but is 1"),
        (lambda: at_least(2, x=1), "`x` has to be a whole number of at least 2, but is 1"),
        (lambda: at_least(0, x=True), "`x` has to be a whole number of at least 0, but is True"),
    ],
)
def test_what_is_refused_is_named_with_its_rule_and_value(call, words):
    with pytest.raises(ValueError, match=words):
        call()


def test_the_ends_of_a_range_are_allowed_but_those_of_a_fraction_are_not():
    between(0, 1, x=0)
    between(0, 1, x=1)
    at_least(2, x=np.int64(2))
    for end in (0, 1):
        with pytest.raises(ValueError, match="`x` has to lie between"):
            fraction(x=end)
