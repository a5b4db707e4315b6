"""Beyond the paper: how well a budget is met, and what thinking tokens buy."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from s1_hf.metrics.inputs import ANSWERS, answers, limit, numbers, same_shape
from s1_hf.metrics.paper import curve


def budget_error(thinking_tokens: ArrayLike, budget: ArrayLike) -> float:
    """How far answers are from a budget that they should use up: the mean of |n - budget| / budget.

    Unlike Control, it also counts thinking too little, and by how much; it follows L1's length error
    (https://arxiv.org/abs/2503.04697). Errors do not cancel: half the budget in one answer and one and a half times
    the budget in another give 50 %. Do not compare it with errors of mean lengths, which would be 0 % here.

    Args:
        thinking_tokens (`ArrayLike`): n for each answer, of shape (problems,) or (problems, seeds).
        budget (`ArrayLike`): one for all answers, or one for each; above 0.

    Returns:
        `float`: percent, from 0 up.

    Example:

    ```python
    >>> from s1_hf.metrics import budget_error
    >>> budget_error([900, 1000, 1200], budget=1000)
    10.0

    ```
    """
    tokens = numbers("thinking_tokens", thinking_tokens, ANSWERS, low=0)
    wanted = limit("budget", budget, tokens)
    if not (np.isfinite(wanted) & (wanted > 0)).all():
        raise ValueError(
            f"`budget` has to be finite and above 0, but is {wanted.tolist()}. Leave out answers without a budget."
        )
    return float((100 * np.abs(tokens - wanted) / wanted).mean())


def accuracy_per_1000_tokens(thinking_tokens: ArrayLike, correct: ArrayLike) -> float:
    """What a setting gets for its thinking: accuracy per thousand mean thinking tokens.

    It is a ratio of means, not a mean of ratios: problems count in proportion to their tokens.

    Args:
        thinking_tokens (`ArrayLike`): of each answer, of shape (problems,) or (problems, seeds).
        correct (`ArrayLike` of bool): of each answer.

    Returns:
        `float`: percentage points per 1,000 tokens, 0 or more. Higher is better only between settings of similar
        accuracy: a quick guess is cheap.

    Raises:
        ValueError: there are no thinking tokens at all, or the shapes differ.

    Example:

    ```python
    >>> from s1_hf.metrics import accuracy_per_1000_tokens
    >>> accuracy_per_1000_tokens([500, 500, 1000, 6000], [True, True, True, False])
    37.5

    ```
    """
    tokens = numbers("thinking_tokens", thinking_tokens, ANSWERS, low=0)
    right = answers("correct", correct)
    same_shape(thinking_tokens=tokens, correct=right)
    if not tokens.any():
        raise ValueError("`thinking_tokens` has to contain a number above 0, but all are 0: nothing was spent.")
    return float(1000 * 100 * right.mean() / tokens.mean())


def area_under_curve(thinking_tokens: ArrayLike, accuracy: ArrayLike) -> float:
    """The mean height of the curve: the area under accuracy over log2 of thinking tokens, divided by its width.

    Neighbouring settings are joined by straight lines; settings with equal tokens become one point at their mean
    accuracy. Use it to compare methods only over the same range of tokens.

    Args:
        thinking_tokens (`ArrayLike`): the mean of each setting, of shape (settings,), in any order, above 0.
        accuracy (`ArrayLike`): of each setting, in percent.

    Returns:
        `float`: percent, between the lowest and the highest accuracy.

    Raises:
        ValueError: there are fewer than two different token counts, one is 0, or the shapes differ.

    Example:

    ```python
    >>> from s1_hf.metrics import area_under_curve
    >>> area_under_curve([1000, 2000, 8000], [10, 30, 60])
    36.666666666666664

    ```
    """
    x, f = curve(thinking_tokens, accuracy, "log2_tokens")
    return float((np.diff(x) * (f[1:] + f[:-1]) / 2).sum() / (x[-1] - x[0]))
