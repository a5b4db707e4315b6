"""Random draws that are the same on every machine: integers made from PCG64's 64-bit words, no floating point."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

import numpy as np

_BITS = 64


class Draws:
    """A stream of draws.

    numpy guarantees that the words of `PCG64(seed)` never change, but not what the methods of `Generator` make of them,
    so the few methods needed are here. Each is exact: no probability is rounded, however small.

    Args:
        seed (`int`): 0 or more.
    """

    def __init__(self, seed: int) -> None:
        if seed < 0:
            raise ValueError(f"`seed` has to be 0 or more, but is {seed}.")
        self._bits = np.random.PCG64(seed)

    def below(self, total: int) -> int:
        """A uniformly drawn integer from 0 to `total` - 1; `total` is at most 2^64."""
        limit = (1 << _BITS) // total * total  # larger words would favour small numbers
        while True:
            word = int(self._bits.random_raw())
            if word < limit:
                return word % total

    def halving(self, total: int) -> int:
        """A rank from 0 to `total` - 1, with probability proportional to 2^-rank (paper, Algorithm 1).

        A coin is tossed until it shows heads; the rank is the number of tails. Ranks of `total` or more are redrawn.
        """
        while True:
            rank = self._tails()
            if rank < total:
                return rank

    def weighted(self, weights: Sequence[int]) -> int:
        """An index, with probability proportional to its weight, an integer of 0 or more."""
        at = self.below(sum(weights))
        for index, weight in enumerate(weights):
            at -= weight
            if at < 0:
                return index
        raise AssertionError("unreachable: `at` is below the sum")

    def sample(self, total: int, count: int) -> list[int]:
        """`count` different integers below `total`, in the order drawn: a partial Fisher-Yates shuffle."""
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
    """`count` times `ratio`, truncated like the notebook's `int(...)`, but from the exact product."""
    return int(count * ratio)
