"""From what a caller gives to one [`Budget`]: single keywords, or the budgets of the rows of a batch."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

from s1_hf.forcing.budget import NAMES, PER_PROMPT, Budget


def collect_budget(budget: Budget | None, keywords: dict[str, Any], nothing_else: str | None = None) -> Budget:
    """The budget of a public call: `budget` whole, or the fields among its `keywords`, which are taken out of them.

    Args:
        nothing_else (`str`, *optional*): the name of a callable that takes no other keywords than these.

    Raises:
        TypeError: `budget` is not a [`Budget`], or a keyword is unknown. ValueError: both were given, or a value is out
            of range, or a keyword looks like a misspelt field.
    """
    single = {name: keywords.pop(name) for name in NAMES if name in keywords}
    check_spelling(keywords)
    if nothing_else is not None and keywords:
        raise TypeError(f"{nothing_else}() got an unexpected keyword argument {next(iter(keywords))!r}")
    if budget is None:
        return Budget(**single)
    if not isinstance(budget, Budget):
        raise TypeError(f"`budget` has to be a Budget, such as `Budget(max_thinking_tokens=500)`, but is {budget!r}.")
    if single:
        raise ValueError(
            f"`budget` has to stand alone, but {', '.join(f'`{name}`' for name in single)} came with it. Put all "
            "settings into the Budget (`dataclasses.replace` changes one), or give all of them as keywords."
        )
    return budget


def check_spelling(unknown: Iterable[str], known: Sequence[str] = NAMES) -> None:
    """Raises a `ValueError` for a name that looks like a misspelt one of `known`: the fields of a budget."""
    for name in unknown:
        if close := difflib.get_close_matches(name[:_LONGEST].lower(), known, 1, cutoff=0.8):
            raise ValueError(f"`{name}` is not an argument. Did you mean `{close[0]}`?")


_LONGEST = 60  # characters of a name; what is longer is near to none
_AMOUNTS = {"max", "maximum", "min", "minimum", "tokens", "limit", "cap", "length", "level"}
_AMOUNTS_ALONE = {"max", "min", "token", "tokens", "budget", "effort"}


def looks_like_budget(name: str) -> bool:
    """Whether a name is one that somebody, here or elsewhere, has for a budget or an effort: as it is, misspelt, in
    another case, or in another server's words.

    Example:

    ```python
    >>> from s1_hf.forcing.collect import looks_like_budget
    >>> [looks_like_budget(name) for name in ("maxThinkingTokens", "reasoning_effort", "enable_thinking", "max_tokens")]
    [True, True, False, False]

    ```
    """
    name = name[:_LONGEST]
    words = {word.lower() for word in re.findall("[A-Z]?[a-z]+|[A-Z]+", name)}
    name = name.lower()
    is_amount = "budget" in name or "effort" in name
    if "think" in name or "reason" in name:
        is_amount |= bool(words & _AMOUNTS)
    else:  # a budget of something else, perhaps
        is_amount &= words <= _AMOUNTS_ALONE
    return is_amount or bool(difflib.get_close_matches(name, NAMES, 1, cutoff=0.85))


def stacked(budgets: Sequence[Budget]) -> Budget:
    """One budget for a batch, from the budget of each of its rows.

    Raises:
        ValueError: the rows differ in more than the three budgets that go by row.
    """
    first = budgets[0]
    if all(one == first for one in budgets):
        return first
    if len({one.shared() for one in set(budgets)}) > 1:
        raise ValueError(f"The rows of a batch have to have the same settings, except for {', '.join(PER_PROMPT)}.")
    columns: dict[str, Any] = {}
    for name in PER_PROMPT:
        columns[name] = tuple(getattr(one, name) for one in budgets)
    return replace(first, **columns)


def one_for_each(budget: Budget, num_prompts: int) -> list[Budget]:
    """The budget of each prompt.

    Raises:
        ValueError: budgets were given for another number of prompts.
    """
    if budget.num_prompts is None:
        return [budget] * num_prompts
    if budget.num_prompts != num_prompts:
        raise ValueError(f"{budget.num_prompts} budgets were given for {num_prompts} prompts. Give one for each.")
    found = []
    for i in range(num_prompts):
        own: dict[str, Any] = {}
        for name in PER_PROMPT:
            value = getattr(budget, name)
            own[name] = value[i] if isinstance(value, tuple) else value
        found.append(replace(budget, **own))
    return found
