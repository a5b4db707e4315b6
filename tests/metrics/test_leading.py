"""The leader of a vote: beside closed forms, exact fractions and scipy."""

from __future__ import annotations

import itertools
import math
from fractions import Fraction

import pytest
from scipy import integrate, stats

from s1_hf.metrics import beta_lead, dirichlet_lead


@pytest.mark.parametrize(("first", "second"), list(itertools.product(range(12), range(12))))
def test_the_beta_rule_is_the_tail_of_a_beta_law(first, second):
    assert math.isclose(beta_lead(first, second), stats.beta(first + 1, second + 1).sf(0.5), rel_tol=1e-12)


def test_the_beta_rule_by_hand():
    """All agree: 1 - 2 ** -(n + 1)."""
    assert [beta_lead(n) for n in (0, 1, 4)] == [0.5, 0.75, 1 - 2**-5]
    assert beta_lead(7, 7) == 0.5
    assert all(beta_lead(a, b) == 1 - beta_lead(b, a) for a in range(9) for b in range(9))


def exact_lead(votes: list[int]) -> Fraction:
    """Of independent gammas the first is the largest, term by term: polynomials times exponentials are integrated."""
    first, *others = votes
    # {times e^-x: {power of x: coefficient}}
    terms = {1: {first: Fraction(1, math.factorial(first))}}
    for count in others:
        new: dict[int, dict[int, Fraction]] = {}
        for rate, polynomial in terms.items():
            for power, value in polynomial.items():
                at = new.setdefault(rate, {})
                at[power] = at.get(power, Fraction(0)) + value
                for j in range(count + 1):
                    at = new.setdefault(rate + 1, {})
                    at[power + j] = at.get(power + j, Fraction(0)) - value / math.factorial(j)
        terms = new
    return sum(
        value * math.factorial(power) / Fraction(rate) ** (power + 1)
        for rate, polynomial in terms.items()
        for power, value in polynomial.items()
    )


@pytest.mark.parametrize(
    "votes",
    [
        [1, 1, 1],
        [2, 1, 1],
        [5, 1, 1],
        [5, 4, 3],
        [9, 2, 2, 1],
        [1] * 9,
        [7, *[1] * 12],
        [30, 20, 20, 3, 1],
        [40, *[1] * 9],
    ],
)
def test_the_dirichlet_rule_is_exact_to_ten_decimals(votes):
    assert dirichlet_lead(votes) == pytest.approx(float(exact_lead(votes)), abs=6e-11)
    assert dirichlet_lead(votes[::-1]) == dirichlet_lead(votes)


@pytest.mark.parametrize("votes", [[1000, 950, 20], [300, 299, 298, 1], [500, *[1] * 200]])
def test_the_dirichlet_rule_of_many_votes(votes):
    """Beside an adaptive quadrature; the exact sum would lose all digits."""
    first, *others = votes

    def integrand(x):
        value = stats.gamma(first + 1).pdf(x)
        for count in others:
            value *= stats.gamma(count + 1).cdf(x)
        return value

    middle, spread = first + 1, math.sqrt(first + 1)
    value, _ = integrate.quad(integrand, middle - 12 * spread, middle + 12 * spread, epsabs=1e-13, limit=500)
    assert dirichlet_lead(votes) == pytest.approx(value, abs=1e-9)


def test_equal_answers_are_equally_likely_to_lead():
    for count, votes in itertools.product((2, 3, 5, 20), (1, 4, 30)):
        assert dirichlet_lead([votes] * count) == pytest.approx(1 / count, abs=1e-9)


def test_between_two_answers_both_rules_are_one_and_more_answers_only_take_away():
    for first, second in itertools.product(range(1, 9), repeat=2):
        leader, other = max(first, second), min(first, second)
        assert dirichlet_lead([first, second]) == round(beta_lead(leader, other), 10)
        assert dirichlet_lead([leader, other, 1]) < beta_lead(leader, other)
    assert dirichlet_lead([4]) == beta_lead(4)


@pytest.mark.parametrize("call", [lambda: beta_lead(-1), lambda: beta_lead(1.5), lambda: dirichlet_lead([])])
def test_what_are_no_votes_is_refused(call):
    with pytest.raises(ValueError, match="has to"):
        call()


def test_answers_without_a_vote_are_none():
    with pytest.raises(ValueError, match="`votes` has to be a whole number of at least 1"):
        dirichlet_lead([3, 0])
