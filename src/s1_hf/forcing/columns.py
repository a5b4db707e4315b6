"""A budget as columns of a table: each field under its own name, as one number or one text."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from s1_hf.forcing.budget import Budget
from s1_hf.forcing.flat import flat, from_flat
from s1_hf.records import parse

_OF_AUTO = ("answer_reserve", "thinking_share")
_LISTS = ("wait_text", "loop_guard")


def columns_of(budget: Budget) -> dict[str, Any]:
    """A budget of one request, for a row of results.

    A text that is not there is empty. Several texts of `wait_text`, and the three numbers of a loop guard, stand as a
    list in JSON. `answer_reserve` and `thinking_share` are there if the cap is `"auto"`, of which
    `max_thinking_tokens` then says nothing, so that it stays a column of numbers.

    Example:

    ```python
    >>> from s1_hf import Budget
    >>> from s1_hf.forcing.columns import columns_of
    >>> found = columns_of(Budget(max_thinking_tokens=500, wait_text=["Wait", "Hmm"]))
    >>> found["max_thinking_tokens"], found["num_ignores"], found["wait_text"], found["answer_reserve"]
    (500, 0, '["Wait", "Hmm"]', None)

    ```
    """
    found = flat(budget)
    for name in _LISTS:
        value = found[name]
        if isinstance(value, list) or value.startswith("["):
            found[name] = json.dumps(value if isinstance(value, list) else [value], ensure_ascii=False)
    if budget.max_thinking_tokens == "auto":
        return found | {"max_thinking_tokens": None, "thinking_share": float(budget.thinking_share)}
    return found | {"max_thinking_tokens": budget.max_thinking_tokens} | dict.fromkeys(_OF_AUTO)


def from_columns(columns: Mapping[str, Any]) -> Budget:
    """The budget that [`columns_of`] described.

    Raises:
        ValueError: it is none.
    """
    given = {name: value for name, value in columns.items() if value is not None}
    for name in _LISTS:
        if given.get(name, "").startswith("["):
            values = parse(given[name], f"`{name}`")
            given[name] = values[0] if name == "wait_text" and len(values) == 1 else values
    if set(_OF_AUTO) <= given.keys():
        given["max_thinking_tokens"] = "auto"
    return Budget(**from_flat(given))
