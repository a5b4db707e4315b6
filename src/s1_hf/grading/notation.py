"""Different ways to write the same answer: layout, units, thousands, percent, plain numbers and words."""

from __future__ import annotations

import re
from dataclasses import dataclass
from fractions import Fraction

MAX_TIDIED_CHARS = 10_000  # longer answers are compared only verbatim
MAX_FORMULA_CHARS = 1_000  # longer ones are compared only as tidied text
MAX_EXPONENT = 1_000

_CHARACTERS = str.maketrans(
    {"−": "-", "–": "-", "×": r"\times ", "·": r"\cdot ", "π": r"\pi ", "∞": r"\infty ", "≤": r"\leq ", "≥": r"\geq "}
    | {"°": "", "\u00a0": " ", "\u202f": " ", "~": " "}
)
_LAYOUT = [
    (re.compile(r",\s?\\!\s?"), ","),  # 32,\! 349 is a number, 32, 349 is two
    (re.compile(r"\\(?:left|right|displaystyle|[bB]igg?[lr]?)(?![a-zA-Z])|\\!"), ""),
    (re.compile(r"(?<!\\)\\(?:[,;: ]|q?quad(?![a-zA-Z]))"), " "),
    (re.compile(r"\\[dtc]frac(?![a-zA-Z])"), r"\\frac"),
    (re.compile(r"\\?\$|(?<!\\)\\[()\[\]]"), ""),  # a dollar is a unit or the formula's own delimiter
    (re.compile(r"\{,\}"), ","),
    (re.compile(r"\s?\^\s?(?:\\circ(?![a-zA-Z])|\{\s?\\circ\s?\})|\\degree(?![a-zA-Z])"), ""),
    (re.compile(r"(?<=\d)\^?\{?\s?(?:\\(?:text|textrm|mathrm)\{)?(?:st|nd|rd|th)(?![a-zA-Z])\}{0,2}"), ""),  # 12th
    (re.compile(r"\\(?:text|textbf|textit|textrm|mathrm|mathbf|mbox)\{\s?([a-zA-Z])\s?\}"), r"\1"),
    (re.compile(r"\*\*"), "^"),  # from here on: as written in code
    (re.compile(r"(?<![\\a-zA-Z])(sqrt|pi|sin|cos|tan|log|ln|exp)(?![a-zA-Z])"), r"\\\1"),
    (re.compile(r"\\sqrt\s?\(([^()]*)\)"), r"\\sqrt{\1}"),
    (re.compile(r"\s+"), " "),
]
_AND = re.compile(r"\s?(?:\\(?:text|mbox|textrm)\{\s?(?:and|or)\s?\}|(?<![a-zA-Z])(?:and|or)(?![a-zA-Z]))\s?")
_WRAPPED = re.compile(r"\\(?:text|textbf|textit|textrm|textnormal|mathrm|mathbf|mbox|operatorname)\{([^{}]*)\}")
_NUMBER = re.compile(
    r"(?P<sign>[+-]?)\s?(?P<whole>[1-9]\d{0,2}(?:(?:,\d{3}(?!\d))+|(?: \d{3}(?!\d))+)|\d+)?(?:\.(?P<decimals>\d*))?"
    r"(?:\s?(?:\\times|\\cdot|\*|x)\s?10\s?\^\s?\{?\s?(?P<power>[+-]?\d+)\s?\}?|[eE](?P<exponent>[+-]?\d+))?"
)
_UNIT = re.compile(r"\s?(?:\\(?:text|textbf|textrm|textnormal|mathrm|mbox)\{\s?([^{}]*)\}|\s([a-zA-Z][a-zA-Z/ .]+))")
_UNIT_POWER = re.compile(r"\s?(?:\^\s?\{?\s?-?\d\s?\}?|²|³)?\s?\.?")
_PERCENT = re.compile(r"\s?(?:\\?%|(?:percent(?:age)?|pct)\.?)", re.IGNORECASE)
_NUMBER_LIST = re.compile(r"-?\d+(?:,\s?-?\d+)+")
_SCALE = re.compile(r"\b(?:hundred|thousand|million|billion|trillion|dozen)s?\b", re.IGNORECASE)
_NO_UNIT = re.compile(
    r"\b(?:and|or|to|pi|infinity|squared|cubed|factorial|mod|choose|times|plus|minus|over|is|base)\b", re.IGNORECASE
)


@dataclass(frozen=True)
class Number:
    """A plain number: an integer or decimal, with or without a power of ten; `percent` if a percent sign follows."""

    value: Fraction
    percent: bool = False

    def equals(self, other: Number) -> bool:
        """Whether both are the same; a percentage also equals that many hundredths if the other is not a percentage."""
        if self.value == other.value:
            return True
        if self.percent == other.percent:
            return False
        percentage, bare = (self, other) if self.percent else (other, self)
        return percentage.value == 100 * bare.value


def tidy(answer: str) -> str:
    """`answer` without what only changes its appearance: sizes, spaces, dollar and degree signs, ordinal endings."""
    answer = answer.translate(_CHARACTERS)
    for pattern, replacement in _LAYOUT:
        answer = pattern.sub(replacement, answer)
    return answer.strip(" *`\"'").rstrip(".,;:").strip()


def plain_text(tidied: str) -> str:
    """For comparison as text: without `\\text{}` and white space; words (see [`is_words`]) without case."""
    text = "".join(_WRAPPED.sub(r"\1", tidied).split())
    return text.casefold() if is_words(tidied) else text


def is_words(tidied: str) -> bool:
    """Whether an answer is words, not a formula: only letters, spaces, hyphens, apostrophes, and at least three."""
    text = _WRAPPED.sub(r"\1", tidied)
    return len(text) > 2 and all(c.isalpha() or c in " -'" for c in text) and text[0].isalpha()


def as_list(tidied: str) -> str:
    """With commas in place of "and" and "or"."""
    return _AND.sub(", ", tidied)


def is_number_list(tidied: str) -> bool:
    """Whether an answer is whole numbers separated by commas: `1,2`, and also `1,5`, which is not a decimal here."""
    return bool(_NUMBER_LIST.fullmatch(tidied))


def has_scale(tidied: str) -> bool:
    """Whether the answer contains a word such as "million", which is not a unit."""
    return bool(_SCALE.search(tidied))


def number(tidied: str) -> Number | None:
    """The answer as a plain number without its unit; `None` if it is anything else.

    Matched: `25`, `025`, `25.0`, `.5`, `1,000`, `1 000`, `1.5 \\times 10^3`, `2e-5`, `28\\%`, `28 percent`,
    `10 \\text{ cm}^2`, `64 square feet`. A unit is `\\text{...}` or, after a space, words of two letters or more,
    optionally with a power.

    Not matched: fractions, `1,5` (a list, not a decimal), `32, 34`, `5 million`, `3 pi`, `5x`, `10 m` (a single letter
    may be a variable), `2516_8`, and exponents beyond 1,000.
    """
    found = _NUMBER.match(tidied)
    if not found or not (found["whole"] or found["decimals"]) or len(found[0]) > MAX_FORMULA_CHARS:
        return None
    rest = tidied[found.end() :]
    percent = _PERCENT.match(rest)
    if percent:
        rest = rest[percent.end() :]
    if rest and not _is_unit(rest):
        return None
    digits = re.sub(r"\D", "", found["whole"] or "0")
    power = int((found["power"] or found["exponent"] or "0")[:9])
    if abs(power) > MAX_EXPONENT:
        return None
    value = Fraction(f"{digits}.{found['decimals'] or '0'}") * Fraction(10) ** power
    return Number(-value if found["sign"] == "-" else value, percent is not None)


def _is_unit(rest: str) -> bool:
    unit = _UNIT.match(rest)
    if not unit or not _UNIT_POWER.fullmatch(rest[unit.end() :]):
        return False
    words = (unit[1] or unit[2] or "").strip()
    return not (_SCALE.search(words) or _NO_UNIT.search(words))
