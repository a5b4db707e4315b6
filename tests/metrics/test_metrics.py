"""The paper's table 3 from its own points, closed forms, the laws of intervals and tests, and what is refused."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from s1_hf import metrics
from s1_hf.metrics import (
    accuracy,
    accuracy_per_1000_tokens,
    area_under_curve,
    bootstrap_interval,
    budget_error,
    control,
    paired_bootstrap_interval,
    paired_test,
    performance,
    resolution,
    scaling,
    smallest_difference,
    warn_if_too_small,
    wilson_interval,
)

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


# The paper.


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


def test_equal_tokens_are_one_point_at_their_mean_accuracy():
    assert scaling([1000, 2000, 2000], [10, 20, 50]) == 25
    assert scaling([1000, 1000, 2000, 2000], [10, 10, 35, 35]) == 25
    assert area_under_curve([1000, 2000, 2000], [10, 20, 50]) == 22.5


curves = st.lists(st.tuples(st.integers(1, 1000), st.integers(0, 100)), min_size=2, max_size=8).filter(
    lambda points: len({x for x, _ in points}) > 1
)


@given(curves, st.randoms(use_true_random=False))
def test_the_order_of_settings_does_not_matter(curve, random):
    shuffled = random.sample(curve, len(curve))
    for metric in (scaling, area_under_curve):
        assert metric(*zip(*shuffled, strict=True)) == pytest.approx(metric(*zip(*curve, strict=True)), abs=1e-9)


@given(curves, st.floats(0.01, 0.5), st.floats(0, 50), st.floats(0.5, 1000))
def test_scaling_and_area_under_shifts_and_factors(curve, factor, shift, stretch):
    x, f = (np.array(values, dtype=float) for values in zip(*curve, strict=True))
    for unit, slower in (("log2_tokens", 1), ("tokens", stretch)):
        old, new = scaling(x, f, unit), scaling(stretch * x, factor * f + shift, unit)
        assert new == pytest.approx(factor * old / slower, rel=1e-6, abs=1e-5)
    area = area_under_curve(stretch * x, factor * f + shift)
    assert area == pytest.approx(factor * area_under_curve(x, f) + shift, rel=1e-6, abs=1e-6)
    assert f.min() - 1e-9 <= area_under_curve(x, f) <= f.max() + 1e-9


@given(st.floats(1, 100), st.floats(-5, 5))
def test_on_a_straight_line_scaling_is_its_slope_and_the_area_is_the_height_in_the_middle(start, slope):
    x = 100 * 2.0 ** np.array([0, 1, 3, 7])
    f = 50 + slope * np.array([0, 1, 3, 7])
    assert scaling(start * x, f) == pytest.approx(slope, abs=1e-9)
    assert area_under_curve(start * x, f) == pytest.approx(50 + 3.5 * slope)


# Beyond the paper.


def test_budget_error_counts_too_little_and_too_much_by_each_budget():
    assert budget_error([500, 1500, 1000], 1000) == pytest.approx(100 / 3)  # the mean length has no error at all
    assert budget_error([[50, 100], [900, 1000]], [[100, 100], [1000, 1000]]) == pytest.approx(15)


def test_accuracy_per_1000_tokens_is_a_ratio_of_means():
    assert accuracy_per_1000_tokens([500, 500, 1000, 6000], [1, 1, 1, 0]) == 37.5
    assert accuracy_per_1000_tokens([[500, 500], [1000, 6000]], [[1, 1], [1, 0]]) == 37.5


def test_area_is_over_the_logarithm_by_the_width():
    assert area_under_curve([1000, 2000, 8000], [10, 30, 60]) == pytest.approx((20 * 1 + 45 * 2) / 3)


def test_accuracy_is_in_percent_over_problems_and_seeds():
    assert accuracy([[True, True, False], [False, False, False]]) == pytest.approx(100 / 3)


# Intervals. The generators' seeds are fixed, so that nothing fails by chance; the probabilities stated are those with
# which a right implementation would fail under another seed.


def versus(wins, losses, problems=30):
    """Two settings of which the first alone solves `wins` problems and the second alone `losses`."""
    a = [1] * wins + [0] * (problems - wins)
    b = [0] * wins + [1] * losses + [0] * (problems - wins - losses)
    return a, b


@pytest.mark.parametrize(
    ("wins", "losses", "low", "high"),
    [(0, 4, -26.7, -3.3), (0, 7, -40.0, -10.0), (4, 3, -13.3, 20.0)],
    ids=["1K-random", "1K-diverse", "59K-full"],
)
def test_paired_intervals_are_those_of_table_2(wins, losses, low, high):
    """AIME24 against s1K with the fewest disagreements that give the printed interval. The law of the difference is
    multinomial; its quantiles are at least 0.006 of probability, 3.9 standard errors of 10,000 draws, from the next
    value, so that a right implementation fails with at most 2e-4.
    """
    interval = paired_bootstrap_interval(*versus(wins, losses), rng=np.random.default_rng(5))
    assert interval == pytest.approx((low, high), abs=0.05)


@pytest.mark.parametrize("level", [0.5, 0.95])
def test_the_interval_of_one_seed_has_binomial_ends(level):
    """70 of 200: the law of a resample's mean is Binomial(200, 0.35) / 200. Each end lies between the law's quantiles
    at its probability plus and minus 5 standard errors of 10,000 draws: a right implementation fails with 1e-6.
    """
    low, high = bootstrap_interval([1] * 70 + [0] * 130, np.mean, level=level, rng=np.random.default_rng(1))
    for end, share in ((low, (1 - level) / 2), (high, (1 + level) / 2)):
        margin = 5 * math.sqrt(share * (1 - share) / 10_000)
        below, above = stats.binom.ppf([share - margin, share + margin], 200, 0.35) / 200
        assert below <= end <= above
    assert low < 0.35 < high


@pytest.mark.parametrize(("certain", "share"), [(False, 0.50), (True, 0.55)])
def test_intervals_cover_over_problems_and_seeds(certain, share):
    """100 problems, 8 seeds, intervals of 50 %, which tell widths apart best. Either all problems have the chance 1/2,
    so that only seeds vary, or each is always or never solved, so that only problems vary (where ends on the steps of
    1 % make it 55 %). Of 400 intervals `share` holds the truth, give or take 45: a right implementation fails with
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


# Tests between two settings.


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
def test_a_test_knows_no_order_of_settings_problems_or_seeds(values, order):
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


# What a set can show.


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
def test_a_claim_that_the_set_cannot_carry_is_warned_of(difference, problems, seeds, words):
    with pytest.warns(UserWarning, match=words):
        warn_if_too_small(difference, problems, seeds=seeds)


def test_a_claim_that_the_set_may_carry_is_not():
    """Warnings are errors here."""
    warn_if_too_small(20, 30)
    warn_if_too_small(100 * (118 / 198 - 112 / 198), 198)
    warn_if_too_small(2, 30, seeds=10)
    warn_if_too_small(100 * 5 / 30, 30, level=1 - 2 * 0.5**5)


@given(st.integers(1, 3), st.integers(6, 14), st.data())
def test_no_significant_difference_is_warned_of(seeds, problems, data):
    """What the warning says holds for all answers: here, for mostly one-sided ones."""
    size = problems * seeds
    a = np.array(data.draw(st.lists(st.sampled_from([1, 1, 1, 0]), min_size=size, max_size=size)))
    b = np.array(data.draw(st.lists(st.sampled_from([0, 0, 0, 1]), min_size=size, max_size=size)))
    a, b = a.reshape(problems, seeds), b.reshape(problems, seeds)
    if paired_test(a, b) <= 0.05:
        warn_if_too_small(accuracy(a) - accuracy(b), problems, seeds=seeds)


# What is refused: argument, rule, value, remedy.

RNG = np.random.default_rng(0)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (
            lambda: scaling([1000], [50]),
            "`thinking_tokens` has to hold at least two different values, but holds .1000.0.. Run",
        ),
        (lambda: scaling([1000, 1000], [50, 60]), "at least two different values.* second budget"),
        (lambda: scaling([1000, 2000], [50]), "`thinking_tokens` and `accuracy` .* [(]2,[)] and [(]1,[)]"),
        (lambda: scaling([0, 2000], [0, 50]), "above 0, but holds 0.* no logarithm.*`unit"),
        (lambda: scaling([1, 2], [0, 50], unit="log_tokens"), "`unit` has to be one of log2_tokens, .*'log_tokens'"),
        (lambda: scaling([1, np.nan], [0, 50]), "`thinking_tokens` has to hold finite numbers .* holds .*nan.* leave"),
        (lambda: scaling([1, 2], [-1, 101]), "`accuracy` .* from 0 to 100, but holds .-1.0, 101.0."),
        (lambda: scaling([], []), "`thinking_tokens` has to hold at least one value"),
        (lambda: area_under_curve([5], [5]), "at least two different values"),
        (lambda: performance([]), "`accuracy` has to hold at least one value"),
        (lambda: performance([50, np.nan]), "nan"),
        (lambda: scaling([1, np.inf], [0, 50]), "`thinking_tokens` .* holds .inf"),
        (lambda: performance(50), "`accuracy` has to be an array of shape [(]settings,[)], but its shape is [(][)]"),
        (lambda: control([1, 2]), "`minimum` or `maximum` has to be given"),
        (lambda: control([1, 2], maximum=[1, 2, 3]), "`maximum` has to be one number, or one for each.*[(]3,[)]"),
        (lambda: control([1, 2], maximum=np.nan), "`maximum` has to hold numbers from 0 up, but holds nan"),
        (lambda: control([1, 2], minimum=3, maximum=2), "`minimum` has to be at most `maximum`.*Swap"),
        (lambda: budget_error([1, 2], 0), "`budget` has to be finite and above 0, but is 0.0"),
        (lambda: budget_error([1, 2], np.inf), "`budget` has to be finite"),
        (lambda: accuracy_per_1000_tokens([0, 0], [1, 0]), "all are 0"),
        (lambda: accuracy_per_1000_tokens([[1, 2]], [1, 0]), "entry by entry.* [(]1, 2[)] and [(]2,[)]"),
        (lambda: accuracy([0.5, 1]), "`correct` has to hold True or False .* holds .0.5.. Grade"),
        (lambda: accuracy([True, None]), "holds .*nan"),
        (lambda: accuracy([[1, 0], [1]]), "as many in every row.*fewer samples .* left out"),
        (lambda: paired_test([1, 0], [1, 0, 0]), "`a` and `b` have to belong together"),
        (lambda: paired_test([[1, 0]], [[1]]), "[(]1, 2[)] and [(]1, 1[)]"),
        (lambda: paired_test([1, 2], [1, 0]), "`a` has to hold True or False"),
        (lambda: bootstrap_interval([1], rng=RNG), "`problems` has to be a whole number from 2 up, but is 1"),
        (lambda: bootstrap_interval([1, 0.5], rng=RNG), "True or False"),
        (lambda: bootstrap_interval([1, 0], level=95, rng=RNG), "`level` has to lie between 0 and 1 .*, but is 95"),
        (lambda: bootstrap_interval([1, 0], resamples=0, rng=RNG), "`resamples` has to be a whole number from 1 up"),
        (lambda: bootstrap_interval([1, 0], rng=0), "`rng` has to be .*Generator, but is 0. Use .*default_rng"),
        (lambda: bootstrap_interval([1, 0], lambda _: math.nan, rng=RNG), "`estimator` .* finite .* gave nan"),
        (lambda: paired_bootstrap_interval([1, 0], [1, 0, 0], rng=RNG), "same problems .* hold 2 and 3"),
        (lambda: resolution(0), "`problems` has to be a whole number from 1 up, but is 0"),
        (lambda: smallest_difference(30.0), "`problems` has to be a whole number"),
        (lambda: smallest_difference(30, power=80), "`power` has to lie between 0 and 1"),
        (lambda: smallest_difference(30, disagreement=120), "`disagreement` has to be from 0 to 100, but is 120"),
        (lambda: warn_if_too_small(math.nan, 30), "`difference` has to be from -100 to 100, but is nan"),
        (lambda: warn_if_too_small(5, 30, seeds=0), "`seeds` has to be a whole number from 1 up"),
    ],
)
def test_refused(call, words):
    with pytest.raises(ValueError, match=words):
        call()


def test_the_folder_exports_what_its_summary_names():
    assert all(f"`{name}`" in metrics.__doc__ for name in metrics.__all__)


@pytest.mark.parametrize(
    ("right", "total", "low", "high"),
    [(0, 10, 0.0, 27.75), (5, 10, 23.66, 76.34), (10, 10, 72.25, 100.0), (81, 263, 25.53, 36.62)],
)
def test_wilson_intervals_are_those_of_the_literature(right, total, low, high):
    """The last is Newcombe's (1998) example, 81 of 263."""
    assert wilson_interval([True] * right + [False] * (total - right)) == pytest.approx((low, high), abs=5e-3)
