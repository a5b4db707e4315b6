"""Thinking formats in files and on the command line: the settings that a dictionary may hold."""

from __future__ import annotations

import difflib
from collections.abc import Callable
from typing import Any


def check_settings(given: dict[str, Any]) -> None:
    """Raises a `ValueError` if a dictionary of settings, such as that of a file, is none for [`format_of_settings`]."""
    faults = []
    for name, value in given.items():
        if name not in _SETTINGS:
            nearest = difflib.get_close_matches(str(name), _SETTINGS, 1)
            hint = f"; did you mean {nearest[0]!r}?" if nearest else ""
            faults.append(f"{name!r} is none of {', '.join(map(repr, _SETTINGS))}{hint}")
        elif not _SETTINGS[name][1](value):
            faults.append(f"{name!r} has to be {_SETTINGS[name][0]}, but is {value!r}")
    for name, other in (("start", "close"), ("close", "start")):
        if name in given and other not in given:
            faults.append(f"{name!r} needs {other!r} beside it")
    if faults:
        raise ValueError(f"`format` has to be made of settings that a thinking format has, but {'; '.join(faults)}.")


def _is_text(value: object) -> bool:
    return isinstance(value, str)


def _is_text_or_none(value: object) -> bool:
    return value is None or isinstance(value, str)


def _is_flag(value: object) -> bool:
    return isinstance(value, bool)


def _is_texts(value: object) -> bool:
    return value is None or (isinstance(value, (list, tuple)) and all(isinstance(text, str) for text in value))


def _is_pairs(value: object) -> bool:
    pairs = value if isinstance(value, (list, tuple)) else [None]
    return all(isinstance(pair, (list, tuple)) and len(pair) == 2 and all(map(_is_text, pair)) for pair in pairs)


# Each with what its value has to be, in words and as a check.
_SETTINGS: dict[str, tuple[str, Callable[[object], bool]]] = {
    "start": ("a text", _is_text),
    "close": ("a text", _is_text),
    "name": ("a text", _is_text),
    "force_start": ("true or false", _is_flag),
    "interleaved": ("true or false", _is_flag),
    "turn": ("a text", _is_text_or_none),
    "answer_start": ("a text", _is_text),
    "handovers": ("a list of texts", _is_texts),
    "call_ends": ("a list of texts", _is_texts),
    "tool_results": ("a list of pairs of texts", _is_pairs),
}
