"""How many times each node of a search goes on: pure functions of rewards."""

from __future__ import annotations

import math
from bisect import bisect
from collections.abc import Sequence
from fractions import Fraction
from itertools import accumulate
from random import Random
from typing import Literal

Resampling = Literal["multinomial", "systematic"]
SURE = 1e-7
"""As far from 0 and 1 as a reward counts, whose log-odds are taken."""


def balanced(rewards: Sequence[float], places: int, temperature: float) -> list[int]:
    """REBASE (https://arxiv.org/abs/2408.00724): places in proportion to `exp(reward / temperature)`.

    The paper rounds each share by itself, `W_i = round(B * softmax(R / T)_i)`, which may give away more places than
    there are, or none. Here it is done as in its authors' code: from the highest reward down, each gets its share of
    the places that are left, rounded up, so that exactly `places` are given away. Shares are exact fractions: equal
    rewards of as many nodes as places get one each.

    Args:
        rewards (`Sequence[float]`): of equal ones the earlier counts as higher.
        places (`int`): at least 0.
        temperature (`float`): above 0; the paper's is 0.2 for rewards from 0 to 1.

    Returns:
        `list[int]`: how many times each goes on.

    Example:

    ```python
    >>> from s1_hf.methods.search.allocation import balanced
    >>> balanced([0.9, 0.1, 0.5], 8, temperature=0.2), balanced([0.5] * 3, 3, temperature=0.2)
    ([7, 0, 1], [1, 1, 1])

    ```
    """
    counts = [0] * len(rewards)
    top = max(rewards, default=0.0)
    weights = [Fraction(math.exp((reward - top) / temperature)) for reward in rewards]
    left = sum(weights)
    for i in _best_first(rewards):
        if not places:
            break
        counts[i] = math.ceil(places * weights[i] / left)
        places -= counts[i]
        left -= weights[i]
    return counts


def beams(rewards: Sequence[float], places: int, expand: int) -> list[int]:
    """Beam search over steps (https://arxiv.org/abs/2408.03314): the best go on `expand` times each.

    Args:
        rewards (`Sequence[float]`): of equal ones the earlier counts as higher.
        places (`int`): as many as are given away; the last one that goes on gets what is left.
        expand (`int`): at least 1.

    Example:

    ```python
    >>> from s1_hf.methods.search.allocation import beams
    >>> beams([0.9, 0.1, 0.5, 0.7], 4, expand=2), beams([0.9, 0.1, 0.5], 3, expand=2)
    ([2, 0, 0, 2], [2, 0, 1])

    ```
    """
    counts = [0] * len(rewards)
    order = _best_first(rewards)
    while places and order:
        i = order.pop(0)
        counts[i] = min(expand, places) if order else places
        places -= counts[i]
    return counts


def resampled(weights: Sequence[float], places: int, random: Random, how: Resampling) -> list[int]:
    """As many draws as there are `places`, each of `i` with a probability in proportion to `weights[i]`.

    Args:
        random (`Random`): where numbers come from.
        how (`str`): `"multinomial"`: each draw by itself; `"systematic"`: by one number for all of them, so that each
            is drawn as many times as is expected of it, rounded down or up.
    """
    sums = list(accumulate(weights))
    if how == "systematic":
        first = random.random()
        marks = [(first + i) / places for i in range(places)]
    else:
        marks = [random.random() for _ in range(places)]
    counts = [0] * len(weights)
    last = max(i for i, weight in enumerate(weights) if weight > 0)  # rounding may leave a mark at the total
    for mark in marks:
        counts[min(bisect(sums, mark * sums[-1]), last)] += 1
    return counts


def log_odds(reward: float) -> float:
    """What particles are weighted by (https://arxiv.org/abs/2502.01618), of a reward from 0 to 1.

    Raises:
        ValueError: the reward is outside of that.
    """
    if not 0 <= reward <= 1:
        raise ValueError(
            f"Particles are weighted by the log-odds of rewards, which have to be from 0 to 1, but one is {reward}. "
            "Use a process reward model that gives probabilities."
        )
    p = min(max(reward, SURE), 1 - SURE)
    return math.log(p) - math.log1p(-p)


def softmax(values: Sequence[float], temperature: float) -> list[float]:
    """Weights that sum to 1 up to rounding."""
    top = max(values)
    weights = [math.exp((value - top) / temperature) for value in values]
    total = sum(weights)
    return [weight / total for weight in weights]


def _best_first(rewards: Sequence[float]) -> list[int]:
    return sorted(range(len(rewards)), key=lambda i: -rewards[i])
