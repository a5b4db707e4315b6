"""Closed forms of budget error, accuracy per 1,000 tokens and the area under a curve."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from metric_cases import curves

from s1_hf.metrics import accuracy_per_1000_tokens, area_under_curve, budget_error


def test_budget_error_counts_too_little_and_too_much_by_each_budget():
    assert budget_error([500, 1500, 1000], 1000) == pytest.approx(100 / 3)  # the mean length has no error at all
    assert budget_error([[50, 100], [900, 1000]], [[100, 100], [1000, 1000]]) == pytest.approx(15)


def test_accuracy_per_1000_tokens_is_a_ratio_of_means():
    assert accuracy_per_1000_tokens([500, 500, 1000, 6000], [1, 1, 1, 0]) == 37.5
    assert accuracy_per_1000_tokens([[500, 500], [1000, 6000]], [[1, 1], [1, 0]]) == 37.5


def test_area_is_over_the_logarithm_divided_by_the_width():
    assert area_under_curve([1000, 2000, 8000], [10, 30, 60]) == pytest.approx((20 * 1 + 45 * 2) / 3)


def test_settings_of_equal_tokens_are_one_point_at_their_mean_accuracy():
    assert area_under_curve([1000, 2000, 2000], [10, 20, 50]) == 22.5


@given(curves, st.randoms(use_true_random=False))
def test_the_order_of_settings_does_not_matter(curve, random):
    shuffled = random.sample(curve, len(curve))
    expected = area_under_curve(*zip(*curve, strict=True))
    assert area_under_curve(*zip(*shuffled, strict=True)) == pytest.approx(expected, abs=1e-9)


@given(curves, st.floats(0.01, 0.5), st.floats(0, 50), st.floats(0.5, 1000))
def test_the_area_under_shifts_and_factors(curve, factor, shift, stretch):
    x, f = (np.array(values, dtype=float) for values in zip(*curve, strict=True))
    area = area_under_curve(stretch * x, factor * f + shift)
    assert area == pytest.approx(factor * area_under_curve(x, f) + shift, rel=1e-6, abs=1e-6)
    assert f.min() - 1e-9 <= area_under_curve(x, f) <= f.max() + 1e-9


@given(st.floats(1, 100), st.floats(-5, 5))
def test_on_a_straight_line_the_area_is_the_height_in_the_middle(start, slope):
    x = 100 * 2.0 ** np.array([0, 1, 3, 7])
    f = 50 + slope * np.array([0, 1, 3, 7])
    assert area_under_curve(start * x, f) == pytest.approx(50 + 3.5 * slope)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: area_under_curve([5], [5]), "at least two different values"),
        (lambda: budget_error([1, 2], 0), "`budget` has to be finite and above 0, but is 0.0"),
        (lambda: budget_error([1, 2], np.inf), "`budget` has to be finite"),
        (lambda: accuracy_per_1000_tokens([0, 0], [1, 0]), "all are 0"),
        (lambda: accuracy_per_1000_tokens([[1, 2]], [1, 0]), "entry by entry.* [(]1, 2[)] and [(]2,[)]"),
    ],
)
def test_what_is_refused_is_named_with_its_rule_and_value(call, words):
    with pytest.raises(ValueError, match=words):
        call()
