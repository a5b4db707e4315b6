"""The budget of each prompt of a rollout: one for all, or drawn."""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Any

from s1_hf.forcing.budget import NAMES, PER_PROMPT, Budget
from s1_hf.forcing.values import is_count

BudgetOf = Callable[[Random], Budget]
"""From random numbers that are a prompt's own to its budget."""


class Drawn:
    """Budgets whose numbers are drawn uniformly, both ends included, a prompt's apart from each other.

    Args:
        max_thinking_tokens, min_thinking_tokens, num_ignores (`tuple[int, int]` or `int`, *optional*): from where to
            where; a single number is taken as it is.
        **others: further fields of [`Budget`], the same for all.

    Raises:
        ValueError: a range is none, or a budget in it is refused.

    Example:

    ```python
    >>> from random import Random
    >>> from s1_hf.rl.budgets import Drawn
    >>> budgets = Drawn(max_thinking_tokens=(16, 96), num_ignores=(0, 2))
    >>> budgets(Random(0)).name
    'cap 65, 1 ignore'

    ```
    """

    def __init__(self, **settings: Any) -> None:
        self._ranges: dict[str, tuple[int, int]] = {}
        self._others: dict[str, Any] = {}
        bad = [_unknown(name) for name in settings if name not in NAMES]
        for name, value in settings.items():
            if name not in PER_PROMPT or not isinstance(value, (tuple, list)):
                self._others[name] = value
            elif len(value) == 2 and all(map(is_count, value)) and 0 <= value[0] <= value[1]:
                self._ranges[name] = (value[0], value[1])
            else:
                bad.append(f"`{name}` has to be two numbers of tokens, from where to where, but is {value!r}.")
        if bad:
            raise ValueError(" ".join(bad))
        for end in (0, 1):  # what lies between is a budget if the ends are, and if no minimum can be above a cap
            self._at(end)
        if "min_thinking_tokens" in settings and "max_thinking_tokens" in settings:
            self._at(0, min_thinking_tokens=self._at(1).min_thinking_tokens)

    def __call__(self, random: Random) -> Budget:
        """The budget of one prompt."""
        drawn = {name: random.randint(*self._ranges[name]) for name in PER_PROMPT if name in self._ranges}
        return Budget(**{**self._others, **drawn})

    @property
    def largest(self) -> Budget:
        """With the upper end of every range."""
        return self._at(1)

    def _at(self, end: int, **others: Any) -> Budget:
        return Budget(**{**self._others, **{name: pair[end] for name, pair in self._ranges.items()}, **others})


def _unknown(name: str) -> str:
    return f"`{name}` is no field of Budget, which has {', '.join(NAMES)}."
