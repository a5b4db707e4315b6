"""How probable it is that one of k answers is right."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike

from s1_hf.metrics.inputs import answers, at_least


def pass_at_k(correct: ArrayLike, k: int) -> float:
    """The unbiased estimate of pass@k from n >= k samples of each problem (Chen et al. 2021,
    https://arxiv.org/abs/2107.03374, equation 1): the mean over problems of 1 - C(n - c, k) / C(n, k), c of the n
    samples being right.

    It is what all choices of k of the samples give on average. "Any of the first k is right" (cov@k) estimates the
    same, from one of these choices, and so is noisier; 1 - (1 - c/n)^k is biased.

    Args:
        correct (`ArrayLike` of bool): of shape (problems, seeds), or (problems,) for one sample each.
        k (`int`): at most as many as there are samples.

    Returns:
        `float`: percent, 0 to 100.

    Raises:
        ValueError: there are fewer samples, or as for all metrics.

    Example:

    ```python
    >>> from s1_hf.metrics import pass_at_k
    >>> pass_at_k([[True, False, False, False]], k=2)
    50.0

    ```
    """
    right = answers("correct", correct)
    right = right.reshape(len(right), -1)
    at_least(1, k=k)
    samples = right.shape[1]
    if k > samples:
        raise ValueError(f"`k` has to be at most the number of samples, {samples}, but is {k}.")
    return float(100 * np.mean([_passes(samples, int(count), k) for count in right.sum(1)]))


def _passes(samples: int, right: int, k: int) -> float:
    """Exact: whole numbers until the division."""
    return 1 - math.comb(samples - right, k) / math.comb(samples, k)
