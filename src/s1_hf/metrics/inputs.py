"""What the metrics accept. Anything else is refused with its name, the rule, its values and a remedy."""

from __future__ import annotations

import math
import reprlib

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]

SETTINGS, ANSWERS = "(settings,)", "(problems,) or (problems, seeds)"
_DIMENSIONS = {SETTINGS: (1,), ANSWERS: (1, 2)}


def numbers(name: str, values: ArrayLike, shape: str, low: float = -math.inf, high: float = math.inf) -> Array:
    """`values` as an array of a shape that `shape`, [`SETTINGS`] or [`ANSWERS`], allows."""
    try:
        array = np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"`{name}` has to contain numbers, equally many in every row, but is {reprlib.repr(values)}. Leave out "
            "problems with fewer samples than the others."
        ) from error
    if array.ndim not in _DIMENSIONS[shape]:
        raise ValueError(f"`{name}` has to be an array of shape {shape}, but its shape is {array.shape}.")
    if array.size == 0:
        raise ValueError(f"`{name}` has to contain at least one value, but its shape is {array.shape}.")
    bad = array[~(np.isfinite(array) & (low <= array) & (array <= high))]
    if bad.size:
        raise ValueError(
            f"`{name}` has to contain finite numbers from {low:g} to {high:g}, but contains {_some(bad)}. Fix them, or "
            "leave their entries out of all arrays."
        )
    return array


def answers(name: str, correct: ArrayLike) -> Array:
    """`correct` as 0 and 1, of shape (problems,) or (problems, seeds)."""
    array = numbers(name, correct, ANSWERS)
    bad = array[(array != 0) & (array != 1)]
    if bad.size:
        raise ValueError(
            f"`{name}` has to contain True or False (1 or 0), but contains {_some(bad)}. Grade each answer as right or "
            "wrong; for other scores use the bootstrap with your own estimator."
        )
    return array


def limit(name: str, value: ArrayLike, tokens: Array) -> Array:
    """One limit for all `tokens`, or one for each; it may be infinite."""
    array = np.asarray(value, dtype=np.float64)
    if array.shape not in ((), tokens.shape):
        raise ValueError(
            f"`{name}` has to be one number, or one for each of `thinking_tokens` (shape {tokens.shape}), but its "
            f"shape is {array.shape}."
        )
    if not (array >= 0).all():
        raise ValueError(f"`{name}` has to be 0 or more, but is {reprlib.repr(array.tolist())}.")
    return array


def same_shape(**arrays: Array) -> None:
    """Refuse two arrays whose entries do not correspond."""
    (first, a), (second, b) = arrays.items()
    if a.shape != b.shape:
        raise ValueError(
            f"`{first}` and `{second}` have to correspond entry by entry, but their shapes are {a.shape} and {b.shape}."
        )


def between(low: float, high: float, **value: float) -> None:
    """Refuse a number below `low` or above `high`."""
    ((name, number),) = value.items()
    if not low <= number <= high:
        raise ValueError(f"`{name}` has to be from {low:g} to {high:g}, but is {number!r}.")


def fraction(**value: float) -> None:
    """Refuse a number that is not strictly between 0 and 1."""
    ((name, number),) = value.items()
    if not 0 < number < 1:
        raise ValueError(f"`{name}` has to lie between 0 and 1 (0.95 for 95 %), but is {number!r}.")


def at_least(least: int, **value: int) -> None:
    """Refuse anything but a whole number of at least `least`."""
    ((name, count),) = value.items()
    if isinstance(count, bool) or not isinstance(count, int | np.integer) or count < least:
        raise ValueError(f"`{name}` has to be a whole number of at least {least}, but is {count!r}.")


def _some(values: Array) -> str:
    return reprlib.repr(np.unique(values).tolist())
