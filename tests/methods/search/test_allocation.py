"""The rules by which rows go on: by hand, by their definitions, and by their laws."""

from __future__ import annotations

import math
from collections import Counter
from itertools import product
from random import Random

import pytest

from s1_hf.conformance.laws import chi_square
from s1_hf.methods.search.allocation import balanced, beams, log_odds, resampled, softmax

DRAWS = 20_000
RARE_ALARM = 1e-6
"""How likely a test of a law is to fail though the law holds; seeds are fixed."""


def test_places_go_to_the_highest_rewards_in_proportion():
    """exp(0.9 / 0.2) : exp(0.7 / 0.2) : exp(0.5 / 0.2) is 7.39 : 2.72 : 1; each share of what is left is rounded up."""
    assert balanced([0.5, 0.9, 0.7], 16, 0.2) == [1, 11, 4]
    assert balanced([0.5, 0.9, 0.7], 3, 0.2) == [0, 2, 1]
    assert balanced([0.5, 0.9, 0.7], 1, 0.2) == [0, 1, 0]


def test_a_high_temperature_balances_and_a_low_one_takes_the_best():
    rewards = [0.1, 0.8, 0.3, 0.5]
    assert balanced(rewards, 8, 1e6) == [1, 3, 2, 2]  # a little more than a fourth of 8, rounded up, and so on
    assert balanced(rewards, 8, 1e-3) == [0, 8, 0, 0]


@pytest.mark.parametrize("rows", [1, 2, 3, 7, 10, 49])
@pytest.mark.parametrize("reward", [0.0, 0.1, 1.0, -3.7])
def test_equal_rewards_get_a_place_each(rows, reward):
    """Sums of floats would give two to some of them."""
    assert balanced([reward] * rows, rows, 0.2) == [1] * rows
    assert beams([reward] * rows, rows, 1) == [1] * rows


def test_all_places_are_given_away_and_none_more():
    random = Random(0)
    for _ in range(500):
        rewards = [
            random.choice([0.0, 0.5, random.random(), 1e4 * random.random()]) for _ in range(random.randint(1, 9))
        ]
        places = random.randint(0, 20)
        counts = balanced(rewards, places, 10 ** random.uniform(-3, 3))
        assert sum(counts) == places and min(counts) >= 0
        order = sorted(range(len(rewards)), key=lambda i: -rewards[i])
        assert [counts[i] for i in order] == sorted(counts, reverse=True)
        assert sum(beams(rewards, places, random.randint(1, 5))) == places
    assert balanced([], 3, 0.2) == beams([], 3, 2) == []


def test_the_best_beams_go_on_and_of_equal_ones_the_first():
    assert beams([0.2, 0.9, 0.9, 0.5], 4, 2) == [0, 2, 2, 0]
    assert beams([0.9, 0.9, 0.9], 4, 2) == [2, 2, 0]
    assert beams([0.1, 0.2, 0.3, 0.4], 4, 1) == [1, 1, 1, 1]
    assert beams([0.1, 0.2], 8, 2) == [6, 2]  # too few for all places: the last that goes on gets what is left


def test_resampling_is_multinomial():
    weights, places, random = [0.5, 0.2, 0.3], 3, Random(7)
    law: Counter[tuple[int, ...]] = Counter()
    for drawn in product(range(3), repeat=places):
        counts = tuple(drawn.count(i) for i in range(3))
        law[counts] += math.prod(weights[i] for i in drawn)
    seen = Counter(tuple(resampled(weights, places, random, "multinomial")) for _ in range(DRAWS))
    assert chi_square(seen, law, DRAWS) > RARE_ALARM


def test_systematic_resampling_is_by_one_number():
    """Running sums 0.5, 0.7, 1 in units of a third: marks at (u, 1 + u, 2 + u) / 3."""
    weights, places, random = [0.5, 0.2, 0.3], 3, Random(8)
    law = {(2, 0, 1): 0.5 - 0.1, (2, 1, 0): 0.1, (1, 1, 1): 0.5}
    assert sum(p * counts[0] for counts, p in law.items()) == pytest.approx(1.5)
    seen = Counter(tuple(resampled(weights, places, random, "systematic")) for _ in range(DRAWS))
    assert chi_square(seen, law, DRAWS) > RARE_ALARM


@pytest.mark.parametrize("how", ["multinomial", "systematic"])
def test_what_has_no_weight_is_never_drawn(how):
    class Last(Random):
        def random(self) -> float:
            return 1 - 2**-53

    assert resampled([0.0, 0.1, 0.2, 0.0], 2, Last(), how) in ([0, 0, 2, 0], [0, 1, 1, 0])
    for seed in range(200):
        counts = resampled([0.0, 0.4, 0.0, 0.6, 0.0], 5, Random(seed), how)
        assert counts[0] == counts[2] == counts[4] == 0 and sum(counts) == 5


def test_particles_are_weighted_by_their_odds():
    assert softmax([log_odds(r) for r in (0.8, 0.5)], 1.0) == pytest.approx([0.8, 0.2])  # odds of 4 and 1
    assert softmax([log_odds(r) for r in (1.0, 0.0)], 1.0) == pytest.approx([1.0, 0.0], abs=1e-12)
    assert softmax([1000.0, 0.0], 1e-3)[0] == 1.0
    for outside in (1.5, -0.1, math.nan):
        with pytest.raises(ValueError, match="have to be from 0 to 1"):
            log_odds(outside)
