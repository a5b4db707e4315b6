"""A budget as it travels in a request to a server: flat, each field under its own name, as numbers and texts.

Where a field takes `None`, an empty text says so, for servers that pass no `None` on; and a loop guard is `True`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import fields, replace
from typing import Any

from s1_hf.forcing.budget import NAMES, PER_PROMPT, Budget, is_number_of_tokens, without_idle
from s1_hf.forcing.loops import LoopGuard
from s1_hf.forcing.values import is_count, is_many
from s1_hf.records import as_json


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
        ValueError: a loop guard is none, or a budget is no number, or several numbers where one request has one.

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
        if name in own:
            _check_number(name, own[name])
    return own


def _check_number(name: str, value: Any) -> None:
    """Raises a `ValueError` in the words of a request, which is JSON, and has one prompt."""
    if is_many(value):
        raise ValueError(f"`{name}` has to be one number for a request, but is {as_json(value)}.")
    is_cap = name == "max_thinking_tokens"
    if not is_number_of_tokens(name, value) and not (is_cap and isinstance(value, str) and value == "auto"):
        others = ', "auto" or null' if is_cap else ""
        raise ValueError(f"`{name}` has to be an integer of at least 0{others}, but is {as_json(value)}.")


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
    (acting,) = without_idle([budget], of_request=True)
    return replace(budget, **{name: getattr(acting, name) for name in defaults if name not in own})


def whole_number(value: Any) -> Any:
    """2.0 as 2, for JSON written by hand; anything else as it is."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _loop_guard(value: Any) -> LoopGuard | None:
    if value is None or isinstance(value, LoopGuard):
        return value
    if value in (True, "true", 1, False, "false", 0, ""):
        return LoopGuard() if value in (True, "true", 1) else None
    names = tuple(one.name for one in fields(LoopGuard))
    given = dict(zip(names, value, strict=True)) if is_many(value) and len(value) == len(names) else value
    if isinstance(given, Mapping) and set(given) <= set(names):
        numbers = {name: whole_number(one) for name, one in given.items()}
        if all(map(is_count, numbers.values())):
            return LoopGuard(**numbers)
    raise ValueError(
        "`loop_guard` has to be true, or a list of three numbers, its `max_period`, `repeats` and `min_tokens`, or an "
        f"object with any of them, but is {as_json(value)}."
    )
