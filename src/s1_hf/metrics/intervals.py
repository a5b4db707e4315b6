"""Confidence intervals: what other problems of the same kind, and other samples, could have given."""

from __future__ import annotations

import math
from collections.abc import Callable
from statistics import NormalDist

import numpy as np
from numpy.typing import ArrayLike, NDArray

from s1_hf.metrics.inputs import ANSWERS, Array, answers, at_least, fraction, numbers
from s1_hf.metrics.paper import accuracy

Estimator = Callable[[Array], float]


def bootstrap_interval(
    values: ArrayLike,
    estimator: Estimator = accuracy,
    *,
    level: float = 0.95,
    resamples: int = 10_000,
    rng: np.random.Generator,
) -> tuple[float, float]:
    """Percentile interval of `estimator(values)` under resampling of the problems.

    A problem is drawn with all its seeds: its samples belong together, and their variation already shows in the
    variation between problems. So the interval covers both problems and seeds. (Resampling the seeds as well would
    count their noise twice: over 100 equally hard problems with 8 seeds, 95 % would become 99 %. See Davison &
    Hinkley, Bootstrap Methods and their Application, section 3.8.)

    It cannot replace more problems: where all values agree it has no width, which does not mean certainty
    ([`wilson_interval`] has a width there).

    Args:
        values (`ArrayLike`): of shape (problems,) or (problems, seeds): `correct`, or other numbers such as thinking
            tokens, with an estimator for them. At least two problems.
        estimator (`Callable`, defaults to [`accuracy`]): from an array with the shape of `values` to a number;
            `numpy.mean` for a share or mean.
        level (`float`, defaults to 0.95): the probability that such an interval contains the true value.
        resamples (`int`, defaults to 10,000): how many times the problems are drawn.
        rng (`numpy.random.Generator`): for example `numpy.random.default_rng(0)`.

    Returns:
        `tuple[float, float]`: low and high end in the unit of the estimator: percent for [`accuracy`].

    Raises:
        ValueError: an argument is out of range, or the estimator returns a number that is not finite.

    Example:

    ```python
    >>> import numpy as np
    >>> from s1_hf.metrics import bootstrap_interval
    >>> correct = [True] * 15 + [False] * 15  # 50.0 % on AIME24, the table's s1-32B without budget forcing
    >>> low, high = bootstrap_interval(correct, rng=np.random.default_rng(0))
    >>> round(low, 1), round(high, 1)
    (33.3, 66.7)

    ```
    """
    data = numbers("values", values, ANSWERS)
    return _percentiles(_resampled(data, estimator), len(data), level, resamples, rng)


def wilson_interval(correct: ArrayLike, *, level: float = 0.95) -> tuple[float, float]:
    """Wilson's score interval for the share of right answers, one per problem (E. B. Wilson, 1927).

    Args:
        correct (`ArrayLike` of bool): of shape (problems,). Samples of one problem are not independent: use
            [`bootstrap_interval`] for them.
        level (`float`, defaults to 0.95): the approximate probability that such an interval contains the true value.

    Returns:
        `tuple[float, float]`: low and high end in percent.

    Raises:
        ValueError: an argument is out of range, or there are several samples per problem.

    Example:

    ```python
    >>> from s1_hf.metrics import wilson_interval
    >>> low, high = wilson_interval([False] * 10)
    >>> round(low, 1), round(high, 1)
    (0.0, 27.8)

    ```
    """
    right = answers("correct", correct)
    if right.ndim != 1:
        raise ValueError(
            f"`correct` has to be of shape (problems,), but its shape is {right.shape}. Use `bootstrap_interval`."
        )
    fraction(level=level)
    share, total, z = right.mean(), len(right), NormalDist().inv_cdf((1 + level) / 2)
    spread = z * z / total
    middle = (share + spread / 2) / (1 + spread)
    half = z * math.sqrt(share * (1 - share) / total + spread / (4 * total)) / (1 + spread)
    return float(100 * max(0.0, middle - half)), float(100 * min(1.0, middle + half))


def largest_share(count: int, total: int, *, level: float = 0.95) -> float:
    """The one-sided upper bound of Clopper and Pearson for a share, of which `count` in `total` were seen.

    It is the share under which `count` or fewer are seen with probability `1 - level`, so that it is below the true one
    with at most that probability, whatever the share. Exact by the binomial law.

    Args:
        count, total (`int`): from 0 to `total`; at least 1.
        level (`float`, defaults to 0.95): the probability that the bound holds.

    Returns:
        `float`: from 0 to 1; 1 where all were counted.

    Raises:
        ValueError: an argument is out of range.

    Example:

    The rule of three: none in 100 is at most 3 in 100.

    ```python
    >>> from s1_hf.metrics import largest_share
    >>> round(largest_share(0, 100), 4), round(largest_share(2, 100), 4), largest_share(5, 5)
    (0.0295, 0.0616, 1.0)

    ```
    """
    at_least(0, count=count)
    at_least(1, total=total)
    fraction(level=level)
    if count > total:
        raise ValueError(f"`count` has to be at most `total`, {total}, but is {count}.")
    if count == total:
        return 1.0
    ways = [math.lgamma(total + 1) - math.lgamma(k + 1) - math.lgamma(total - k + 1) for k in range(count + 1)]

    def tail(share: float) -> float:
        """P(Bin(total, share) <= count), which falls with the share."""
        logs = (way + k * math.log(share) + (total - k) * math.log1p(-share) for k, way in enumerate(ways))
        return math.fsum(map(math.exp, logs))

    low, high = 0.0, 1.0
    while (middle := (low + high) / 2) not in (low, high):
        low, high = (middle, high) if tail(middle) > 1 - level else (low, middle)
    return high


def paired_bootstrap_interval(
    a: ArrayLike,
    b: ArrayLike,
    estimator: Estimator = accuracy,
    *,
    level: float = 0.95,
    resamples: int = 10_000,
    rng: np.random.Generator,
) -> tuple[float, float]:
    """Percentile interval of `estimator(a) - estimator(b)`, both on the same problems, as in the paper's table 2.

    The same problems are drawn for both, so that shared difficulty cancels; the rest is as in [`bootstrap_interval`].
    To find out whether there is any difference, use [`paired_test`]: where few problems tell the settings apart, the
    interval excludes 0 too easily, as in the example, where the exact test gives p = 0.125.

    Args:
        a, b (`ArrayLike`): of shape (problems,) or (problems, seeds), the same problems in the same order; the number
            of seeds may differ. `b` is the reference.
        estimator, level, resamples, rng: as in [`bootstrap_interval`].

    Returns:
        `tuple[float, float]`: low and high end of the difference: percentage points for [`accuracy`].

    Raises:
        ValueError: the numbers of problems differ, or for the reasons in [`bootstrap_interval`].

    Example:

    The first interval of table 2, 36.7 against 50.0 % on AIME24, if the second model solved all that the first did:

    ```python
    >>> import numpy as np
    >>> from s1_hf.metrics import paired_bootstrap_interval
    >>> random_1k = [True] * 11 + [False] * 19
    >>> s1k = [True] * 15 + [False] * 15
    >>> low, high = paired_bootstrap_interval(random_1k, s1k, rng=np.random.default_rng(0))
    >>> round(low, 1), round(high, 1)
    (-26.7, -3.3)

    ```
    """
    first, second = numbers("a", a, ANSWERS), numbers("b", b, ANSWERS)
    if len(first) != len(second):
        raise ValueError(
            "`a` and `b` have to contain the same problems in the same order, but contain "
            f"{len(first)} and {len(second)}."
        )

    of_first, of_second = _resampled(first, estimator), _resampled(second, estimator)
    return _percentiles(lambda draws: of_first(draws) - of_second(draws), len(first), level, resamples, rng)


_AT_ONCE = 1_000_000
"""Problems that are drawn together: arrays of 8 MB."""


def _resampled(data: Array, estimator: Estimator) -> Callable[[NDArray[np.int64]], Array]:
    """The estimates for draws of shape (resamples, problems)."""
    if estimator is not accuracy:
        return lambda draws: np.array([estimator(data[drawn]) for drawn in draws])
    # Counts of right answers are exact, so this is what `accuracy` gives for each resample, at a fraction of the time.
    right = answers("correct", data).reshape(len(data), -1)
    counts = right.sum(axis=1)
    return lambda draws: 100 * (counts[draws].sum(axis=1) / right.size)


def _percentiles(
    estimate: Callable[[NDArray[np.int64]], Array],
    problems: int,
    level: float,
    resamples: int,
    rng: np.random.Generator,
) -> tuple[float, float]:
    at_least(2, problems=problems)
    at_least(1, resamples=resamples)
    fraction(level=level)
    if not isinstance(rng, np.random.Generator):
        raise ValueError(f"`rng` has to be a numpy.random.Generator, but is {rng!r}. Use numpy.random.default_rng(0).")
    parts, at_once = [], max(1, _AT_ONCE // problems)
    for start in range(0, resamples, at_once):
        draws = rng.integers(problems, size=(min(at_once, resamples - start), problems))
        parts.append(estimate(draws))
    estimates = np.concatenate(parts)
    if not np.isfinite(estimates).all():
        raise ValueError(
            f"`estimator` has to return a finite number for every resample, but returned "
            f"{estimates[~np.isfinite(estimates)][0]}. Some resamples repeat one problem many times."
        )
    low, high = np.quantile(estimates, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)
