"""What callers give as numbers and lists: arrays, tensors and Series are read as what they hold."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from numbers import Integral, Real
from typing import Any


def plain(value: Any) -> Any:
    """`value` in Python's own types, if it is an array, tensor, Series or number of another library, or a sequence of
    these; anything else as it is.

    Example:

    ```python
    >>> import torch
    >>> from s1_hf.forcing.values import plain
    >>> plain(torch.tensor([500, 1000])), plain([torch.tensor(500), None]), plain((1, 2))
    ([500, 1000], [500, None], (1, 2))

    ```
    """
    if is_count(value):
        return int(value)
    if hasattr(value, "tolist"):  # numpy, torch, pandas and JAX call it so, also for a single number
        try:
            return plain(value.tolist())
        except RuntimeError:  # sparse tensors, and those without data
            raise ValueError(f"Values have to be a list or a dense array, but are {shown(value)}.") from None
    if not is_many(value):
        return value
    found, is_plain = [], True
    for one in value:
        found.append(plain(one))
        is_plain = is_plain and found[-1] is one
    return value if is_plain else found


def is_count(value: object) -> bool:
    """Whether `value` is an integer of any kind, which a bool is not."""
    return isinstance(value, Integral) and not isinstance(value, bool)


def bad_counts(owner: object, least: Mapping[str, int], optional: Sequence[str]) -> list[str]:
    """What is wrong with attributes that have to be integers of at least so much; an `optional` one may be `None`."""
    bad = []
    for name, low in least.items():
        value = getattr(owner, name)
        if value is None and name in optional:
            continue
        if not is_count(value) or value < low:
            bad.append(f"`{name}` has to be an integer of at least {low}, but is {value!r}.")
    return bad


def is_number(value: object) -> bool:
    """Whether `value` is a real number of any kind, which a bool is not."""
    return isinstance(value, Real) and not isinstance(value, bool)


def is_many(value: object) -> bool:
    """Whether `value` is a sequence, which a text is not."""
    return isinstance(value, Sequence) and not isinstance(value, (str, bytes))


def not_unicode(text: str) -> str:
    """What keeps a text from being Unicode, for an error; empty if nothing does."""
    try:
        text.encode()
    except UnicodeEncodeError as error:
        return f"character {error.start:,} is a lone surrogate (U+{ord(text[error.start]):04X})"
    return ""


def instead(value: object) -> str:
    """The end of an error about something that can be gone through, but has no order, or only one pass; else empty."""
    is_loose = isinstance(value, Iterable) and not isinstance(value, (Sequence, str, bytes))
    return " Give a list, with one for each prompt, in their order." if is_loose else ""


def shown(value: object) -> str:
    """A value in an error: as Python writes it, but not at any length."""
    text = repr(value)
    return text if len(text) <= 500 else f"{text[:300]} ... {text[-100:]}"
