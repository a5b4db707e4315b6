"""The laws of the draws, compared with their closed forms."""

from collections import Counter
from fractions import Fraction

import pytest

pytest.importorskip("datasets")
pytest.importorskip("scipy")


from laws import fits

from s1_hf.curate.draws import Draws


def test_ranks_halve():
    """P(rank r of 5) = 2^-r / (31 / 16)."""
    draws = Draws(1)
    found = Counter(draws.halving(5) for _ in range(30_000))
    assert fits(found, {rank: Fraction(16, 31) / 2**rank for rank in range(5)}, 30_000)


def test_the_law_above_is_distinguished_from_its_neighbours():
    draws = Draws(1)
    found = Counter(draws.halving(5) for _ in range(30_000))
    cut = {rank: Fraction(1, 2 ** (rank + 1)) for rank in range(4)} | {4: Fraction(1, 16)}  # the last takes the rest
    assert not fits(found, cut, 30_000)


def test_ranks_halve_where_floating_point_has_no_weights_left():
    """2^-1074 is the smallest float, but draws from a domain of 5,000 rows still work."""
    draws = Draws(0)
    assert max(draws.halving(5_000) for _ in range(2_000)) < 60


def test_numbers_below_are_equally_likely():
    draws = Draws(2)
    found = Counter(draws.below(7) for _ in range(21_000))
    assert fits(found, {number: Fraction(1, 7) for number in range(7)}, 21_000)


def test_weights_weigh():
    draws = Draws(3)
    found = Counter(draws.weighted([3, 0, 1, 6]) for _ in range(20_000))
    assert fits(found, {0: Fraction(3, 10), 2: Fraction(1, 10), 3: Fraction(6, 10)}, 20_000)


def test_the_stream_is_pcg64s_words():
    """numpy's words for these seeds; if they changed, every selection would change."""
    assert [Draws(0).below(2**64), Draws(12345).below(2**64)] == [11749869230777074271, 4193609425186963869]
