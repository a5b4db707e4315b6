"""The exact tests against brute force, and what a set of problems can show."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from metric_cases import versus
from scipy import stats

from s1_hf.metrics import accuracy, paired_test, resolution, smallest_difference, warn_if_too_small


@given(st.integers(0, 25), st.integers(0, 25))
def test_one_seed_is_mcnemars_exact_test(wins, losses):
    expected = stats.binomtest(wins, wins + losses).pvalue if wins + losses else 1
    assert paired_test(*versus(wins, losses, problems=60)) == pytest.approx(expected)


def several_seeds(values, seeds=3):
    return np.array(values, dtype=bool).reshape(2, -1, seeds)


@given(st.integers(1, 7).flatmap(lambda n: st.lists(st.booleans(), min_size=6 * n, max_size=6 * n)))
def test_several_seeds_are_all_sign_patterns(values):
    a, b = several_seeds(values)
    more = a.sum(axis=1) - b.sum(axis=1)
    signs = 1 - 2 * (np.arange(2 ** len(more))[:, None] >> np.arange(len(more)) & 1)
    assert paired_test(a, b) == pytest.approx((np.abs(signs @ more) >= abs(more.sum())).mean())


def test_several_seeds_against_scipy():
    rng = np.random.default_rng(3)
    a, b = rng.random((12, 5)) < 0.6, rng.random((12, 5)) < 0.4
    law = stats.permutation_test(
        (a.sum(1), b.sum(1)), lambda x, y: (x - y).sum(), permutation_type="samples", n_resamples=np.inf
    )
    assert paired_test(a, b) == pytest.approx(law.pvalue)


@given(st.lists(st.booleans(), min_size=60, max_size=60), st.permutations(range(10)))
def test_the_order_of_settings_problems_and_seeds_does_not_matter(values, order):
    a, b = several_seeds(values)
    p = paired_test(a, b)
    assert 0 < p <= 1 and paired_test(b, a) == p and paired_test(a, a) == 1
    assert paired_test(a[order][:, ::-1], b[order]) == pytest.approx(p)


def test_false_alarms_are_no_more_than_the_level():
    """Two equal settings over problems of all difficulties, 4 seeds: p <= 0.05 in at most 5 % of 2,000 pairs; 145 or
    more have a probability of 1e-5.
    """
    rng = np.random.default_rng(4)
    alarms = 0
    for _ in range(2000):
        chance = rng.random((20, 1))
        alarms += paired_test(rng.random((20, 4)) < chance, rng.random((20, 4)) < chance) <= 0.05
    assert 40 < alarms < 145


# What a set of problems can show


def test_one_question_of_aime_is_three_points():
    assert resolution(30) == pytest.approx(3.33, abs=0.004) and resolution(500) == 0.2


def power(problems, better, worse, level):
    """By brute force: that McNemar's test finds the better one."""
    found = 0.0
    for wins in range(problems + 1):
        for losses in range(min(wins, problems - wins + 1)):
            if stats.binomtest(wins, wins + losses).pvalue <= 1 - level:
                rest = problems - wins - losses
                found += stats.multinomial.pmf([wins, losses, rest], problems, [better, worse, 1 - better - worse])
    return found


@pytest.mark.parametrize(
    ("disagreement", "level", "goal"), [(None, 0.95, 0.8), (50, 0.95, 0.8), (None, 0.9, 0.5), (40, 0.8, 0.9)]
)
def test_the_smallest_difference_is_shown_with_the_power_asked_for(disagreement, level, goal):
    d = smallest_difference(30, disagreement=disagreement, level=level, power=goal) / 100
    both = d if disagreement is None else disagreement / 100
    assert power(30, (both + d) / 2, (both - d) / 2, level) == pytest.approx(goal, abs=1e-4)


def test_no_disagreement_makes_the_best_case_better():
    d = smallest_difference(30)
    assert all(power(30, d / 100 + worse, worse, 0.95) < 0.8 for worse in (0.02, 0.1, 0.3))
    assert (
        smallest_difference(500) < smallest_difference(500, disagreement=4) < smallest_difference(500, disagreement=8)
    )


def test_too_few_problems_show_nothing():
    assert smallest_difference(5) == math.inf  # 2 * 0.5**5 = 0.0625
    assert smallest_difference(6) < 100
    assert smallest_difference(30, disagreement=10) == math.inf == smallest_difference(30, disagreement=0)


@pytest.mark.parametrize(
    ("difference", "problems", "seeds", "words"),
    [
        (6.7, 30, 1, "30 problems cannot show a difference of 6.7 points: one problem is 3.3 points, .* 20.0 points"),
        (-16.7, 30, 1, "difference of 16.7 points"),
        (0.4, 500, 1, "one problem is 0.2 points, and significance at 95 % takes at least 1.2 points"),
        (1.9, 30, 10, "30 problems with 10 samples each .* at least 2.0 points"),
        (100, 5, 1, "is out of reach"),
    ],
)
def test_a_claim_that_the_set_cannot_support_gets_a_warning(difference, problems, seeds, words):
    with pytest.warns(UserWarning, match=words):
        warn_if_too_small(difference, problems, seeds=seeds)


def test_a_claim_that_the_set_may_support_gets_none():
    """Warnings are errors here."""
    warn_if_too_small(20, 30)
    warn_if_too_small(100 * (118 / 198 - 112 / 198), 198)
    warn_if_too_small(2, 30, seeds=10)
    warn_if_too_small(100 * 5 / 30, 30, level=1 - 2 * 0.5**5)


@given(st.integers(1, 3), st.integers(6, 14), st.data())
def test_a_significant_difference_never_gets_a_warning(seeds, problems, data):
    """What the warning says holds for all answers: here, for mostly one-sided ones."""
    size = problems * seeds
    a = np.array(data.draw(st.lists(st.sampled_from([1, 1, 1, 0]), min_size=size, max_size=size)))
    b = np.array(data.draw(st.lists(st.sampled_from([0, 0, 0, 1]), min_size=size, max_size=size)))
    a, b = a.reshape(problems, seeds), b.reshape(problems, seeds)
    if paired_test(a, b) <= 0.05:
        warn_if_too_small(accuracy(a) - accuracy(b), problems, seeds=seeds)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: paired_test([1, 0], [1, 0, 0]), "`a` and `b` have to correspond entry by entry"),
        (lambda: paired_test([[1, 0]], [[1]]), "[(]1, 2[)] and [(]1, 1[)]"),
        (lambda: paired_test([1, 2], [1, 0]), "`a` has to contain True or False"),
        (lambda: resolution(0), "`problems` has to be a whole number of at least 1, but is 0"),
        (lambda: smallest_difference(30.0), "`problems` has to be a whole number"),
        (lambda: smallest_difference(30, power=80), "`power` has to lie between 0 and 1"),
        (lambda: smallest_difference(30, disagreement=120), "`disagreement` has to be from 0 to 100, but is 120"),
        (lambda: warn_if_too_small(math.nan, 30), "`difference` has to be from -100 to 100, but is nan"),
        (lambda: warn_if_too_small(5, 30, seeds=0), "`seeds` has to be a whole number of at least 1"),
    ],
)
def test_what_is_refused_is_named_with_its_rule_and_value(call, words):
    with pytest.raises(ValueError, match=words):
        call()
