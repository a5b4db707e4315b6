"""The laws of the intervals.

The generators' seeds are fixed, so that nothing fails by chance; the probabilities stated are those with which a
correct implementation would fail under another seed.
"""

import math
from functools import partial

import numpy as np
import pytest
from metric_cases import versus
from scipy import stats

from s1_hf.metrics import (
    accuracy,
    bootstrap_interval,
    intervals,
    largest_share,
    paired_bootstrap_interval,
    wilson_interval,
)


@pytest.mark.parametrize(
    ("wins", "losses", "low", "high"),
    [(0, 4, -26.7, -3.3), (0, 7, -40.0, -10.0), (4, 3, -13.3, 20.0)],
    ids=["1K-random", "1K-diverse", "59K-full"],
)
def test_paired_intervals_are_those_of_table_2(wins, losses, low, high):
    """AIME24 against s1K with the fewest disagreements that give the printed interval. The law of the difference is
    multinomial; its quantiles are at least 0.006 of probability, 3.9 standard errors of 10,000 draws, from the next
    value, so that a correct implementation fails with at most 2e-4.
    """
    interval = paired_bootstrap_interval(*versus(wins, losses), rng=np.random.default_rng(5))
    assert interval == pytest.approx((low, high), abs=0.05)


@pytest.mark.parametrize("level", [0.5, 0.95])
def test_the_interval_of_one_seed_has_binomial_ends(level):
    """70 of 200: the law of a resample's mean is Binomial(200, 0.35) / 200. Each end lies between the law's quantiles
    at its probability plus and minus 5 standard errors of 10,000 draws: a correct implementation fails with 1e-6.
    """
    low, high = bootstrap_interval([1] * 70 + [0] * 130, np.mean, level=level, rng=np.random.default_rng(1))
    for end, share in ((low, (1 - level) / 2), (high, (1 + level) / 2)):
        margin = 5 * math.sqrt(share * (1 - share) / 10_000)
        below, above = stats.binom.ppf([share - margin, share + margin], 200, 0.35) / 200
        assert below <= end <= above
    assert low < 0.35 < high


@pytest.mark.parametrize(("certain", "share"), [(False, 0.50), (True, 0.55)])
def test_intervals_cover_problems_and_seeds(certain, share):
    """100 problems, 8 seeds, intervals of 50 %, which tell widths apart best. Either all problems have the chance 1/2,
    so that only seeds vary, or each is always or never solved, so that only problems vary (where ends on the steps of
    1 % make it 55 %). Of 400 intervals `share` holds the truth, give or take 45: a correct implementation fails with
    1e-5. Drawing the seeds anew as well holds 64 % in the first case, 800 independent answers 20 % in the second.
    """
    rng = np.random.default_rng(2)
    held = 0
    for _ in range(400):
        chance = rng.random((100, 1)) < 0.5 if certain else 0.5
        correct = rng.random((100, 8)) < chance
        low, high = bootstrap_interval(correct, np.mean, level=0.5, resamples=100, rng=rng)
        held += low <= 0.5 <= high
    assert abs(held - 400 * share) <= 45


def test_the_estimator_sees_problems_with_all_their_seeds():
    rows = {(0, 0, 1), (1, 1, 0), (0, 1, 1)}
    seen = []
    bootstrap_interval(
        sorted(rows), lambda drawn: seen.append(drawn) or 0.0, resamples=20, rng=np.random.default_rng(0)
    )
    assert all(drawn.shape == (3, 3) and {tuple(row) for row in drawn} <= rows for drawn in seen)
    assert len({drawn.tobytes() for drawn in seen}) > 10


def test_any_estimator_of_any_numbers():
    tokens = np.array([100.0] * 9 + [10_000.0])
    assert bootstrap_interval(tokens, np.median, level=0.5, rng=np.random.default_rng(0)) == (100, 100)
    low, high = paired_bootstrap_interval(tokens + 50, tokens, np.mean, rng=np.random.default_rng(0))
    assert low == pytest.approx(50) == high  # drawn for both alike: without pairing the spread is thousands


def test_the_difference_is_that_from_the_second_and_seeds_may_differ_in_number():
    low, high = paired_bootstrap_interval([1] * 40, [[0, 0, 1]] * 40, rng=np.random.default_rng(0))
    assert low == pytest.approx(200 / 3) == high


def test_the_same_generator_gives_the_same_interval_and_the_global_one_is_left_alone():
    before = np.random.get_state()[1].copy()  # noqa: NPY002
    intervals = {bootstrap_interval([1, 0, 1, 1, 0], rng=np.random.default_rng(s)) for s in (7, 7)}
    assert len(intervals) == 1
    assert (np.random.get_state()[1] == before).all()  # noqa: NPY002


def test_without_disagreement_an_interval_has_no_width():
    assert bootstrap_interval([True] * 30, rng=np.random.default_rng(0)) == (100, 100)


@pytest.mark.parametrize(
    ("right", "total", "low", "high"),
    [(0, 10, 0.0, 27.75), (5, 10, 23.66, 76.34), (10, 10, 72.25, 100.0), (81, 263, 25.53, 36.62)],
)
def test_wilson_intervals_are_those_of_the_literature(right, total, low, high):
    """The last is Newcombe's (1998) example, 81 of 263."""
    assert wilson_interval([True] * right + [False] * (total - right)) == pytest.approx((low, high), abs=5e-3)


RNG = np.random.default_rng(0)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: bootstrap_interval([1], rng=RNG), "`problems` has to be a whole number of at least 2, but is 1"),
        (lambda: bootstrap_interval([1, 0.5], rng=RNG), "True or False"),
        (lambda: bootstrap_interval([1, 0], level=95, rng=RNG), "`level` has to lie between 0 and 1 .*, but is 95"),
        (
            lambda: bootstrap_interval([1, 0], resamples=0, rng=RNG),
            "`resamples` has to be a whole number of at least 1",
        ),
        (lambda: bootstrap_interval([1, 0], rng=0), "`rng` has to be .*Generator, but is 0. Use .*default_rng"),
        (lambda: bootstrap_interval([1, 0], lambda _: math.nan, rng=RNG), "`estimator` .* finite .* returned nan"),
        (lambda: paired_bootstrap_interval([1, 0], [1, 0, 0], rng=RNG), "same problems .* contain 2 and 3"),
    ],
)
def test_what_is_refused_is_named_with_its_rule_and_value(call, words):
    with pytest.raises(ValueError, match=words):
        call()


@pytest.mark.parametrize("shape", [(2,), (30,), (31, 7)])
@pytest.mark.parametrize("at_once", [1, 100, 1_000_000])
def test_accuracies_are_resampled_together_and_are_those_of_one_resample_after_the_other(shape, at_once, monkeypatch):
    monkeypatch.setattr(intervals, "_AT_ONCE", at_once)
    a, b = np.random.default_rng(3).random((2, *shape)) < 0.4
    for interval in (partial(bootstrap_interval, a), partial(paired_bootstrap_interval, a, b)):
        together, one_by_one = (
            interval(estimator, resamples=333, rng=np.random.default_rng(0))
            for estimator in (accuracy, lambda values: accuracy(values))
        )
        assert together == one_by_one


@pytest.mark.parametrize("total", [1, 2, 7, 40, 1000])
def test_the_largest_share_is_clopper_and_pearsons(total):
    """A quantile of a beta law; and never below the true share more often than promised."""
    for count in {0, total // 3, total - 1}:
        for level in (0.5, 0.9, 0.95, 0.999):
            expected = stats.beta(count + 1, total - count).ppf(level)
            assert largest_share(count, total, level=level) == pytest.approx(expected, rel=1e-9)
    assert largest_share(total, total) == 1.0


@pytest.mark.parametrize(
    ("count", "total", "level"), [(-1, 5, 0.9), (6, 5, 0.9), (1, 0, 0.9), (1, 5, 1.0), (0.5, 5, 0.9)]
)
def test_no_share_is_refused(count, total, level):
    with pytest.raises(ValueError, match="has to"):
        largest_share(count, total, level=level)
