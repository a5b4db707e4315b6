"""Whether two settings differ, and what a set of problems can show."""

from __future__ import annotations

import math
import warnings

import numpy as np
from numpy.typing import ArrayLike, NDArray

from s1_hf.metrics.inputs import Array, answers, at_least, between, fraction, same_shape


def paired_test(a: ArrayLike, b: ArrayLike) -> float:
    """The probability of a difference in accuracy at least this large, either way, if both settings are equally good.

    The test is exact: each problem's difference in right answers keeps its size and gets a random sign. With one seed
    this is McNemar's exact test: every problem that only one setting solves is a fair coin flip. With several seeds it
    is the sign-flip permutation test over problems, with all sign patterns instead of random ones.

    Args:
        a, b (`ArrayLike` of bool): of shape (problems,) or (problems, seeds), with the same problems in the same order
            and the same number of seeds: with fewer seeds one would be noisier, and a random sign no longer fair.

    Returns:
        `float`: the two-sided p-value, 0 to 1; 1 if no problem tells them apart.

    Raises:
        ValueError: the shapes differ, or an answer is not True or False.

    Example:

    ```python
    >>> from s1_hf.metrics import paired_test
    >>> s1k = [True] * 15 + [False] * 15
    >>> paired_test([True] * 11 + [False] * 19, s1k)  # four problems, all in one direction: 2 * 0.5**4
    0.125

    ```
    """
    first, second = answers("a", a), answers("b", b)
    same_shape(a=first, b=second)
    more = (first - second).reshape(len(first), -1).sum(axis=1).astype(int)
    chances = np.ones(1)  # probability of each sum of signed differences, lowest to highest
    for size in np.abs(more[more != 0]):
        shift = np.zeros(2 * size)
        chances = (np.concatenate([chances, shift]) + np.concatenate([shift, chances])) / 2
    sums = np.arange(len(chances)) - len(chances) // 2
    return min(1.0, float(chances[np.abs(sums) >= abs(more.sum())].sum()))


def resolution(problems: int) -> float:
    """What one problem is worth, in percentage points: differences between single runs are multiples of it.

    Example:

    ```python
    >>> from s1_hf.metrics import resolution
    >>> round(resolution(30), 1)  # AIME24
    3.3

    ```
    """
    at_least(1, problems=problems)
    return 100 / problems


def smallest_difference(
    problems: int, *, disagreement: float | None = None, level: float = 0.95, power: float = 0.8
) -> float:
    """The smallest true difference between two settings that a set of problems will show, with one seed each.

    To show it means that [`paired_test`] gives at most `1 - level`, in the right direction. The result is exact.

    Args:
        problems (`int`): how many there are.
        disagreement (`float`, *optional*): percent of the problems that only one of the settings solves, measured from
            two runs. By default the best case, in which the worse setting solves nothing that the better one does not:
            to show less than that takes more problems or seeds. Real settings need more, by rule of thumb
            280 * sqrt(disagreement / 100 / problems) at the default level and power.
        level (`float`, defaults to 0.95): confidence level of the test.
        power (`float`, defaults to 0.8): the probability of showing the difference.

    Returns:
        `float`: percentage points; infinite if no difference can be shown with this power.

    Example:

    AIME24 at best, MATH500 at best, and MATH500 where two settings disagree on 8 %:

    ```python
    >>> from s1_hf.metrics import smallest_difference
    >>> [round(d, 1) for d in (smallest_difference(30), smallest_difference(500))]
    [25.1, 1.6]
    >>> round(smallest_difference(500, disagreement=8), 1)
    3.7

    ```
    """
    at_least(1, problems=problems)
    fraction(level=level)
    fraction(power=power)
    between(0, 100, disagreement=100 if disagreement is None else disagreement)
    most = 1.0 if disagreement is None else disagreement / 100

    def shown(difference: float) -> bool:
        disagree = difference if disagreement is None else most
        return disagree > 0 and power_of_one_sample(problems, difference, disagree, 1 - level) >= power

    if not shown(most):
        return math.inf
    low, high = 0.0, most
    while high - low > 1e-6:
        middle = (low + high) / 2
        low, high = (low, middle) if shown(middle) else (middle, high)
    return 100 * high


def warn_if_too_small(difference: float, problems: int, *, seeds: int = 1, level: float = 0.95) -> None:
    """Warn if two accuracies are too close for this many problems, whatever the answers were.

    That is the case if no outcome with this difference is significant by [`paired_test`]. At 95 % it takes one more
    right answer on each of six problems, and no fewer on any other: 20 points on AIME24. Without a warning, the
    difference may still not be significant.

    Args:
        difference (`float`): between the two accuracies, in percentage points; the sign does not matter.
        problems (`int`), seeds (`int`, defaults to 1): the number of each, the same for both settings.
        level (`float`, defaults to 0.95): confidence level of the test.

    Warns:
        UserWarning: says what one problem is worth, and what difference would be needed.
    """
    between(-100, 100, difference=difference)
    at_least(1, problems=problems)
    at_least(1, seeds=seeds)
    fraction(level=level)
    count = math.ceil(1 - math.log2(1 - level) - 1e-9)  # the smallest with 2 * 0.5**count <= 1 - level
    needed = count * resolution(problems) / seeds if count <= problems else math.inf
    if abs(difference) < needed - 1e-9:
        wanted = f"takes at least {needed:.1f} points" if needed <= 100 else "is out of reach"
        warnings.warn(
            f"{problems} problems{f' with {seeds} samples each' if seeds > 1 else ''} cannot show a difference of "
            f"{abs(difference):.1f} points: one problem is {resolution(problems):.1f} points, and significance at "
            f"{100 * level:g} % {wanted}. Use more problems, or more samples of each.",
            stacklevel=2,
        )


def power_of_one_sample(problems: int, difference: float, disagreement: float, alpha: float) -> float:
    """The probability that McNemar's exact test finds the better setting, by shares of the problems."""
    total = _binomial(np.array([problems], dtype=np.int64), disagreement)[0]  # how many problems they disagree on
    counts = np.flatnonzero(total > 1e-12).astype(np.int64)
    better = (1 + difference / disagreement) / 2
    tails = np.cumsum(_binomial(counts, 0.5)[:, ::-1], axis=1)[:, ::-1]  # P(at least k of them are the better one's)
    significant = 2 * tails <= alpha * (1 + 1e-9)
    return float(total[counts] @ (_binomial(counts, better) * significant).sum(axis=1))


def _binomial(counts: NDArray[np.int64], chance: float) -> Array:
    """Probabilities of 0, 1, ... successes in each number of trials, one row each."""
    n, k = counts[:, None], np.arange(counts.max() + 1)
    chance = min(max(chance, 1e-15), 1 - 1e-15)  # avoids 0 * log(0)
    logs = np.concatenate([[0], np.cumsum(np.log(np.arange(1, counts.max() + 1)))])  # of factorials
    rest = np.maximum(n - k, 0)
    log = logs[n] - logs[k] - logs[rest] + k * math.log(chance) + rest * math.log1p(-chance)
    return np.where(k <= n, np.exp(log), 0)
