"""The metrics of "s1: Simple test-time scaling", section 3.2, equations 1-3 (https://arxiv.org/abs/2501.19393).

A is the set of a method's settings; a setting a stands for its mean thinking tokens, and f(a) is its accuracy.
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
    """Equation 1: the share of settings that stay within their limits, 100 / |A| * sum of [a_min <= a <= a_max].

    The limit depends on the method: for budget forcing and prompts that name tokens, it is that number; for prompts
    that name steps, 100 tokens per step reproduce the paper's table; "think briefly" has to stay below the tokens used
    without any prompt, "think long" above them.

    Args:
        thinking_tokens (`ArrayLike`): the mean of each setting, as in the paper; or the tokens of each answer, which
            is stricter.
        minimum, maximum (`ArrayLike`, *optional*): one limit for all entries, or one for each; at least one of the two
            is required. Both are inclusive. Where only some entries have a limit, use 0 and infinity for the others.

    Returns:
        `float`: percent, 0 to 100; 100 is perfect.

    Raises:
        ValueError: no limit is given, a minimum is above its maximum, or the shapes do not match.

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

    **Where we differ.** The paper prints the equation in tokens, but its table 3 follows only with a = log2 of the
    thinking tokens, that is, in percentage points per doubling. So this is the default: from the paper's own tables
    (for budget forcing and rejection sampling, its figures) it reproduces every row to the last digit. The printed
    equation gives 0.0067 per token for the example below, where the table has 13.

    All pairs have the same weight, so two settings that are a few tokens apart can outweigh all others: a slope is
    only as reliable as the difference between its two accuracies. Settings with equal tokens become one point at their
    mean accuracy, because A is a set and f a function on it; caps that cut nothing give such points.

    Args:
        thinking_tokens (`ArrayLike`): the mean of each setting, of shape (settings,), in any order.
        accuracy (`ArrayLike`): of each setting, in percent.
        unit (`str`, defaults to `"log2_tokens"`): of the curve's x axis: `"log2_tokens"`, `"tokens"` (the printed
            equation) or `"1000_tokens"`.

    Returns:
        `float`: percentage points per doubling, per token or per 1,000 tokens; positive if more thinking helps.

    Raises:
        ValueError: there are fewer than two different token counts, one is 0 and needs a logarithm, the unit is
            unknown, or the shapes differ.

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

    The best of several noisy accuracies is too high on average, more so the more settings you try: choose the setting
    on different problems from those you report.

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
    """The distinct x in ascending order, and the mean accuracy at each."""
    if unit not in _UNITS:
        raise ValueError(f"`unit` has to be one of {', '.join(_UNITS)}, but is {unit!r}.")
    tokens = numbers("thinking_tokens", thinking_tokens, SETTINGS, low=0)
    f = numbers("accuracy", accuracy, SETTINGS, low=0, high=100)
    same_shape(thinking_tokens=tokens, accuracy=f)
    if unit == "log2_tokens" and not tokens.all():
        raise ValueError(
            "`thinking_tokens` has to contain numbers above 0, but contains 0, which has no logarithm. Leave out the "
            'setting without thinking, or, for Scaling, use `unit="tokens"`.'
        )
    x, which = np.unique(_UNITS[unit](tokens), return_inverse=True)
    if len(x) < 2:
        raise ValueError(
            f"`thinking_tokens` has to contain at least two different values, but contains {tokens.tolist()}. Run the "
            "model under a second budget."
        )
    return x, np.bincount(which, f) / np.bincount(which)
