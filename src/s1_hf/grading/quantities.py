"""Answers that are no formula: plain numbers with their units, numbers in a base, times of day, products of cycles."""

from __future__ import annotations

import re
from dataclasses import dataclass
from fractions import Fraction
from typing import NamedTuple

from s1_hf.grading.units import LETTERS, Unit, unit

MAX_NUMBER_CHARS = 1_000
MAX_EXPONENT = 1_000

_NUMBER = re.compile(
    r"(?P<sign>[+-]?)\s?(?P<whole>[1-9]\d{0,2}(?:(?:,\d{3}(?!\d))+|(?: \d{3}(?!\d))+)|\d+)?(?:\.(?P<decimals>\d*))?"
    r"(?:\s?(?:\\times|\\cdot|\*|x)\s?10\s?\^\s?\{?\s?(?P<power>[+-]?\d+)\s?\}?|[eE](?P<exponent>[+-]?\d+))?"
)
_UNIT = re.compile(
    r"\s?(?:\\(?:text|textbf|textrm|textnormal|mathrm|mbox)\{\s?(?P<text>[^{}]*)\}|\s(?P<words>[a-zA-Z][a-zA-Z/ .]+))"
    r"\s?(?:\^\s?\{?\s?(?P<power>-?\d)\s?\}?)?\s?\.?"
)
_PERCENT = re.compile(r"\s?(?:\\?%|(?:percent(?:age)?|pct)\.?)", re.IGNORECASE)
_NUMBER_LIST = re.compile(r"-?\d+(?:,\s?-?\d+)+")
_SCALE = re.compile(r"\b(?:hundred|thousand|million|billion|trillion|dozen)s?\b", re.IGNORECASE)
_NO_UNIT = re.compile(
    r"\b(?:and|or|to|pi|infinity|squared|cubed|factorial|mod|choose|times|plus|minus|over|is|base)\b", re.IGNORECASE
)
_UNIT_LETTER = re.compile(rf"(?<=\d )([{LETTERS}])(?=\s?(?:\^\s?\{{?\d\}}?)?\Z)", re.IGNORECASE)
_LAST_UNIT = re.compile(
    r"\s?(?:\\(?:text|textbf|textrm|textnormal|mathrm|mbox)\{(?P<text>[^{}]*)\}"
    r"|(?<=[\d)}])\s(?P<words>[a-zA-Z][a-zA-Z/ ]+))\s?(?:\^\s?\{?\s?(?P<power>-?\d)\s?\}?)?\Z"
)

_BASES = ["two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve", "thirteen"]
_BASES += ["fourteen", "fifteen", "sixteen"]
_BASED = re.compile(
    r"(?:[a-zA-Z]=)?\(?(?P<digits>[\dA-Fa-f]+(?:,[\dA-Fa-f]{3})*)\)?(?:_\{?\(?(?:base)?|,?\(?(?:in)?base-?)"
    r"(?P<base>\d{1,2}|" + "|".join(_BASES) + r")\)?\}?"
)
_CLOCK = re.compile(
    r"(?P<hour>\d{1,2})(?::(?P<minute>[0-5]\d))?(?::(?P<second>[0-5]\d))?(?P<half>[ap]\.?m\.?|noon|midnight)?",
    re.IGNORECASE,
)
_NAMED_TIMES = {"noon": "12pm", "midnight": "12am"}
_CYCLES = re.compile(r"(?:\\?[a-zA-Z]+\s?=\s?)?((?:\(\s?\d+(?:[ ,]{1,2}\d+)*\s?\)\s?)+)")
_CYCLE = re.compile(r"\(([^()]*)\)")


@dataclass(frozen=True)
class Number:
    """A plain number: an integer or decimal, with or without a power of ten; `percent` if a percent sign follows."""

    value: Fraction
    percent: bool = False
    unit: Unit | None = None  # if it is a known one

    def equals(self, other: Number) -> bool:
        """Whether both are the same: in value, or in value times unit if both units are known.

        A percentage also equals that many hundredths if the other is not a percentage.
        """
        if self.unit and other.unit:
            same_kind = self.unit.kind == other.unit.kind
            return same_kind and self.value * self.unit.size == other.value * other.unit.size
        if self.percent == other.percent:
            return self.value == other.value
        percentage, bare = (self, other) if self.percent else (other, self)
        return bare.unit is None and bare.value in (percentage.value, percentage.value / 100)


class Based(NamedTuple):
    """Digits in a base other than ten."""

    digits: str
    base: int


class Clock(NamedTuple):
    """A time of day: seconds since 0:00, or since the last 0:00 or 12:00 if it says neither a.m. nor p.m."""

    seconds: int
    full: bool

    def equals(self, other: Clock) -> bool:
        """Whether both are the same; a time without a.m. or p.m. may be either."""
        if self.full and other.full:
            return self.seconds == other.seconds
        return (self.seconds - other.seconds) % 43_200 == 0


Cycles = frozenset[tuple[int, ...]]


def number(tidied: str) -> Number | None:
    """The answer as a plain number with its unit; `None` if it is anything else.

    Matched: `25`, `025`, `25.0`, `.5`, `1,000`, `1 000`, `1.5 \\times 10^3`, `2e-5`, `28\\%`, `28 percent`,
    `10 \\text{ cm}^2`, `64 square feet`. A unit is `\\text{...}` or, after a space, words of two letters or more,
    optionally with a power.

    Not matched: fractions, `1,5` (a list, not a decimal), `32, 34`, `5 million`, `3 pi`, `5x`, `10 m` (a single letter
    may be a variable), `2516_8`, and exponents beyond 1,000.
    """
    found = _NUMBER.match(tidied)
    if not found or not (found["whole"] or found["decimals"]) or len(found[0]) > MAX_NUMBER_CHARS:
        return None
    rest = tidied[found.end() :]
    percent = _PERCENT.match(rest)
    if percent:
        rest = rest[percent.end() :]
    named = _UNIT.fullmatch(rest)
    words = (named["text"] or named["words"] or "").strip() if named else ""
    if rest and (not named or _SCALE.search(words) or _NO_UNIT.search(words)):
        return None
    digits = re.sub(r"\D", "", found["whole"] or "0")
    power = int((found["power"] or found["exponent"] or "0")[:9])
    if abs(power) > MAX_EXPONENT:
        return None
    value = Fraction(f"{digits}.{found['decimals'] or '0'}") * Fraction(10) ** power
    known = unit(words, int(named["power"] or 1)) if named and words else None
    return Number(-value if found["sign"] == "-" else value, percent is not None, known)


def lettered(tidied: str) -> Number | None:
    """`10 m` as a number with its unit, which by itself may be ten times a variable."""
    spelt, found = _UNIT_LETTER.subn(r"\\text{\1}", tidied)
    return number(spelt) if found else None


def is_number_list(tidied: str) -> bool:
    """Whether an answer is whole numbers separated by commas: `1,2`, and also `1,5`, which is not a decimal here."""
    return bool(_NUMBER_LIST.fullmatch(tidied))


def has_scale(tidied: str) -> bool:
    """Whether the answer contains a word such as "million", which is not a unit."""
    return bool(_SCALE.search(tidied))


def last_unit(tidied: str) -> tuple[str, Unit | None]:
    """A formula and the known unit behind it, if there is one: `\\frac{3}{2}\\text{ cm}`."""
    found = _LAST_UNIT.search(tidied)
    words = (found["text"] or found["words"] or "") if found else ""
    known = unit(words, int(found["power"] or 1)) if found and found.start() > 0 else None
    return (tidied[: found.start()], known) if found and known else (tidied, None)


def based(plain: str) -> Based | None:
    """Digits with their base, without spaces: `4343_6`, `4343_{6}`, `(4343)_6`, `4343_{six}`, `4343base6`."""
    found = _BASED.fullmatch(plain)
    if not found:
        return None
    base = int(found["base"]) if found["base"].isdigit() else 2 + _BASES.index(found["base"])
    return Based(found["digits"].replace(",", "").upper().lstrip("0") or "0", base)


def clock(plain: str) -> Clock | None:
    """A time of day in an answer without spaces: `7:30`, `7:30a.m.`, `3PM`, `15:00`, `12noon`; also a bare hour."""
    found = _CLOCK.fullmatch(_NAMED_TIMES.get(plain, plain))
    hour = int(found["hour"]) if found else 24
    if not found or hour > 23:
        return None
    half = (found["half"] or "").replace(".", "").lower()
    minutes = int(found["minute"] or 0) * 60 + int(found["second"] or 0)
    if not half:
        return Clock(hour * 3600 + minutes, hour > 12 or hour == 0)
    afternoon = half in ("pm", "noon")
    return Clock((hour % 12 + 12 * afternoon) * 3600 + minutes, True)


def names_half(plain: str) -> bool:
    """Whether an answer is a time of day that says a.m. or p.m."""
    found = _CLOCK.fullmatch(_NAMED_TIMES.get(plain, plain))
    return bool(found and found["half"])


def cycles(tidied: str) -> Cycles | None:
    """A permutation as disjoint cycles, each from its smallest: `(1 2)(3 4)`, `(3 4)(2 1)`, `(12)(34)`.

    A single cycle needs spaces: `(1,2)` is a pair. Cycles that are not disjoint are kept as no permutation.
    """
    found = _CYCLES.fullmatch(tidied)
    if not found:
        return None
    parts = _CYCLE.findall(found[1])
    if len(parts) == 1 and ("," in parts[0] or " " not in parts[0].strip()):
        return None
    rows = [re.findall(r"\d+", part) for part in parts]
    if all(len(row) == 1 for row in rows):
        rows = [list(row[0]) for row in rows]
    flat = [entry for row in rows for entry in row]
    if len(flat) != len(set(flat)):
        return None
    turned = []
    for row in rows:
        smallest = row.index(min(row, key=int))
        turned.append(tuple(int(entry) for entry in row[smallest:] + row[:smallest]))
    return frozenset(cycle for cycle in turned if len(cycle) > 1) or None  # (3)(4) is a product of numbers
