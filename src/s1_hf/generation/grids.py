"""The settings of a sweep: budgets that differ only in their caps and ignores."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from s1_hf.forcing.budget import NO_INTERVENTION, Budget, check_effect
from s1_hf.forcing.values import is_many, plain


def grid(
    max_thinking_tokens: Sequence[int | None], num_ignores: Sequence[int], budget: Budget = NO_INTERVENTION
) -> list[Budget]:
    """Every combination of caps and ignores, in the order given, ignores within caps.

    Args:
        budget ([`Budget`], *optional*): what all of them share.

    Raises:
        ValueError: one of them is empty, not a sequence, or has a value twice or out of range.
    """
    settings = _combined(max_thinking_tokens, num_ignores, budget)
    check_effect(settings)
    return settings


def curve(
    max_thinking_tokens: Sequence[int], num_ignores: Sequence[int], budget: Budget = NO_INTERVENTION
) -> list[Budget]:
    """The points of the paper's figure 1: caps without ignores, no intervention, and ignores without a cap.

    Raises:
        ValueError: as [`grid`], or a count of ignores is 0, which is no intervention.

    Example:

    ```python
    >>> from s1_hf.generation.grids import curve
    >>> [setting.name for setting in curve([500, 1000], [2])]
    ['cap 500', 'cap 1000', 'no intervention', '2 ignores']

    ```
    """
    max_thinking_tokens, num_ignores = plain(max_thinking_tokens), plain(num_ignores)
    if 0 in num_ignores:
        raise ValueError(f"`num_ignores` has to be without 0, which is no intervention, but is {num_ignores!r}.")
    settings = _combined(max_thinking_tokens, [0], budget) if max_thinking_tokens else []
    settings += _combined([None], [0, *num_ignores], budget)
    check_effect(settings)
    return settings


def chosen_settings(
    settings: Sequence[Budget] | None,
    max_thinking_tokens: Sequence[int | None] = (None,),
    num_ignores: Sequence[int] = (0,),
    budget: Budget = NO_INTERVENTION,
) -> list[Budget]:
    """The `settings` that were given, or else the [`grid`].

    Raises:
        ValueError: both are given, the settings differ in more than cap and ignores, or as [`grid`].
    """
    if settings is None:
        return grid(max_thinking_tokens, num_ignores, budget)
    given = tuple(plain(max_thinking_tokens)), tuple(plain(num_ignores))
    if given != ((None,), (0,)) or budget != NO_INTERVENTION:
        raise ValueError(
            "`settings` has to stand alone. Leave `max_thinking_tokens`, `num_ignores` and what they share out."
        )
    listed = isinstance(settings, Sequence) and all(isinstance(setting, Budget) for setting in settings)
    if not listed or not settings or len(set(settings)) < len(settings):
        raise ValueError(
            "`settings` has to hold different settings, one at least, such as `[Budget(max_thinking_tokens=500)]` or "
            f"those of `curve`, but is {settings!r}."
        )
    for setting in settings:
        _check_setting(setting)
        if setting.shared() != settings[0].shared():
            raise ValueError(
                "`settings` of a sweep have to differ only in `max_thinking_tokens` and `num_ignores`, because all of "
                f"them share one trace, but {setting} and {settings[0]} do not."
            )
    check_effect(settings)
    return list(settings)


def largest_setting(settings: Sequence[Budget]) -> Budget:
    """The setting of which the thinking of every other one is a prefix."""
    caps: list[Any] = [setting.max_thinking_tokens for setting in settings]
    ignores: list[Any] = [setting.num_ignores for setting in settings]
    return replace(settings[0], max_thinking_tokens=None if None in caps else max(caps), num_ignores=max(ignores))


def smallest_setting(settings: Sequence[Budget]) -> Budget:
    """The setting with the smallest cap."""
    return min(settings, key=lambda setting: setting.column("max_thinking_tokens", 1))


def _check_setting(setting: Budget) -> None:
    if setting.max_thinking_tokens == "auto":
        raise ValueError("`max_thinking_tokens` of a sweep has to be made of numbers and None, but has 'auto'.")
    if setting.num_prompts:
        raise ValueError(f"A setting of a sweep has to have single values, not one per prompt, but is {setting}.")
    if setting.min_thinking_tokens:
        raise ValueError("A sweep cannot have `min_thinking_tokens`. Leave it out, or run each setting by itself.")


def _combined(max_thinking_tokens: Sequence[int | None], num_ignores: Sequence[int], budget: Budget) -> list[Budget]:
    max_thinking_tokens, num_ignores = plain(max_thinking_tokens), plain(num_ignores)
    for name, values, what in (
        ("max_thinking_tokens", max_thinking_tokens, "numbers of tokens, or None for no cap"),
        ("num_ignores", num_ignores, "numbers of ends"),
    ):
        if not is_many(values) or not values or len(set(values)) < len(values):
            raise ValueError(f"`{name}` has to be a sequence of different {what}, but is {values!r}.")
    settings = []
    for cap in max_thinking_tokens:
        for count in num_ignores:
            setting = replace(budget, max_thinking_tokens=cap, num_ignores=count)
            _check_setting(setting)
            settings.append(setting)
    return settings
