"""A budget as it travels in a request to a server: flat, each field under its own name, as numbers and texts.

Where a field takes `None`, an empty text says so, for servers that pass no `None` on; and a loop guard is `True`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from s1_hf.forcing.budget import NAMES, PER_PROMPT, Budget, without_idle
from s1_hf.forcing.loops import LoopGuard
from s1_hf.forcing.values import is_count


def flat(budget: Budget, names: Iterable[str] = NAMES) -> dict[str, Any]:
    """A budget of one request: what [`from_flat`] reads, of types that also travel over HTTP.

    Args:
        names (`Iterable[str]`): the fields that are meant; a server's defaults stand for the others.
    """
    given: dict[str, Any] = {}
    for name in names:
        value = getattr(budget, name)
        if isinstance(value, LoopGuard):
            value = [value.max_period, value.repeats, value.min_tokens]
        given[name] = "" if value is None else list(value) if isinstance(value, tuple) else value
    return given


def from_flat(given: Mapping[str, Any]) -> dict[str, Any]:
    """Fields of a budget that were given flat, as [`Budget`] takes them.

    Raises:
        ValueError: a loop guard is none, or there are several values where one request has one.

    Example:

    ```python
    >>> from s1_hf.forcing.flat import from_flat
    >>> from_flat({"max_thinking_tokens": 500.0, "wait_text": ""})
    {'max_thinking_tokens': 500, 'wait_text': None}

    ```
    """
    own: dict[str, Any] = {}
    for name, value in given.items():
        own[name] = None if isinstance(value, str) and value == "" else whole_number(value)
    if "loop_guard" in given:
        own["loop_guard"] = _loop_guard(given["loop_guard"])
    for name in PER_PROMPT:
        if isinstance(own.get(name), (list, tuple)):
            raise ValueError(f"`{name}` has to be one number for a request, but is {own[name]!r}. Give each its own.")
    return own


def with_defaults(own: Mapping[str, Any], defaults: Mapping[str, Any]) -> Budget:
    """The budget of a request that says `own`, where `defaults` stand for what it does not say.

    A default that cannot act in this request, such as a stop message without a cap, is left out of it; what the request
    itself says has to act.

    Raises:
        ValueError: a field has the wrong type or range.

    Example:

    ```python
    >>> from s1_hf.forcing.flat import with_defaults
    >>> with_defaults({"num_ignores": 1}, {"cut_text": "Time is up."}).name
    '1 ignore'

    ```
    """
    budget = Budget(**{**defaults, **own})
    (acting,) = without_idle([budget])
    return replace(budget, **{name: getattr(acting, name) for name in defaults if name not in own})


def whole_number(value: Any) -> Any:
    """2.0 as 2, for JSON written by hand; anything else as it is."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _loop_guard(value: Any) -> LoopGuard | None:
    if value is None or isinstance(value, LoopGuard):
        return value
    if isinstance(value, Mapping):
        value = [value.get(name) for name in ("max_period", "repeats", "min_tokens")]
    if isinstance(value, (list, tuple)) and len(value) == 3 and all(map(is_count, value)):
        period, repeats, least = map(int, value)
        return LoopGuard(max_period=period, repeats=repeats, min_tokens=least)
    if value in (True, "true", 1, False, "false", 0, ""):
        return LoopGuard() if value in (True, "true", 1) else None
    raise ValueError(
        "`loop_guard` has to be true, or a list of three numbers, its `max_period`, `repeats` and `min_tokens`, but is "
        f"{value!r}."
    )
