"""Draws that are the same on every machine: whole numbers made of PCG64's 64-bit words, without floating point."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

import numpy as np

_BITS = 64


class Draws:
    """A stream of draws.

    numpy promises the words of `PCG64(seed)` for good, but not what `Generator`'s methods make of them; so the methods
    are here, and few. Each is exact: no rounding, however small a probability.

    Args:
        seed (`int`): 0 or more.
    """

    def __init__(self, seed: int) -> None:
        if seed < 0:
            raise ValueError(f"`seed` has to be 0 or more, but is {seed}.")
        self._bits = np.random.PCG64(seed)

    def below(self, total: int) -> int:
        """A whole number from 0 to `total` - 1, each as likely as the others; `total` up to 2^64."""
        limit = (1 << _BITS) // total * total  # words from there on would favour small numbers
        while True:
            word = int(self._bits.random_raw())
            if word < limit:
                return word % total

    def halving(self, total: int) -> int:
        """A rank from 0 to `total` - 1 with a probability in proportion to 2^-rank (paper, Algorithm 1).

        Coins are tossed until heads; the tails before it are the rank, and ranks from `total` on are tossed again.
        """
        while True:
            rank = self._tails()
            if rank < total:
                return rank

    def weighted(self, weights: Sequence[int]) -> int:
        """An index, with a probability in proportion to its weight, a whole number of 0 or more."""
        at = self.below(sum(weights))
        for index, weight in enumerate(weights):
            at -= weight
            if at < 0:
                return index
        raise AssertionError("unreachable: `at` is below the sum")

    def sample(self, total: int, count: int) -> list[int]:
        """`count` different numbers below `total`, in the order drawn: a partial Fisher-Yates shuffle."""
        numbers = list(range(total))
        for place in range(count):
            other = place + self.below(total - place)
            numbers[place], numbers[other] = numbers[other], numbers[place]
        return numbers[:count]

    def _tails(self) -> int:
        tails = 0
        while (word := int(self._bits.random_raw())) == 0:
            tails += _BITS
        return tails + (word & -word).bit_length() - 1


def scaled(count: int, ratio: Fraction) -> int:
    """`count` times `ratio`, cut to a whole number, as the notebook's `int(...)`, without its rounding."""
    return int(count * ratio)
