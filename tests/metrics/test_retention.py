"""The laws of how much accuracy is kept.

The generators' seeds are fixed, so that nothing fails by chance; the probabilities stated are those with which a
correct implementation would fail under another seed.
"""

import math

import numpy as np
import pytest
from metric_cases import versus
from scipy import stats

from s1_hf.metrics import problems_needed, retention, retention_interval, retention_test


def rng():
    return np.random.default_rng(7)


def answers_of(kept, lost, gained=0, neither=0):
    """Answers with and without a cap."""
    a = [1] * kept + [0] * lost + [1] * gained + [0] * neither
    b = [1] * (kept + lost) + [0] * (gained + neither)
    return a, b


def test_it_is_the_ratio_of_the_accuracies():
    assert retention(*answers_of(kept=6, lost=2, gained=1, neither=11)) == 87.5
    assert retention([[1, 0], [1, 1]], [[1, 1, 1, 1], [0, 1, 1, 1]]) == pytest.approx(100 * 0.75 / 0.875)


@pytest.mark.parametrize(
    ("kept", "lost", "percent"), [(59, 0, 95), (20, 0, 90), (90, 4, 90), (300, 1, 99), (45, 1, 80)]
)
def test_without_gains_it_is_the_binomial_test(kept, lost, percent):
    """Of the problems that are solved without a cap, each is lost with 1 less `kept`. 5 standard errors of 10,000
    draws: a correct implementation fails with 6e-7 in each case.
    """
    exact = stats.binom.cdf(lost, kept + lost, 1 - percent / 100)
    found = retention_test(*answers_of(kept, lost), kept=percent, rng=rng())
    assert abs(found - exact) < 5 * math.sqrt(exact * (1 - exact) / 10_000) + 1e-4


def test_problems_that_nobody_solves_say_nothing():
    few, many = (answers_of(50, 1, 3, neither) for neither in (0, 400))
    assert retention_test(*few, kept=90, rng=rng()) == retention_test(*many, kept=90, rng=rng())


def test_the_same_samples_again_say_nothing():
    a, b = map(np.array, answers_of(50, 3, 2, 5))
    twice = np.stack([a, a], axis=1), np.stack([b, b], axis=1)
    assert retention_test(*twice, kept=90, rng=rng()) == retention_test(a, b, kept=90, rng=rng())


def test_what_is_no_better_than_asked_shows_nothing():
    assert retention_test(*answers_of(90, 10), kept=90, rng=rng()) == 1
    assert retention_test([0, 0, 1], [1, 1, 0], kept=95, rng=rng()) == 1
    assert retention_test([1, 0, 1], [1, 0, 1], kept=100, rng=rng()) == 1


@pytest.mark.parametrize(
    ("percent", "share", "gained", "problems"),
    [(95, 0.6, 0.0, 60), (95, 0.6, 0.02, 250), (90, 0.3, 0.1, 60), (80, 0.6, 0.3, 30), (99, 0.95, 0.005, 500)],
)
def test_at_the_margin_one_test_in_twenty_shows_what_is_not_true(percent, share, gained, problems):
    """Of 600 data sets under the hypothesis at most 53 are significant, which a level of 5 % exceeds with 3e-5."""
    draw, significant = rng(), 0
    ratio = percent / 100
    kept = ratio - gained * (1 - share) / share  # so that the accuracies have just this ratio
    law = [share * kept, share * (1 - kept), (1 - share) * gained, (1 - share) * (1 - gained)]
    for counts in draw.multinomial(problems, law, size=600):
        a, b = answers_of(*counts)
        significant += any(b) and retention_test(a, b, kept=percent, resamples=1000, rng=draw) <= 0.05
    assert significant <= 53


def test_the_level_holds_for_samples_of_problems_that_differ():
    """8 samples of 60 problems, each with a chance of its own, of which a cap keeps nine tenths on average, from all to
    a half. 400 data sets: at most 38 are significant, which a level of 5 % exceeds with 5e-5.
    """
    draw, significant = rng(), 0
    for _ in range(400):
        chance = draw.random((60, 1))
        b = draw.random((60, 8)) < chance
        a = draw.random((60, 8)) < chance * draw.choice([1.0, 1.0, 1.0, 1.0, 0.5], size=(60, 1))
        significant += retention_test(a, b, kept=90, resamples=400, rng=draw) <= 0.05
    assert significant <= 38


def test_the_interval_is_what_the_test_does_not_rule_out():
    a, b = answers_of(80, 6, 3, 30)
    low, high = retention_interval(a, b, level=0.9, resamples=10_000, rng=rng())
    assert low < retention(a, b) < high
    assert retention_test(a, b, kept=low, rng=rng()) == pytest.approx(0.05, abs=0.01)
    assert retention_test(a, b, kept=low - 1, rng=rng()) < 0.05 < retention_test(a, b, kept=low + 1, rng=rng())


def test_the_high_end_is_the_low_end_of_the_others():
    """What a keeps of b at most is what b keeps of a at least, turned over."""
    a, b = answers_of(80, 6, 3, 30)
    _, high = retention_interval(a, b, resamples=10_000, rng=rng())
    low, _ = retention_interval(b, a, resamples=10_000, rng=rng())
    assert high == pytest.approx(100 * 100 / low, rel=0.01)


def test_intervals_where_all_or_nothing_is_kept():
    low, high = retention_interval(*answers_of(59, 0), resamples=10_000, rng=rng())
    assert low == pytest.approx(95, abs=0.3) and high == pytest.approx(100 * 100 / 95, abs=0.3)
    low, high = retention_interval(*answers_of(0, 20), rng=rng())
    assert low == 0 and 5 < high < 25
    assert retention_interval(*answers_of(1, 0, 30), rng=rng())[1] == math.inf


@pytest.mark.parametrize(("kept", "lost", "gained"), [(96, 4, 0), (90, 4, 4), (99, 1, 0)])
def test_so_many_problems_show_it_four_times_out_of_five(kept, lost, gained):
    """Of 300 data sets 64 to 93 % are significant: 4 standard errors, and some percent for the normal approximation."""
    a, b = answers_of(kept, lost, gained, neither=100)
    percent = retention(a, b) - 4
    needed = int(problems_needed(a, b, kept=percent))
    draw, significant = rng(), 0
    for _ in range(300):
        drawn = draw.integers(len(a), size=needed)
        again = np.array(a)[drawn], np.array(b)[drawn]
        significant += retention_test(*again, kept=percent, resamples=1000, rng=draw) <= 0.05
    assert 0.64 * 300 <= significant <= 0.93 * 300


def test_where_nothing_is_lost_it_takes_what_the_binomial_test_takes():
    assert problems_needed(*answers_of(10, 0), kept=95) == 59 and 0.95**59 < 0.05 < 0.95**58
    assert problems_needed(*answers_of(10, 0, neither=30), kept=95) == pytest.approx(4 * 59, rel=0.1)


def test_what_these_problems_do_not_keep_no_number_shows():
    assert problems_needed(*answers_of(9, 1), kept=90) == math.inf
    assert problems_needed(*answers_of(9, 1), kept=95) == math.inf


def test_what_cannot_be_meant_is_refused():
    one = answers_of(3, 1)
    for function in (retention_test, problems_needed):
        more = {"rng": rng()} if function is retention_test else {}
        for kept in (0, -5, math.inf, math.nan):
            with pytest.raises(ValueError, match="`kept` has to be above 0 percent and finite"):
                function(*one, kept=kept, **more)
        with pytest.raises(ValueError, match="`b` has to have a right answer, of which something could be kept"):
            function([1, 0], [0, 0], kept=90, **more)
    with pytest.raises(ValueError, match="the same problems in the same order, but contain 3 and 2"):
        retention([1, 0, 1], [1, 0])
    with pytest.raises(ValueError, match="True or False"):
        retention([1, 0.5], [1, 0])
    with pytest.raises(ValueError, match="`level` has to lie between 0 and 1"):
        retention_interval(*versus(3, 2), level=90, rng=rng())
    with pytest.raises(ValueError, match="`resamples` has to be a whole number of at least 1"):
        retention_test(*one, kept=90, resamples=0, rng=rng())
