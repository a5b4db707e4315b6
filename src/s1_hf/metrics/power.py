"""How many problems, and samples of each, will show a gain: planned from a pilot.

The law. Two settings answer the same problems, k samples each. Problem i's difference in its shares of right answers,
D_i, has the mean d, the gain, over problems. Its second moment is

    M(k) = B + W / k,

B between problems (the second moment of their true differences) and W within them (the variance of the difference of
single samples, on average). [`paired_test`] flips the sign of each D_i, so that it sees a gain where |sum of D_i|, less
half a step of 1 / k, exceeds z_a * sqrt(N * M(k)); the sum itself varies by sqrt(N * (M(k) - d^2)). So N problems show
d with the wanted power where

    N d - 1 / k = sqrt(N) * (z_a sqrt(M) + z_b sqrt(M - d^2)).

More samples take away W, never B. With one sample M(1) is the share of problems on which the settings disagree, and the
law is that of McNemar's test (O. S. Miettinen, The matched pairs design in the case of all-or-none responses, 1968), of
which up to 1,000 problems the exact power is taken. With several samples and fewer than 100 problems the law is on the
safe side.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from numpy.typing import ArrayLike

from s1_hf.metrics.comparison import power_of_one_sample
from s1_hf.metrics.inputs import Array, answers, at_least, between, fraction, same_shape

_EXACT_UP_TO = 1_000
"""Problems of one sample, for which the exact power is computed; beyond, the law above is as good."""

SURE = 0.9
"""With this probability the second number of a plan is enough."""


@dataclass(frozen=True)
class Needed:
    """How many problems a gain takes.

    Args:
        problems (`int`): by the pilot's own spread.
        most (`int`): by the largest spread that the pilot leaves possible, at 90 %: with this many the wanted power is
            reached even if the pilot was lucky.
    """

    problems: int
    most: int


def problems_to_show(
    gain: float,
    a: ArrayLike,
    b: ArrayLike,
    *,
    samples: int | None = 1,
    level: float = 0.95,
    power: float = 0.8,
    resamples: int = 2_000,
    rng: np.random.Generator,
) -> Needed:
    """How many problems will show a gain between two settings, by the spread that a pilot saw.

    To show it means that [`paired_test`] gives at most `1 - level` in the right direction. The pilot's own gain does
    not matter, only how far its problems spread; where it spread less than a gain of this size has to, the least that
    it has to is taken. The largest spread that a pilot leaves possible is Gaffke's bound for the mean of numbers from
    0 to 1, which for one sample is the exact one of Clopper and Pearson.

    Args:
        gain (`float`): the true difference that is worth showing, in percentage points, above 0.
        a, b (`ArrayLike` of bool): the pilot's answers under both settings, of shape (problems,) or (problems, seeds).
        samples (`int`, *optional*, defaults to 1): how many answers to each problem are planned; `None`: as many as
            could be, which is the fewest problems that any number of samples can do with. A pilot with one sample of
            each problem can only plan for one.
        level, power (`float`): of the test; the probability of showing the gain.
        resamples (`int`), rng (`numpy.random.Generator`): for the bound.

    Returns:
        [`Needed`].

    Raises:
        ValueError: an argument is out of range, the shapes differ, or the pilot has one sample and more are planned.

    Example:

    Settings that disagree on 4 of 30 problems; a gain of 5 points:

    ```python
    >>> import numpy as np
    >>> from s1_hf.metrics import problems_to_show
    >>> first, second = [True] * 18 + [False] * 12, [True] * 15 + [False] * 14 + [True]
    >>> problems_to_show(5, first, second, rng=np.random.default_rng(0))
    Needed(problems=442, most=801)

    ```
    """
    between(1e-6, 100, gain=gain)
    fraction(level=level)
    fraction(power=power)
    at_least(1, resamples=resamples)
    seen = spreads(a, b, samples)
    at_least(2, problems=len(seen))
    # Gaffke's bound: the mean under random weights, in which one more problem has the largest spread that there is.
    weights = rng.exponential(size=(resamples, len(seen) + 1))
    means = (weights @ np.append(seen, 1.0)) / weights.sum(axis=1)
    worst = float(np.quantile(means, SURE))
    problems, most = (_problems(gain / 100, one, samples, level, power) for one in (float(seen.mean()), worst))
    return Needed(problems, max(problems, most))


def spreads(a: ArrayLike, b: ArrayLike, samples: int | None = 1) -> Array:
    """What each problem of a pilot adds to M(`samples`): their mean is an estimate of it without bias.

    Raises:
        ValueError: as [`problems_to_show`].
    """
    first, second = answers("a", a), answers("b", b)
    same_shape(a=first, b=second)
    if samples is not None:
        at_least(1, samples=samples)
    differences = (first - second).reshape(len(first), -1)
    seeds = differences.shape[1]
    squares = differences.mean(axis=1) ** 2
    if seeds == samples:
        return squares
    if seeds == 1:
        raise ValueError(
            "`samples` has to be 1, because the pilot has one sample of each problem, which does not tell apart how "
            "problems differ and how samples do. Give a pilot with two samples or more."
        )
    within = differences.var(axis=1, ddof=1)
    return squares - within / seeds + (within / samples if samples is not None else 0)


def _problems(gain: float, moment: float, samples: int | None, level: float, power: float) -> int:
    step = 0 if samples is None else 1 / samples
    moment = max(moment, gain**2 + (gain - gain**2) * step)  # the least that answers with this gain can have
    normal = NormalDist()
    spread = normal.inv_cdf((1 + level) / 2) * math.sqrt(moment) + normal.inv_cdf(power) * math.sqrt(moment - gain**2)
    root = (spread + math.sqrt(spread**2 + 4 * gain * step)) / (2 * gain)
    fewest = math.ceil(1 - math.log2(1 - level) - 1e-9)  # see `warn_if_too_small`
    problems = max(fewest, math.ceil(root**2))
    if samples != 1 or problems > _EXACT_UP_TO:
        return problems
    while power_of_one_sample(problems, gain, moment, 1 - level) < power:
        problems += 1
    while problems > fewest and power_of_one_sample(problems - 1, gain, moment, 1 - level) >= power:
        problems -= 1
    return problems
