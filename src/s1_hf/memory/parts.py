"""Sums of bytes whose terms are known to some extent: parts, and what they come to beside what there is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Verdict = Literal["fits", "tight", "does not fit"]
ORDER: tuple[Verdict, ...] = ("fits", "tight", "does not fit")


@dataclass(frozen=True)
class Part:
    """One line of a plan: bytes, and the formula behind them.

    Args:
        low, high (`int`, *optional*): the least and the most that it may be; by default the same.
    """

    name: str
    bytes: int
    formula: str
    low: int | None = None
    high: int | None = None

    def within(self, share: float) -> Part:
        """The same, uncertain by a share of it in both directions."""
        return Part(self.name, self.bytes, self.formula, int(self.bytes * (1 - share)), int(self.bytes * (1 + share)))


@dataclass(frozen=True)
class Need:
    """What a run needs of one kind of memory, at its worst moment.

    Args:
        moment (`str`): that moment.
        parts (`tuple[Part, ...]`): the parts then; they add up to `total`.
        capacity (`int`, *optional*): what there is, if it is known.
    """

    moment: str
    parts: tuple[Part, ...]
    capacity: int | None = None

    @property
    def total(self) -> int:
        """The bytes that are expected."""
        return sum(part.bytes for part in self.parts)

    @property
    def low(self) -> int:
        """The least that it can be."""
        return sum(part.bytes if part.low is None else part.low for part in self.parts)

    @property
    def high(self) -> int:
        """The most that it can be."""
        return sum(part.bytes if part.high is None else part.high for part in self.parts)

    @property
    def verdict(self) -> Verdict | None:
        """`"fits"` if the most fits, `"does not fit"` if not even the least does, else `"tight"`: only a step can tell.

        `None` if it is not known how much there is.
        """
        if self.capacity is None:
            return None
        if self.low > self.capacity:
            return "does not fit"
        return "tight" if self.high > self.capacity else "fits"

    @property
    def words(self) -> str:
        """The verdict in a sentence."""
        least, expected, most = (f"{size / 2**30:,.1f}" for size in (self.low, self.total, self.high))
        interval = f"between {least} and {most} GiB, {expected} expected"
        if self.capacity is None:
            return f"{interval}; not judged, because how much there is was not said"
        there = f"of {self.capacity / 2**30:,.1f}"
        sure = {
            "fits": "even the most fits",
            "tight": "it may or may not fit: try one step on the longest row",
            "does not fit": "not even the least fits",
            None: "",
        }[self.verdict]
        return f"{interval}, {there}: {sure}"


def worst(verdicts: list[Verdict | None]) -> Verdict:
    """The worst of several verdicts, of which those that are not known do not count."""
    return max((verdict for verdict in verdicts if verdict is not None), key=ORDER.index, default="fits")
