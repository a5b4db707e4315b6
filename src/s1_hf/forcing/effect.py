"""Settings of a budget that cannot act: refused, or left out."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import fields, replace
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from s1_hf.forcing.budget import Budget


def check_effect(budgets: Sequence[Budget], of_request: bool = False) -> None:
    """Raises a `ValueError` for a setting that has no effect under any of `budgets`, because it needs another one.

    Args:
        of_request (`bool`, defaults to `False`): whether they are all that is said, so that a text which stands ready
            for ends that nobody ignores, or ignores where nothing is thought, are a mistake. A program says them once
            for whatever it asks.
    """
    for name, needed in _idle(budgets, of_request).items():
        raise ValueError(f"`{name}` has no effect without {needed}. Give that as well, or leave `{name}` out.")


def check_room(budget: Budget) -> None:
    """Raises a `ValueError` for a default that a cap of 0, its neighbour, keeps from ever acting."""
    for name, needed, has_it in _NEEDS_IN_REQUESTS:
        if needed == _ROOM and getattr(budget, name) != _default(name, budget) and not has_it(budget):
            raise ValueError(f"`{name}` has no effect without {needed}. Raise the cap, or leave `{name}` out.")


def without_idle(budgets: Sequence[Budget], of_request: bool = False) -> list[Budget]:
    """The same without settings that have no effect under any of them; see [`check_effect`]."""
    settings = list(budgets)
    while idle := _idle(settings, of_request):  # one may have been what another needs
        settings = [with_defaults_of(setting, idle) for setting in settings]
    return settings


def _idle(budgets: Sequence[Budget], of_request: bool) -> dict[str, str]:
    """The settings that have no effect under any of `budgets`, and what each of them needs."""
    idle = {}
    for name, needed, has_it in (*_NEEDS, *_NEEDS_IN_REQUESTS) if of_request else _NEEDS:
        given = [budget for budget in budgets if getattr(budget, name) != _default(name, budget)]
        if given and not any(has_it(budget) for budget in given):
            idle[name] = needed
    return idle


def _ignores_before_a_cut(budget: Budget) -> bool:
    rows = budget.num_prompts or 1
    pairs = zip(budget.column("num_ignores", rows), budget.column("max_thinking_tokens", rows), strict=True)
    return any(ignores and cap for ignores, cap in pairs)


def _may_think(budget: Budget) -> bool:
    return any(budget.column("max_thinking_tokens", budget.num_prompts or 1))


_NEEDS: tuple[tuple[str, str, Callable[[Budget], bool]], ...] = (
    ("cut_text", "`max_thinking_tokens`", lambda budget: budget.has_cap),
    ("cut_window", "`max_thinking_tokens`", lambda budget: budget.has_cap),
    ("cut_at", "`cut_window`", lambda budget: budget.cut_window > 0),
    ("answer_reserve", '`max_thinking_tokens="auto"`', lambda budget: budget.max_thinking_tokens == "auto"),
    ("thinking_share", '`max_thinking_tokens="auto"`', lambda budget: budget.max_thinking_tokens == "auto"),
)
"""Settings that act only together with another: the setting, what it needs, and whether a budget has that."""

_ROOM = "a `max_thinking_tokens` above 0"

_NEEDS_IN_REQUESTS: tuple[tuple[str, str, Callable[[Budget], bool]], ...] = (
    ("num_ignores", _ROOM, _ignores_before_a_cut),
    ("loop_guard", _ROOM, _may_think),
    ("cut_window", _ROOM, _may_think),
    ("wait_text", "`num_ignores` or `min_thinking_tokens`", lambda budget: budget.ignores_ends),
    (
        "answer_prefix",
        "`max_thinking_tokens` or `loop_guard`",
        lambda budget: budget.has_cap or budget.loop_guard is not None,
    ),
)
"""The same for a request."""


def _default(name: str, budget: Budget) -> Any:
    for one in fields(budget):
        if one.name == name:
            return one.default
    raise KeyError(name)


def with_defaults_of(budget: Budget, names: Iterable[str]) -> Budget:
    """The same with the defaults of some fields."""
    return replace(budget, **{name: _default(name, budget) for name in names})
