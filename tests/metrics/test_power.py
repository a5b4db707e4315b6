"""Plans from a pilot hold what they say, by closed forms and by simulation."""

from itertools import product

import numpy as np
import pytest
from scipy import stats

from s1_hf.metrics import paired_test, problems_to_show, smallest_difference
from s1_hf.metrics.power import spreads


def needed(gain, a, b, **options):
    return problems_to_show(gain, a, b, rng=np.random.default_rng(0), **options)


def disagreeing(count, problems, better):
    """One sample each: the settings disagree on `count`, of which the first solves `better`."""
    a, b = np.zeros(problems, bool), np.zeros(problems, bool)
    a[:better], b[better:count] = True, True
    return a, b


@pytest.mark.parametrize(("percent", "gain"), [(8, 3.7), (13, 5), (30, 10), (20, 3)])
def test_with_one_sample_the_plan_is_that_of_the_exact_test(percent, gain):
    problems = needed(gain, *disagreeing(percent * 10, 1000, percent * 5)).problems
    assert smallest_difference(problems, disagreement=percent) <= gain
    assert smallest_difference(int(0.9 * problems), disagreement=percent) > gain


def test_what_a_pilot_saw_of_the_gain_does_not_matter():
    assert needed(5, *disagreeing(6, 30, 3)) == needed(5, *disagreeing(6, 30, 6)) == needed(5, *disagreeing(6, 30, 0))


@pytest.mark.parametrize("samples", [1, 2, 4, 16, None])
def test_the_spread_is_estimated_without_bias_whatever_is_planned(samples):
    """All 64 outcomes of a pilot with three samples of one problem, by their probabilities."""
    first, second = 0.7, 0.4
    expected = (first - second) ** 2 + (0 if samples is None else (first * 0.3 + second * 0.6) / samples)
    mean = 0.0
    for outcome in product((0, 1), repeat=6):
        a, b = outcome[:3], outcome[3:]
        chance = np.prod([first if right else 1 - first for right in a])
        chance *= np.prod([second if right else 1 - second for right in b])
        mean += chance * spreads([a], [b], samples)[0]
    assert mean == pytest.approx(expected)


def answers(rng, problems, samples, lift=0.7):
    """Problems of all grades, on two in five of which the first setting is better by a share of what is missing."""
    second = rng.beta(0.7, 0.7, problems)
    first = np.where(rng.random(problems) < 0.4, lift + (1 - lift) * second, second)
    return tuple(rng.random((problems, samples)) < share[:, None] for share in (first, second))


@pytest.mark.parametrize(("samples", "lift"), [(1, 0.7), (4, 0.35)])  # gains of 14 and 7 points
def test_a_plan_has_the_power_that_it_says(samples, lift):
    """Of 300 runs 80 % show the gain; fewer than 74 % or more than 87 % would be seen in 0.9 % of cases."""
    rng = np.random.default_rng(1)
    gain = 100 * (np.subtract(*(side.mean() for side in answers(rng, 100_000, 1, lift))))
    problems = needed(gain, *answers(rng, 20_000, 3, lift), samples=samples).problems
    shown = 0
    for _ in range(300):
        a, b = answers(rng, problems, samples, lift)
        shown += paired_test(a, b) <= 0.05 and a.mean() > b.mean()
    assert 0.74 <= shown / 300 <= 0.87


def test_more_samples_need_fewer_problems_but_never_fewer_than_how_problems_differ():
    rng = np.random.default_rng(2)
    a, b = answers(rng, 3_000, 4)
    plans = [needed(3, a, b, samples=samples).problems for samples in (1, 2, 8, 1024, None)]
    assert plans == sorted(plans, reverse=True) and plans[0] > 2 * plans[-1]
    assert plans[-2] < 1.1 * plans[-1]


def test_the_safe_number_is_by_the_exact_bound_of_clopper_and_pearson_for_one_sample():
    bound = stats.beta.ppf(0.9, 4 + 1, 30 - 4)
    large = needed(5, *disagreeing(round(bound * 10_000), 10_000, 0)).problems
    assert needed(5, *disagreeing(4, 30, 4), resamples=5_000).most == pytest.approx(large, rel=0.03)


def test_of_ten_pilots_nine_have_a_safe_number_that_is_enough():
    """Of 120 pilots of 30 problems; fewer than 98 would be seen in 0.5 % of cases at 90 %."""
    rng = np.random.default_rng(3)
    enough = needed(5, *disagreeing(2_000, 10_000, 0)).problems
    safe = [needed(5, rng.random(30) < 0.2, np.zeros(30, bool), resamples=500) for _ in range(120)]
    assert sum(one.most >= enough for one in safe) >= 98
    assert sum(one.problems >= enough for one in safe) < 80  # the pilot's own number is not safe


def test_a_pilot_without_any_difference_gives_the_best_case_and_a_bound():
    same = np.ones(30, bool)
    found = needed(5, same, same)
    assert found.problems == needed(5, *disagreeing(50, 1000, 50)).problems < found.most


def test_significance_takes_six_problems_whatever_the_gain():
    assert needed(100, [True, True], [False, False]).problems >= 6


def test_one_sample_says_nothing_about_more():
    with pytest.raises(ValueError, match="`samples` has to be 1, because the pilot has one sample"):
        needed(5, [True, False], [False, False], samples=2)
    needed(5, [[True, False]] * 2, [[False, False]] * 2, samples=1)


@pytest.mark.parametrize(
    ("changes", "said"),
    [({"gain": 0}, "`gain`"), ({"gain": 101}, "`gain`"), ({"samples": 0}, "`samples`"), ({"power": 1}, "`power`"),
     ({"level": 0}, "`level`"), ({"b": [True] * 3}, "`a` and `b`"), ({"a": [True], "b": [True]}, "`problems`")],
)  # fmt: skip
def test_bad_arguments_are_named(changes, said):
    given = {"gain": 5, "a": [True, False], "b": [True, True]} | changes
    with pytest.raises(ValueError, match=said):
        problems_to_show(**given, rng=np.random.default_rng(0))
