"""What budget forcing did to one row."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Literal, cast, get_args

EndedName = Literal["natural", "cut", "looped", "handed_over", "unfinished", "never_started"]
ENDED_NAMES: tuple[EndedName, ...] = get_args(EndedName)
UNCLOSED: tuple[EndedName, ...] = ("unfinished", "handed_over")
"""Ways of ending that leave thinking open, so that there is no answer."""


class Ended(IntEnum):
    """How thinking ended, as the state of a row holds it; `label` is the name in reports."""

    NEVER_STARTED = 0
    UNFINISHED = 1
    NATURAL = 2
    CUT = 3
    LOOPED = 4
    HANDED_OVER = 5

    @property
    def label(self) -> EndedName:
        """Such as `"natural"`."""
        return cast(EndedName, self.name.lower())


@dataclass(frozen=True)
class Report:
    """What budget forcing did to one row of a batch; all counts are in tokens.

    Args:
        thinking_tokens (`int`): tokens after the opening and before the closing delimiter, Waits included, and also
            those that the prompt itself had already thought. Not counted are the newline that a cut forces before the
            delimiter, and white space right after an opening delimiter that stands in the prompt.
        ended (`str`): `"natural"` (an end attempt was let through), `"cut"` (by the cap), `"looped"` (by the loop
            guard), `"handed_over"` (the model called a tool while thinking), `"unfinished"` (generation stopped while
            thinking) or `"never_started"` (nothing was thought: the model answered at once, or the prompt had closed
            thinking).
        ends_ignored (`int`): end attempts that were not let through, those below the minimum included.
        forced (`tuple[bool, ...]`): for each generated token, up to and including the end of sequence, whether it was
            forced; `False` tokens are the model's own. Not shown when printed.
        answer_tokens (`int`): tokens after the closing delimiter, a forced answer prefix included and the end of
            sequence not; all tokens if thinking never started.
    """

    thinking_tokens: int
    ended: EndedName
    ends_ignored: int
    forced: tuple[bool, ...] = field(repr=False)
    answer_tokens: int


def forced_positions(forced: Sequence[bool]) -> list[int]:
    """Which tokens were forced, by their positions: as a report is written down."""
    return [i for i, one in enumerate(forced) if one]


def forced_at(positions: Collection[int], tokens: int) -> tuple[bool, ...]:
    """Of each of so many tokens, whether it was forced: as [`forced_positions`] were written down."""
    forced = set(positions)
    return tuple(i in forced for i in range(tokens))
