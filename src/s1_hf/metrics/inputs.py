"""What the metrics accept; everything else is refused with its name, its values and the remedy."""

from __future__ import annotations

import math
import reprlib

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]

SETTINGS, ANSWERS = "(settings,)", "(problems,) or (problems, seeds)"
_DIMENSIONS = {SETTINGS: (1,), ANSWERS: (1, 2)}


def numbers(name: str, values: ArrayLike, shape: str, low: float = -math.inf, high: float = math.inf) -> Array:
    """`values` as an array of one of the shapes that `shape`, [`SETTINGS`] or [`ANSWERS`], allows."""
    try:
        array = np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"`{name}` has to hold numbers, as many in every row, but is {reprlib.repr(values)}. A problem with fewer "
            "samples than the others has to be left out."
        ) from error
    if array.ndim not in _DIMENSIONS[shape]:
        raise ValueError(f"`{name}` has to be an array of shape {shape}, but its shape is {array.shape}.")
    if array.size == 0:
        raise ValueError(f"`{name}` has to hold at least one value, but its shape is {array.shape}.")
    bad = array[~(np.isfinite(array) & (low <= array) & (array <= high))]
    if bad.size:
        raise ValueError(
            f"`{name}` has to hold finite numbers from {low:g} to {high:g}, but holds {_some(bad)}. Mend them, or "
            "leave their entries out of all arrays."
        )
    return array


def answers(name: str, correct: ArrayLike) -> Array:
    """0 and 1 of shape (problems,) or (problems, seeds)."""
    array = numbers(name, correct, ANSWERS)
    bad = array[(array != 0) & (array != 1)]
    if bad.size:
        raise ValueError(
            f"`{name}` has to hold True or False (1 or 0), but holds {_some(bad)}. Grade each answer as right or "
            "wrong; other scores fit the bootstrap, with an estimator of their own."
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
        raise ValueError(f"`{name}` has to hold numbers from 0 up, but holds {reprlib.repr(array.tolist())}.")
    return array


def same_shape(**arrays: Array) -> None:
    """Two arrays that belong together, entry by entry."""
    (first, a), (second, b) = arrays.items()
    if a.shape != b.shape:
        raise ValueError(
            f"`{first}` and `{second}` have to belong together entry by entry, but their shapes are {a.shape} and "
            f"{b.shape}."
        )


def between(low: float, high: float, **value: float) -> None:
    """A number from `low` to `high`."""
    ((name, number),) = value.items()
    if not low <= number <= high:
        raise ValueError(f"`{name}` has to be from {low:g} to {high:g}, but is {number!r}.")


def fraction(**value: float) -> None:
    """A number between 0 and 1, both excluded."""
    ((name, number),) = value.items()
    if not 0 < number < 1:
        raise ValueError(f"`{name}` has to lie between 0 and 1 (0.95 for 95 %), but is {number!r}.")


def at_least(least: int, **value: int) -> None:
    """A count."""
    ((name, count),) = value.items()
    if isinstance(count, bool) or not isinstance(count, int | np.integer) or count < least:
        raise ValueError(f"`{name}` has to be a whole number from {least} up, but is {count!r}.")


def _some(values: Array) -> str:
    return reprlib.repr(np.unique(values).tolist())
