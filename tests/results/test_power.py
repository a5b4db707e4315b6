"""Which settings, problems, samples and hours would show a gain, from a pilot's rows."""

import numpy as np
import pytest
from result_rows import a_row

from s1_hf.metrics import problems_to_show
from s1_hf.results.power import SAMPLES, outlooks

SHARES = {"no intervention": 0.4, "1 ignore": 0.5, "2 ignores": 0.6}


def pilot(problems=30, samples=1, seed=0, **changes):
    """Settings in the order of `SHARES`; later ones write more tokens."""
    rng = np.random.default_rng(seed)
    for number, (setting, share) in enumerate(SHARES.items()):
        for problem in range(problems):
            for sample in range(samples):
                right = bool(rng.random() < share)
                more = {"setting": setting, "problem": str(problem), "sample": sample, "correct": right}
                yield a_row(**more | {"total_tokens": 100 * (number + 1), "ends_ignored": number} | changes)


def test_every_setting_is_planned_against_no_intervention_the_cheapest_first():
    found = outlooks(list(pilot()), 10)
    assert {one.setting for one in found} == {"1 ignore", "2 ignores"}
    assert all(one.reference == "no intervention" and (one.problems, one.samples) == (30, 1) for one in found)
    assert [one.cheapest.tokens for one in found] == sorted(one.cheapest.tokens for one in found)


def test_a_plan_is_that_of_the_metric_and_costs_what_both_settings_write():
    rows = list(pilot())
    (found,) = outlooks(rows, 10, setting="2 ignores", reference="1 ignore", tokens_per_second=500)
    a, b = ([row.correct for row in rows if row.setting == name] for name in ("2 ignores", "1 ignore"))
    order = sorted(range(30), key=str)
    needed = problems_to_show(10, np.array(a)[order], np.array(b)[order], rng=np.random.default_rng(0))
    (plan,) = found.plans
    assert (plan.samples, plan.problems, plan.most) == (1, needed.problems, needed.most)
    assert plan.tokens == needed.most * (300 + 200) and plan.hours == plan.tokens / 500 / 3600


def test_with_several_samples_more_of_them_are_planned_for_and_the_cheapest_plan_that_fits_is_chosen():
    rows = list(pilot(samples=3))
    (free,) = outlooks(rows, 5, setting="2 ignores")
    assert [plan.samples for plan in free.plans] == list(SAMPLES)
    limit = free.plans[0].most - 1
    assert free.plans[0].problems < limit
    (found,) = outlooks(rows, 5, setting="2 ignores", max_problems=limit)
    assert [plan.fits for plan in found.plans] == [plan.most <= limit for plan in free.plans]
    assert found.cheapest == min((plan for plan in found.plans if plan.fits), key=lambda plan: plan.tokens)
    assert free.cheapest.problems >= found.cheapest.problems


def test_what_a_pilot_cannot_tell_is_said():
    (found,) = outlooks(list(pilot()), 10, setting="2 ignores")
    assert any("With one sample of each problem it cannot tell" in words for words in found.unknown)
    (found,) = outlooks(list(pilot(samples=3)), 5, setting="2 ignores", max_problems=8)
    assert found.cheapest is None and any("No number of samples makes up" in words for words in found.unknown)
    same = list(pilot(correct=True))
    (found,) = outlooks(same, 10, setting="2 ignores")
    assert any("No answer of it differs" in words for words in found.unknown)
    (found,) = outlooks(list(pilot(problems=6)), 1, setting="2 ignores")
    assert (found.cheapest.most > 2.5 * found.cheapest.problems) == any(
        "6 problems tell little" in words for words in found.unknown
    )


def test_tasks_are_planned_by_themselves():
    found = outlooks([*pilot(), *pilot(task="u", seed=1)], 10, setting="2 ignores")
    assert {one.task for one in found} == {"t", "u"}


def test_a_pilot_that_cannot_be_paired_or_lacks_a_setting_is_refused():
    with pytest.raises(ValueError, match="No two settings of the pilot have the same problems"):
        outlooks([a_row(problem="1"), a_row(problem="2", setting="other")], 10)
    with pytest.raises(ValueError, match="There is no setting '3 ignores'"):
        outlooks(list(pilot()), 10, setting="3 ignores")
