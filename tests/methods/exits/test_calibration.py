"""Calibrated thresholds: by hand, and their coverage by simulation, beside a naive pick that has none."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

pytest.importorskip("math_verify")

from s1_hf.methods import Confident, Stable, Trial, calibrated
from s1_hf.metrics import largest_share
from s1_hf.results.rows import Row

THRESHOLDS = (0.95, 0.9, 0.8, 0.7, 0.6, 0.5)


def problem(i, answers, confidences=None, gold="5") -> list[Trial]:
    confidences = confidences or [None] * len(answers)
    made = []
    for n, (answer, confidence) in enumerate(zip(answers, confidences, strict=True)):
        row = Row(
            "m", "s", "t", str(i), 0, 16 * n + 16, 3, answer == gold, "cut", extracted=answer, confidence=confidence,
            total_tokens=16 * n + 20,
        )  # fmt: skip
        made.append(Trial(row, 20, n == len(answers) - 1))
    return made


def test_lost_is_an_exit_that_gives_up_a_right_answer():
    """Wrong at both ends, right at the exit only, or right at both is no loss."""
    some = [problem(0, "7775"), problem(1, "7777"), problem(2, "5557"), problem(3, "5555"), problem(4, "7755")]
    found = calibrated(some, [Stable(3), Stable(2)], alpha=0.9, delta=0.3)
    assert [(one.lost, one.problems) for one in found.tested] == [(1, 5), (2, 5)]
    assert found.tested[0].bound == largest_share(1, 5, level=0.7)
    assert found.rule == Stable(2)
    assert found.tested[1].saved == pytest.approx(1 - 5 * 40 / (5 * 68))


def test_the_first_rule_that_fails_ends_it_though_a_looser_one_would_pass():
    never, losing = [problem(i, "5557") for i in range(100)], [problem(i, "5755") for i in range(100, 200)]
    found = calibrated(never + losing, [Stable(3), Stable(1), Stable(2)], alpha=0.05)
    assert (found.rule == Stable(3) and found.tested[-1].rule == Stable(1)) or found.rule == Stable(2)
    some = [problem(i, "7555") for i in range(100)]
    found = calibrated(some, [Stable(2), Stable(1), Stable(3)], alpha=0.05)
    assert (found.rule, len(found.tested)) == (Stable(2), 2)


def test_none_is_said_if_none_may_be_used():
    found = calibrated([problem(i, "7775") for i in range(30)], [Stable(3), Stable(2)])
    assert found.rule is None and len(found.tested) == 1
    assert found.verdict.startswith("Do not exit early: even stable 3 may lose 100.0 %")


def test_too_few_problems_show_nothing():
    """Without a loss it takes log(delta) / log(1 - alpha) problems."""
    least = math.ceil(math.log(0.05) / math.log(0.95))
    for count in (1, least - 1, least):
        found = calibrated([problem(i, "5555") for i in range(count)], [Stable(2)])
        assert (found.rule is not None) == (count == least)


# Right answers to a whole run have a number; the exit at a threshold loses those whose number is below its risk.


def drawn(rng: np.random.Generator, count: int, risks) -> list[list[Trial]]:
    """Problems that a threshold loses with these risks: wrong with this confidence, then right."""
    made = []
    for i, number in enumerate(rng.random(count)):
        lost_from = next((t for t, risk in zip(THRESHOLDS, risks, strict=True) if number < risk), 0.0)
        made.append(problem(i, ["7", "5"], [lost_from, 1.0]))
    return made


REPETITIONS, PROBLEMS, ALPHA, DELTA = 2_000, 120, 0.1, 0.1
RISKS = (0.0, 0.02, 0.06, 0.101, 0.12, 0.2)  # of the thresholds; from the fourth on too much


def naive(some, rules) -> Confident | None:
    """The loosest whose share on these problems is at most alpha."""
    chosen = None
    for rule in rules:
        lost = sum(rule.stops(one[:1]) for one in some)
        if lost / len(some) <= ALPHA:
            chosen = rule
    return chosen


def test_what_is_chosen_loses_too_much_at_most_as_rarely_as_promised():
    """Violations among 2,000 draws are binomial with at most delta: more than the 1 - 1e-6 quantile is a false alarm in
    a million. Whoever picks by the observed share fails the same test."""
    rng = np.random.default_rng(0)
    rules = [Confident(t) for t in THRESHOLDS]
    risk_of = dict(zip(rules, RISKS, strict=True))
    violations = {"calibrated": 0, "naive": 0}
    useful = 0
    for _ in range(REPETITIONS):
        some = drawn(rng, PROBLEMS, RISKS)
        chosen = calibrated(some, rules, alpha=ALPHA, delta=DELTA).rule
        violations["calibrated"] += risk_of.get(chosen, 0) > ALPHA
        violations["naive"] += risk_of.get(naive(some, rules), 0) > ALPHA
        useful += risk_of.get(chosen, 0) > 0
    most = stats.binom(REPETITIONS, DELTA).ppf(1 - 1e-6)
    assert violations["calibrated"] <= most
    assert violations["naive"] > most
    assert useful > REPETITIONS / 2  # it is not safe by never choosing anything


def test_the_guarantee_is_not_loose_where_a_rule_stands_at_the_border():
    """A single rule with a risk just above alpha passes as rarely as its binomial tail, which is just below delta."""
    rng = np.random.default_rng(1)
    rules, risk = [Confident(THRESHOLDS[0])], ALPHA
    passed = sum(
        calibrated(drawn(rng, PROBLEMS, (risk,) * 6), rules, alpha=ALPHA, delta=DELTA).rule is not None
        for _ in range(REPETITIONS)
    )
    count = int(stats.binom(PROBLEMS, ALPHA).ppf(DELTA))
    count = max(k for k in range(count + 1) if stats.binom(PROBLEMS, ALPHA).cdf(k) <= DELTA)
    law = stats.binom(REPETITIONS, stats.binom(PROBLEMS, ALPHA).cdf(count))
    assert law.ppf(1e-6) <= passed <= law.ppf(1 - 1e-6)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"trials": []}, "is empty"),
        ({"trials": [problem(1, "55"), problem(1, "55")]}, "each problem once"),
        ({"rules": []}, "`rules` has to be"),
        ({"rules": [Confident(0.9)]}, "no row has one"),
        ({"alpha": 0}, "`alpha` has to lie between"),
        ({"delta": 1}, "`delta` has to lie between"),
    ],
)
def test_misuse_is_refused(options, said):
    given = {"trials": [problem(1, "55")], "rules": [Stable(2)]} | options
    with pytest.raises(ValueError, match=said):
        calibrated(given.pop("trials"), given.pop("rules"), **given)
