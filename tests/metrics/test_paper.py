"""The paper's table 3 from its own points, and closed forms of its equations."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from metric_cases import curves

from s1_hf.metrics import accuracy, control, performance, scaling

# AIME24, (thinking tokens, right answers of 30): the paper's tables of the methods; budget forcing and rejection
# sampling are read off its figures 1 and 6.
POINTS = {
    "BF": [(500, 0), (1000, 4), (2000, 9), (3933, 13), (5300, 15), (6657, 16), (7320, 17)],
    "TCC": [(7939, 8), (7158, 9), (8263, 10), (7108, 10), (7500, 12)],
    "TCC + BF": [(1024, 1), (2048, 9), (4031, 10), (5664, 10), (6330, 12)],
    "SCC": [(7252, 10), (6277, 7), (5396, 10), (5552, 11), (7551, 10)],
    "SCC + BF": [(1517, 7), (2963, 7), (4636, 10), (5409, 11), (7551, 10)],
    "CCC": [(8033, 9), (9651, 11)],
    "RS": [(3703, 11), (4344, 10), (4734, 9), (5193, 8), (5293, 7)],
}


PER_1000 = {"BF": 8.7, "TCC": -4.8, "TCC + BF": 6.7, "SCC": 0.6, "SCC + BF": 2.5, "CCC": 4.1, "RS": -10.6}


TABLE_3 = {  # Scaling, Performance
    "BF": (15, 56.7), "TCC": (-24, 40.0), "TCC + BF": (13, 40.0), "SCC": (3, 36.7), "SCC + BF": (6, 36.7),
    "CCC": (25, 36.7),
}  # fmt: skip


BUDGETS = [1024, 2048, 4096, 8192, 16384]


STEPS = [1600, 3200, 6400, 12800, 25600]  # 16 to 256 steps at 100 tokens


LIMITS = {
    "TCC": {"maximum": BUDGETS},
    "TCC + BF": {"maximum": BUDGETS},
    "SCC": {"maximum": STEPS},
    "SCC + BF": {"maximum": STEPS},
    "CCC": {"minimum": [0, 6109], "maximum": [6109, np.inf]},  # short: under no prompt's tokens; long: above them
}


def points(method):
    tokens, right = zip(*POINTS[method], strict=True)
    return tokens, [100 * count / 30 for count in right]


@pytest.mark.parametrize("method", TABLE_3)
def test_scaling_and_performance_are_table_3(method):
    tokens, percent = points(method)
    assert (round(scaling(tokens, percent)), round(performance(percent), 1)) == TABLE_3[method]


def test_scaling_of_rejection_sampling_is_table_3_by_the_last_five_points_of_figure_6():
    assert round(scaling(*points("RS"))) == -35


@pytest.mark.parametrize("method", POINTS)
def test_scaling_by_the_printed_equation_is_not_table_3(method):
    per_1000 = scaling(*points(method), unit="1000_tokens")
    assert round(per_1000, 1) == PER_1000[method]
    assert scaling(*points(method), unit="tokens") == pytest.approx(per_1000 / 1000)


@pytest.mark.parametrize(
    ("method", "percent"), [("TCC", 40), ("TCC + BF", 100), ("SCC", 60), ("SCC + BF", 100), ("CCC", 50)]
)
def test_control_is_table_3(method, percent):
    assert control(points(method)[0], **LIMITS[method]) == percent


def test_control_of_budget_forcing_is_perfect():
    assert control([500, 1000, 2000, 3933, 5300], maximum=[500, 1000, 2000, 4000, 8000]) == 100


def test_control_counts_both_ends_and_both_sides():
    assert control([99, 100, 150, 200, 201], minimum=100, maximum=200) == 60
    assert control([99, 100, 150, 200, 201], minimum=100) == 80
    assert control([0, 1], maximum=0) == 50


def test_scaling_is_the_mean_over_all_pairs_not_over_neighbours():
    slopes = [(30 - 10) / 1, (60 - 30) / 2, (60 - 10) / 3]  # 1000 to 2000 is one doubling, 2000 to 8000 two
    assert scaling([1000, 2000, 8000], [10, 30, 60]) == pytest.approx(np.mean(slopes))
    assert scaling([1000, 2000, 8000], [10, 30, 60], unit="1000_tokens") == pytest.approx(np.mean([20, 5, 50 / 7]))


def test_accuracy_is_in_percent_over_problems_and_seeds():
    assert accuracy([[True, True, False], [False, False, False]]) == pytest.approx(100 / 3)


def test_settings_of_equal_tokens_are_one_point_at_their_mean_accuracy():
    assert scaling([1000, 2000, 2000], [10, 20, 50]) == 25
    assert scaling([1000, 1000, 2000, 2000], [10, 10, 35, 35]) == 25


@given(curves, st.randoms(use_true_random=False))
def test_the_order_of_settings_does_not_matter(curve, random):
    shuffled = random.sample(curve, len(curve))
    assert scaling(*zip(*shuffled, strict=True)) == pytest.approx(scaling(*zip(*curve, strict=True)), abs=1e-9)


@given(curves, st.floats(0.01, 0.5), st.floats(0, 50), st.floats(0.5, 1000))
def test_scaling_under_shifts_and_factors(curve, factor, shift, stretch):
    x, f = (np.array(values, dtype=float) for values in zip(*curve, strict=True))
    for unit, slower in (("log2_tokens", 1), ("tokens", stretch)):
        old, new = scaling(x, f, unit), scaling(stretch * x, factor * f + shift, unit)
        assert new == pytest.approx(factor * old / slower, rel=1e-6, abs=1e-5)


@given(st.floats(1, 100), st.floats(-5, 5))
def test_on_a_straight_line_scaling_is_its_slope(start, slope):
    x = 100 * 2.0 ** np.array([0, 1, 3, 7])
    f = 50 + slope * np.array([0, 1, 3, 7])
    assert scaling(start * x, f) == pytest.approx(slope, abs=1e-9)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (
            lambda: scaling([1000], [50]),
            "`thinking_tokens` has to contain at least two different values, but contains .1000.0.. Run",
        ),
        (lambda: scaling([1000, 1000], [50, 60]), "at least two different values.* second budget"),
        (lambda: scaling([1000, 2000], [50]), "`thinking_tokens` and `accuracy` .* [(]2,[)] and [(]1,[)]"),
        (lambda: scaling([0, 2000], [0, 50]), "above 0, but contains 0.* no logarithm.*`unit"),
        (lambda: scaling([1, 2], [0, 50], unit="log_tokens"), "`unit` has to be one of log2_tokens, .*'log_tokens'"),
        (
            lambda: scaling([1, np.nan], [0, 50]),
            "`thinking_tokens` has to contain finite numbers .* contains .*nan.* leave",
        ),
        (lambda: scaling([1, 2], [-1, 101]), "`accuracy` .* from 0 to 100, but contains .-1.0, 101.0."),
        (lambda: scaling([], []), "`thinking_tokens` has to contain at least one value"),
        (lambda: performance([]), "`accuracy` has to contain at least one value"),
        (lambda: performance([50, np.nan]), "nan"),
        (lambda: scaling([1, np.inf], [0, 50]), "`thinking_tokens` .* contains .inf"),
        (lambda: performance(50), "`accuracy` has to be an array of shape [(]settings,[)], but its shape is [(][)]"),
        (lambda: control([1, 2]), "`minimum` or `maximum` has to be given"),
        (lambda: control([1, 2], maximum=[1, 2, 3]), "`maximum` has to be one number, or one for each.*[(]3,[)]"),
        (lambda: control([1, 2], maximum=np.nan), "`maximum` has to be 0 or more, but is nan"),
        (lambda: control([1, 2], minimum=3, maximum=2), "`minimum` has to be at most `maximum`.*Swap"),
        (lambda: accuracy([0.5, 1]), "`correct` has to contain True or False .* contains .0.5.. Grade"),
        (lambda: accuracy([True, None]), "contains .*nan"),
        (lambda: accuracy([[1, 0], [1]]), "equally many in every row.*Leave out problems with fewer samples"),
    ],
)
def test_what_is_refused_is_named_with_its_rule_and_value(call, words):
    with pytest.raises(ValueError, match=words):
        call()
