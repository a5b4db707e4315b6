"""How much of a setting's accuracy another one keeps: the ratio of two accuracies over the same problems."""

from __future__ import annotations

import math
from collections.abc import Callable
from statistics import NormalDist

import numpy as np
from numpy.typing import ArrayLike

from s1_hf.metrics.inputs import Array, answers, at_least, fraction

_MOST = 10.0  # as a ratio: above it, an upper end is infinite
_HALVINGS = 25  # of the interval that holds a tilt
_EXACT = 1e-4  # of an interval's end: a hundredth of a percentage point
_AT_ONCE = 1_000_000
"""Numbers that are drawn together: arrays of 8 MB."""


def retention(a: ArrayLike, b: ArrayLike) -> float:
    """The accuracy of `a` in percent of that of `b`; above 100 if it is better.

    Args:
        a, b (`ArrayLike` of bool): of shape (problems,) or (problems, seeds), the same problems in the same order.

    Raises:
        ValueError: the numbers of problems differ, an answer is not True or False, or `b` has no right answer.

    Example:

    ```python
    >>> from s1_hf.metrics import retention
    >>> retention([True, True, True, False, False], [True, True, True, True, False])
    75.0

    ```
    """
    first, second = _shares(a, b)
    return float(100 * first.mean() / second.mean())


def retention_test(
    a: ArrayLike, b: ArrayLike, *, kept: float, resamples: int = 10_000, rng: np.random.Generator
) -> float:
    """The probability of data that speak at least this much for it, if `a` keeps only `kept` percent of `b`'s accuracy.

    A small one shows that `a` keeps more. The test is a likelihood ratio test over problems: the law of a problem's
    `a - kept * b` is estimated as the likeliest one with mean 0, which may give some probability to a problem that
    only `b` solves though none was seen, and data are drawn from it (the empirical likelihood of A. B. Owen, 1988, on
    a bounded range, calibrated by the bootstrap). So where nothing was lost the test is exact, as a plain bootstrap is
    not: 59 problems that both settings solve just show that 95 % is kept. In simulations its level holds to a percent
    from few problems to many.

    Args:
        a, b (`ArrayLike` of bool): as in [`retention`]; the numbers of seeds may differ.
        kept (`float`): percent, above 0.
        resamples (`int`, defaults to 10,000): how many data sets are drawn.
        rng (`numpy.random.Generator`): for example `numpy.random.default_rng(0)`.

    Returns:
        `float`: the one-sided p-value, 0 to 1.

    Raises:
        ValueError: as [`retention`], or an argument is out of range.

    Example:

    ```python
    >>> import numpy as np
    >>> from s1_hf.metrics import retention_test
    >>> solved = [True] * 59
    >>> round(retention_test(solved, solved, kept=95, rng=np.random.default_rng(0)), 2)  # 0.95**59 = 0.048
    0.05

    ```
    """
    first, second = _shares(a, b)
    at_least(1, resamples=resamples)
    if not 0 < kept < math.inf:
        raise ValueError(f"`kept` has to be above 0 percent and finite, but is {kept!r}.")
    return _p_value(first - kept / 100 * second, -kept / 100, resamples, rng)


def retention_interval(
    a: ArrayLike, b: ArrayLike, *, level: float = 0.9, resamples: int = 2_000, rng: np.random.Generator
) -> tuple[float, float]:
    """The interval for [`retention`] of all that [`retention_test`] does not rule out, from either side.

    Args:
        a, b, rng: as in [`retention_test`].
        resamples (`int`, defaults to 2,000): how many data sets are drawn for each ratio that is tried.
        level (`float`, defaults to 0.9): the probability that such an interval contains the true value; above the low
            end of one at 0.9 it lies with 95 %.

    Returns:
        `tuple[float, float]`: low and high end in percent; the high end may be infinite.

    Raises:
        ValueError: as [`retention_test`].

    Example:

    ```python
    >>> import numpy as np
    >>> from s1_hf.metrics import retention_interval
    >>> capped = [True] * 90 + [False] * 10  # of 100 problems that are solved without a cap
    >>> low, high = retention_interval(capped, [True] * 100, rng=np.random.default_rng(0))
    >>> round(low), round(high)
    (83, 95)

    ```
    """
    first, second = _shares(a, b)
    at_least(1, resamples=resamples)
    fraction(level=level)
    alpha, seed = (1 - level) / 2, int(rng.integers(2**63))
    estimate = float(first.mean() / second.mean())

    def is_above(ratio: float) -> bool:
        """Whether the data rule out that only so much is kept, or less."""
        return _p_value(first - ratio * second, -ratio, resamples, np.random.default_rng(seed)) <= alpha

    def is_below(ratio: float) -> bool:
        return _p_value(ratio * second - first, -1, resamples, np.random.default_rng(seed)) <= alpha

    low = _last(is_above, 0.0, estimate) if estimate > 0 else 0.0
    high = -_last(lambda x: is_below(-x), -_MOST, -estimate) if estimate < _MOST and is_below(_MOST) else math.inf
    return 100 * low, 100 * high


def problems_needed(a: ArrayLike, b: ArrayLike, *, kept: float, level: float = 0.95, power: float = 0.8) -> float:
    """About how many problems it takes to show that `kept` percent is kept, if problems go on as these.

    Args:
        a, b: as in [`retention`].
        kept (`float`): percent, above 0.
        level (`float`, defaults to 0.95): one less what [`retention_test`] has to come down to.
        power (`float`, defaults to 0.8): the probability that it will.

    Returns:
        `float`: a whole number, by the normal approximation, and no fewer than it takes where nothing is lost; infinite
        if these problems keep no more than `kept`.

    Example:

    ```python
    >>> from s1_hf.metrics import problems_needed
    >>> solved = [True] * 20
    >>> problems_needed(solved, solved, kept=95), problems_needed(solved, solved, kept=99)
    (59.0, 299.0)

    ```
    """
    first, second = _shares(a, b)
    fraction(level=level)
    fraction(power=power)
    if not 0 < kept < math.inf:
        raise ValueError(f"`kept` has to be above 0 percent and finite, but is {kept!r}.")
    ratio = kept / 100
    more = first - ratio * second
    mean = float(more.mean())
    if mean <= 0:
        return math.inf
    distinct, _, chances = _law_with_mean_0(more, -ratio)
    if_no_more = math.sqrt(chances @ distinct**2)  # a problem's standard deviation, if no more is kept
    z = NormalDist().inv_cdf(level) * if_no_more + NormalDist().inv_cdf(power) * float(more.std())
    lossless = math.log(1 - level) / math.log1p(-chances[0]) if 0 < chances[0] < 1 else 0.0
    return float(math.ceil(max(lossless, (z / mean) ** 2)))


def _shares(a: ArrayLike, b: ArrayLike) -> tuple[Array, Array]:
    """The share of right answers to each problem."""
    first, second = answers("a", a), answers("b", b)
    if len(first) != len(second):
        raise ValueError(
            "`a` and `b` have to contain the same problems in the same order, but contain "
            f"{len(first)} and {len(second)}."
        )
    if not second.any():
        raise ValueError("`b` has to have a right answer, of which something could be kept, but has none.")
    return first.reshape(len(first), -1).mean(axis=1), second.reshape(len(second), -1).mean(axis=1)


def _last(holds: Callable[[float], bool], low: float, high: float) -> float:
    """The largest number from `low`, of which `holds` is taken to be true, to `high`, of which it is not."""
    while high - low > _EXACT:
        middle = (low + high) / 2
        low, high = (middle, high) if holds(middle) else (low, middle)
    return low


def _p_value(values: Array, least: float, resamples: int, rng: np.random.Generator) -> float:
    """Of the hypothesis that the mean of `values`, which cannot be below `least`, is 0 or less."""
    if values.mean() <= 0:
        return 1.0
    # 1. The likeliest law with mean 0. What is 0 says nothing about the sign of the mean; counting it would make a
    #    guess of how often it comes part of the test.
    values = values[values != 0]
    distinct, ratio, chances = _law_with_mean_0(values, least)
    # 2. How often it gives as large a ratio.
    as_large, at_once = 0, max(1, _AT_ONCE // len(distinct))
    for start in range(0, resamples, at_once):
        size = min(at_once, resamples - start)
        drawn = rng.multinomial(len(values), chances, size=size).astype(np.float64)
        as_large += int((_likelihood_ratios(distinct, drawn)[0] >= ratio - 1e-9).sum())
    return (1 + as_large) / (resamples + 1)


def _law_with_mean_0(values: Array, least: float) -> tuple[Array, float, Array]:
    """The likeliest law of `values`, whose mean is above 0, if it were 0: the distinct values, the least one first; how
    much likelier their own frequencies are, as a logarithm; and the chance of each.
    """
    distinct, seen = np.unique(np.append(values, least), return_counts=True)
    counts = seen.astype(np.float64)
    counts[0] -= 1  # it was perhaps never seen
    ratios, tilts = _likelihood_ratios(distinct, counts[None])
    chances = counts / (len(values) * (1 + tilts[0] * distinct))
    chances[0] = max(0.0, 1 - chances[1:].sum())  # what is missing to 1 lies there
    return distinct, float(ratios[0]), chances / chances.sum()


def _likelihood_ratios(values: Array, counts: Array) -> tuple[Array, Array]:
    """For each row of `counts`, of shape (resamples, values), how much likelier its own frequencies are than any law
    on these values with mean 0 or less, as a logarithm; and the tilt by which that law differs from them.

    The law is `counts / (total * (1 + tilt * values))`, with the tilt at which its mean is 0, or the largest one.
    """
    low, high = np.zeros(len(counts)), np.full(len(counts), -1 / values[0])
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        too_small = (counts * (values / (1 + middle[:, None] * values))).sum(axis=1) > 0
        low, high = np.where(too_small, middle, low), np.where(too_small, high, middle)
    return (counts * np.log1p(low[:, None] * values)).sum(axis=1), low
