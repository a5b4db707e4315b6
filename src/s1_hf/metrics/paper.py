"""The metrics of "s1: Simple test-time scaling", section 3.2, equations 1-3 (https://arxiv.org/abs/2501.19393).

A method's settings are a in A, each standing for its mean thinking tokens; f(a) is the accuracy of a.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from s1_hf.metrics.inputs import SETTINGS, Array, answers, limit, numbers, same_shape

Unit = Literal["log2_tokens", "tokens", "1000_tokens"]

_UNITS: dict[str, Callable[[Array], Array]] = {
    "log2_tokens": np.log2,
    "tokens": lambda tokens: tokens,
    "1000_tokens": lambda tokens: tokens / 1000,
}


def accuracy(correct: ArrayLike) -> float:
    """f in the equations: the share of right answers.

    Args:
        correct (`ArrayLike` of bool): of shape (problems,) or (problems, seeds).

    Returns:
        `float`: percent, 0 to 100.

    Example:

    ```python
    >>> from s1_hf.metrics import accuracy
    >>> accuracy([True, True, False, True])
    75.0

    ```
    """
    return float(100 * answers("correct", correct).mean())


def control(thinking_tokens: ArrayLike, minimum: ArrayLike | None = None, maximum: ArrayLike | None = None) -> float:
    """Equation 1: how many settings keep to their limits, 100 / |A| * sum of [a_min <= a <= a_max].

    What counts as the limit is the method's: for budget forcing and prompts that name tokens, these; for prompts that
    name steps, the paper's table follows from 100 tokens a step; "think briefly" has to stay under the tokens without
    any prompt, "think long" above them.

    Args:
        thinking_tokens (`ArrayLike`): of each setting its mean, as in the paper; or of each answer its own, which is
            stricter.
        minimum, maximum (`ArrayLike`, *optional*): one limit for all, or one for each entry; at least one of the two.
            Both belong to what is allowed. 0 and infinity stand for no limit where only some entries have one.

    Returns:
        `float`: percent, 0 to 100; 100 is perfect.

    Raises:
        ValueError: no limit is given, a minimum is above its maximum, or the arrays do not fit.

    Example:

    Token-conditional control (AIME24), without and with budget forcing:

    ```python
    >>> from s1_hf.metrics import control
    >>> limits = [1024, 2048, 4096, 8192, 16384]
    >>> control([7939, 7158, 8263, 7108, 7500], maximum=limits)
    40.0
    >>> control([1024, 2048, 4031, 5664, 6330], maximum=limits)
    100.0

    ```
    """
    if minimum is None and maximum is None:
        raise ValueError("`minimum` or `maximum` has to be given, but both are None: nothing would be controlled.")
    tokens = numbers("thinking_tokens", thinking_tokens, SETTINGS, low=0)
    low = limit("minimum", 0 if minimum is None else minimum, tokens)
    high = limit("maximum", np.inf if maximum is None else maximum, tokens)
    if (low > high).any():
        raise ValueError(
            f"`minimum` has to be at most `maximum`, but they are {low.tolist()} and {high.tolist()}. Swap them?"
        )
    return float(100 * ((low <= tokens) & (tokens <= high)).mean())


def scaling(thinking_tokens: ArrayLike, accuracy: ArrayLike, unit: Unit = "log2_tokens") -> float:
    """Equation 2: the average slope between two settings, the mean of (f(b) - f(a)) / (b - a) over all pairs a < b.

    **Where we differ.** The paper prints the equation in tokens. Its table 3 follows only with a = log2 of the thinking
    tokens, that is in percentage points per doubling, and so this is the default: from the paper's own tables, and for
    budget forcing and rejection sampling from its figures, every row comes out to the last digit. The printed equation
    gives 0.0067 a token for the example below, where the table has 13.

    All pairs weigh the same, and so two settings that are a few tokens apart can outweigh all others: a slope is worth
    no more than the difference between its two accuracies. Settings of equal tokens are one point, at their mean
    accuracy, because A is a set and f a function on it; caps that cut nothing give such points.

    Args:
        thinking_tokens (`ArrayLike`): the mean of each setting, of shape (settings,), in any order.
        accuracy (`ArrayLike`): of each setting, in percent.
        unit (`str`, defaults to `"log2_tokens"`): what an x of the curve is: `"log2_tokens"`, `"tokens"` (the printed
            equation) or `"1000_tokens"`.

    Returns:
        `float`: percentage points per doubling, per token or per 1,000 tokens; positive, if thinking more helps.

    Raises:
        ValueError: fewer than two different settings, no tokens under a logarithm, an unknown unit, or arrays that
            do not fit.

    Example:

    ```python
    >>> from s1_hf.metrics import scaling
    >>> tokens, percent = [1024, 2048, 4031, 5664, 6330], [3.3, 30.0, 33.3, 33.3, 40.0]
    >>> round(scaling(tokens, percent), 1), round(scaling(tokens, percent, unit="1000_tokens"), 1)
    (13.2, 6.7)

    ```
    """
    x, f = curve(thinking_tokens, accuracy, unit)
    a, b = np.triu_indices(len(x), 1)
    return float(((f[b] - f[a]) / (x[b] - x[a])).mean())


def performance(accuracy: ArrayLike) -> float:
    """Equation 3: the accuracy of the best setting, max of f(a).

    The best of several noisy accuracies is too high on average, the more so the more settings were tried: choose the
    setting on other problems than those that are reported.

    Args:
        accuracy (`ArrayLike`): of each setting, in percent, of shape (settings,).

    Returns:
        `float`: percent, 0 to 100.

    Example:

    ```python
    >>> from s1_hf.metrics import performance
    >>> performance([53.3, 56.7, 50.0])
    56.7

    ```
    """
    return float(numbers("accuracy", accuracy, SETTINGS, low=0, high=100).max())


def curve(thinking_tokens: ArrayLike, accuracy: ArrayLike, unit: Unit) -> tuple[Array, Array]:
    """x in ascending order without repetitions, and the mean accuracy at each x."""
    if unit not in _UNITS:
        raise ValueError(f"`unit` has to be one of {', '.join(_UNITS)}, but is {unit!r}.")
    tokens = numbers("thinking_tokens", thinking_tokens, SETTINGS, low=0)
    f = numbers("accuracy", accuracy, SETTINGS, low=0, high=100)
    same_shape(thinking_tokens=tokens, accuracy=f)
    if unit == "log2_tokens" and not tokens.all():
        raise ValueError(
            "`thinking_tokens` has to hold numbers above 0, but holds 0, which has no logarithm. Leave the setting "
            'without thinking out, or, for Scaling, choose `unit="tokens"`.'
        )
    x, which = np.unique(_UNITS[unit](tokens), return_inverse=True)
    if len(x) < 2:
        raise ValueError(
            f"`thinking_tokens` has to hold at least two different values, but holds {tokens.tolist()}. Run the model "
            "under a second budget."
        )
    return x, np.bincount(which, f) / np.bincount(which)
