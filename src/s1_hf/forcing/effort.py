"""Efforts: names for how long a model thinks, each for a [`Budget`].

Servers take them as `reasoning_effort`. A name means what a table says; the default one gives shares of the room that a
call has, so that it goes with any context and any prompt, and leaves room for an answer (not `none`, a cap of 0).
"""

from __future__ import annotations

import difflib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from s1_hf.files import write_text
from s1_hf.forcing.budget import NAMES, Budget, check_effect, check_room
from s1_hf.forcing.values import not_unicode, shown
from s1_hf.records import read_json, read_yaml
from s1_hf.visible import visible

_SHARES = {"minimal": 0.1, "low": 0.2, "medium": 0.5, "high": 0.8, "xhigh": 0.95, "max": 1.0}

DEFAULT: dict[str, Budget] = {"none": Budget(max_thinking_tokens=0)}
for _name, _share in _SHARES.items():
    DEFAULT[_name] = Budget(max_thinking_tokens="auto", thinking_share=_share)
"""The table that goes with any model: of the room that a prompt leaves, less 100 tokens, a share is for thinking.

`none` cuts at once. The shares are those by which OpenRouter turns efforts into budgets of tokens
(https://openrouter.ai/docs/guides/best-practices/reasoning-tokens). `max` lets the model think as long as it wants,
while an answer still fits. It ignores no end: thinking longer than the model wants costs more and may hurt, so that is
for a table of one's own to say.
"""

_CAP = "max_thinking_tokens"


@dataclass(frozen=True)
class Effort:
    """A table of efforts.

    Args:
        table (`dict`, *optional*): by name, a [`Budget`] or a dictionary of its fields; one value for each field, not
            one per prompt. By default `none`, `minimal`, `low`, `medium`, `high`, `xhigh` and `max`, see [`DEFAULT`].

    Raises:
        ValueError: a name is no text, or a budget is wrong; the message names the effort.

    Example:

    ```python
    >>> from s1_hf import Effort
    >>> Effort().budget("low").name
    'cap auto, thinking_share 0.2'
    >>> own = Effort({"quick": {"max_thinking_tokens": 500}, "thorough": {"num_ignores": 2}})
    >>> own.budget("quick").name
    'cap 500'
    >>> own.budget("quik")
    Traceback (most recent call last):
    ValueError: There is no effort 'quik'. Give one of quick, thorough. Did you mean 'quick'?

    ```
    """

    table: Mapping[str, Budget] = field(default_factory=lambda: dict(DEFAULT))

    def __post_init__(self) -> None:
        if not isinstance(self.table, Mapping) or not self.table:
            raise ValueError(
                "A table of efforts has to hold names, each with a budget, such as {'low': {'max_thinking_tokens': "
                f"500}}}}, but is {shown(self.table)}."
            )
        budgets = {}
        for name, given in self.table.items():
            _check_name(name)
            budgets[name] = _budget_of(name, given)
        object.__setattr__(self, "table", budgets)

    @classmethod
    def read(cls, file: str | Path) -> Effort:
        """The table in a file, JSON or YAML by its ending: an object of names, each with the fields of its budget.

        Raises:
            ValueError: the file holds no such table, or has another ending. OSError: it cannot be read.
        """
        path = Path(file)
        readers = {".json": read_json, ".yaml": read_yaml, ".yml": read_yaml}
        if path.suffix.lower() not in readers:
            raise ValueError(f"A table of efforts has to be a file in {', '.join(readers)}, but is {path.name!r}.")
        found = readers[path.suffix.lower()](path)
        try:
            return cls(found)
        except ValueError as error:
            raise ValueError(f"{path}: {error}") from None

    def write(self, file: str | Path, comment: str = "") -> None:
        """Write the table as a YAML file that [`Effort.read`] reads.

        Args:
            comment (`str`): goes above it, as comments.
        """
        lines = [f"# {visible(line)}".rstrip() for line in comment.splitlines()]
        for name, budget in self.table.items():
            lines.append(f"{json.dumps(name)}: {json.dumps(budget.changed())}")  # JSON, which YAML contains
        write_text(file, "\n".join(lines) + "\n")

    @property
    def names(self) -> tuple[str, ...]:
        """Of the efforts, in the order of the table."""
        return tuple(self.table)

    def budget(self, name: str, beside: Mapping[str, Any] | None = None) -> Budget:
        """The budget that a name stands for.

        Args:
            beside (`dict`, *optional*): fields of a budget that came with the name; the cap is the effort's to say, and
                so is whatever else the table says of it.

        Raises:
            ValueError: there is no such effort, or `beside` has what the effort says.

        Example:

        ```python
        >>> from s1_hf import Effort
        >>> Effort().budget("none", {"answer_prefix": None}).name
        'cap 0, answer_prefix None'

        ```
        """
        if not isinstance(name, str) or name not in self.table:
            names = ", ".join(self.names)
            raise ValueError(f"There is no effort {shown(name)}. Give one of {names}.{self._near(name)}")
        budget, beside = self.table[name], dict(beside or {})
        twice = [one for one in beside if one == _CAP or one in budget.changed()]
        if twice:
            raise ValueError(
                f"The effort {name!r} ({budget.name}) has to stand alone, but "
                f"{', '.join(f'`{one}`' for one in twice)} came with it, which it stands for. Leave one of them out."
            )
        return replace(budget, **beside)

    def _near(self, name: object) -> str:
        """The end of an error: the nearest name, if any is near."""
        by_case = {one.lower(): one for one in self.names}
        close = difflib.get_close_matches(str(name).strip().lower(), by_case, 1)
        return f" Did you mean {by_case[close[0]]!r}?" if close else ""


def _check_name(name: object) -> None:
    if not isinstance(name, str):
        raise ValueError(
            f"The name of an effort has to be a text, but is {shown(name)}. In YAML, put names such as on, off, yes, "
            "no and numbers into quotes."
        )
    if not name or name != name.strip() or not name.isprintable() or not_unicode(name):
        raise ValueError(
            "The name of an effort has to be printable, without white space around it, and not empty, but is "
            f"{shown(name)}."
        )


def _budget_of(name: str, given: object) -> Budget:
    """What a table says of one effort; errors name it."""
    try:
        if not isinstance(given, Budget):
            given = _budget_from(given)
        if given.num_prompts:
            raise ValueError("Its budget has to be one value each, not one per prompt.")
        check_effect([given])
        check_room(given)
    except (ValueError, TypeError) as error:
        raise ValueError(f"Effort {name!r}: {error}") from None
    return given


def _budget_from(fields: object) -> Budget:
    if not isinstance(fields, Mapping):
        raise ValueError(
            f"It has to be a budget, such as {{'{_CAP}': 500}}, with any of {', '.join(NAMES)}, but is {shown(fields)}."
        )
    for field_name in fields:
        if field_name not in NAMES:
            close = difflib.get_close_matches(str(field_name), NAMES, 1)
            near = f"Did you mean `{close[0]}`?" if close else f"Known are {', '.join(NAMES)}."
            raise ValueError(f"`{field_name}` is no setting of a budget. {near}")
    return Budget.from_dict(fields)
