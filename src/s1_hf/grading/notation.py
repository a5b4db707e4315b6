"""Different ways to write the same answer: layout, characters, words, lists, plus-minus."""

from __future__ import annotations

import re
import unicodedata
from itertools import product

from s1_hf.grading import units

MAX_FORMULA_CHARS = 1_000  # longer ones are compared only as tidied text

_FULL_WIDTH = {code: code - 0xFEE0 for code in range(0xFF01, 0xFF5E)} | {0x3000: " ", 0xFF5E: " "}
_INVISIBLE = dict.fromkeys(
    [
        0xAD,
        0x61C,
        0xFEFF,
        *range(0x200B, 0x2010),
        *range(0x202A, 0x202F),
        *range(0x2060, 0x206A),
        *range(0xFE00, 0xFE10),
    ]
)
_PUNCTUATION = {"，": ", ", "、": ", ", "。": ". ", "\u00a0": " ", "．": ".", "﹕": ":", "﹐": ", "}
_READABLE = str.maketrans(_FULL_WIDTH | _INVISIBLE | {ord(a): b for a, b in _PUNCTUATION.items()})
_CHARACTERS = str.maketrans(
    {"−": "-", "–": "-", "‐": "-", "‑": "-", "×": r"\times ", "·": r"\cdot ", "⋅": r"\cdot ", "∙": r"\cdot "}
    | {"÷": r"\div ", "⁄": "/", "∕": "/", "∶": ":", "±": r"\pm ", "∓": r"\mp ", "√": r"\sqrt ", "π": r"\pi "}
    | {"∞": r"\infty ", "≤": r"\leq ", "≥": r"\geq ", "⩽": r"\leq ", "⩾": r"\geq ", "≠": r"\neq ", "≈": r"\approx "}
    | {
        "∪": r"\cup ",
        "∩": r"\cap ",
        "∈": r"\in ",
        "∅": r"\emptyset ",
        "ℝ": r"\mathbb{R}",
        "∨": r"\lor ",
        "∧": r"\land ",
    }
    | {"°": r"^\circ ", "\u00a0": " ", "\u202f": r"\,", "\u2009": r"\,", "~": " "}
)
_SCRIPTS = [
    (re.compile("[⁺⁻⁰¹²³⁴⁵⁶⁷⁸⁹]+"), "^{%s}", str.maketrans("⁺⁻⁰¹²³⁴⁵⁶⁷⁸⁹", "+-0123456789")),
    (re.compile("[₀₁₂₃₄₅₆₇₈₉]+"), "_{%s}", str.maketrans("₀₁₂₃₄₅₆₇₈₉", "0123456789")),
]
_VULGAR = re.compile("[¼½¾⅐-⅞]")
_TEXT = r"\\(?:text|textbf|textit|textrm|textnormal|mathrm|mathbf|mbox|operatorname)"
_LAYOUT = [
    (re.compile(r",\s?\\!\s?"), ","),  # 32,\! 349 is a number, 32, 349 is two
    (re.compile(r"(?<=\d)\s*\n\s*(?=[-+]?\d)"), ", "),  # numbers below each other are a list
    (re.compile(r"(?<=\d)\\,\s?(?=\d{3}(?!\d))"), ""),  # 10\,000
    (re.compile(r"^\s*\\?\$\s?(-?[\d,.]*\d)\s*$"), r"\1 \\text{ dollars}"),
    (re.compile(r"^\s*\$?\s*(-?[\d,.]*\d)\s?\^\s?(?:\\circ|\{\s?\\circ\s?\})\s?\$?\s*$"), r"\1 \\text{ degrees}"),
    (
        re.compile(r"\^\s?(?:\\circ|\{\s?\\circ\s?\})\s?(?:" + _TEXT + r"\{\s?([CFK])\s?\}|([CFK])(?![a-zA-Z]))"),
        r"\\text{ \1\2}",
    ),
    (re.compile(r"\\(?:left|right|displaystyle|[bB]igg?[lr]?)(?![a-zA-Z])|\\!"), ""),
    (re.compile(r"(?<!\\)\\(?:[,;: ]|q?quad(?![a-zA-Z]))"), " "),
    (re.compile(r"\\[dtc]frac(?![a-zA-Z])"), r"\\frac"),
    (re.compile(r"\\(frac|binom)\s?(\d)\s?(\d)"), r"\\\1{\2}{\3}"),
    (re.compile(r"\\?\$|(?<!\\)\\[()\[\]]"), ""),  # a dollar is a unit or the formula's own delimiter
    (re.compile(r"\{([,:])\}"), r"\1"),
    (re.compile(r"\s?\^\s?(?:\\circ(?![a-zA-Z])|\{\s?\\circ\s?\})|\\degree(?![a-zA-Z])"), ""),
    (re.compile(r"(?<=\d)\^?\{?\s?(?:\\(?:text|textrm|mathrm)\{)?(?:st|nd|rd|th)(?![a-zA-Z])\}{0,2}"), ""),  # 12th
    (
        re.compile(
            r"(?<=[\d}])\s?" + _TEXT + r"\{\s?([" + units.LETTERS + r"])\s?\}(?=\s?(?:\^\s?\{?\d\}?)?\s*\Z)", re.I
        ),
        r" \\text{ \1}",  # a unit of one letter, kept apart from a variable
    ),
    (re.compile(r"\\(?:text|textbf|textit|textrm|mathrm|mathbf|mbox)\{(?! [a-zA-Z]\})\s?([a-zA-Z])\s?\}"), r"\1"),
    (re.compile(r"\*\*"), "^"),  # from here on: as written in code
    (re.compile(r"(?<![\\a-zA-Z])(sqrt|pi|sin|cos|tan|log|ln|exp)(?![a-zA-Z])"), r"\\\1"),
    (re.compile(r"\\sqrt\s?\(([^()]*)\)"), r"\\sqrt{\1}"),
    (re.compile(r"\+\s?/\s?-|(?<![^\s=,(])\+-"), r"\\pm "),
    (re.compile(r"<=|\\(?:leqslant|leqq|le)(?![a-zA-Z])"), r"\\leq "),
    (re.compile(r">=|\\(?:geqslant|geqq|ge)(?![a-zA-Z])"), r"\\geq "),
    (re.compile(r"\\varnothing(?![a-zA-Z])|\\\{\s?\\\}"), r"\\emptyset"),
    (re.compile(r"\\(?:mathbb|mathbf)\s?(?:\{R\}|R(?![a-zA-Z]))(?!\s?[\^_])"), r"(-\\infty,\\infty)"),
    (re.compile(r"(?<![\d.,/^_{])(\d+) (\d+)/(\d+)(?![\d./])"), r"\1\\frac{\2}{\3}"),  # 3 1/2
    (re.compile(r"\s+"), " "),
]
_APPROXIMATELY = re.compile(
    r"(?:" + _TEXT + r"\{)?\s?(?:\\(?:approx|sim|simeq)(?![a-zA-Z])|(?:approximately|approx\.?|about|roughly|around)\s)"
    r"\s?\}?\s?(?=[-+\d\\.(])",
    re.IGNORECASE,
)
_MEANINGS = {
    **dict.fromkeys(
        ["allrealnumbers", "allreals", "allrealnumbersx", "allrealx", "thesetofallrealnumbers", r"-\infty<x<\infty"],
        r"(-\infty,\infty)",
    ),
    **dict.fromkeys(["theemptyset", "emptyset", "nosolution", "nosolutions", "norealsolutions"], r"\emptyset"),
}
_WRAPPED = re.compile(_TEXT + r"\{([^{}]*)\}")
_JOINT = re.compile(
    r"\s?(?:" + _TEXT + r"\{\s?,?\s?(?P<text>and|or)\s?\}|(?<![a-zA-Z\\])(?P<word>and|or)(?![a-zA-Z])"
    r"|\\(?P<sign>lor|land|vee|wedge)(?![a-zA-Z]))\s?"
)
_INEQUALITY = re.compile(r"<|>|\\(?:leq|geq|lt|gt|neq|ne)(?![a-zA-Z])")
_PLUS_MINUS = re.compile(r"\\(pm|mp)(?![a-zA-Z])")
_DIGITS_APART = re.compile(r"(?<![_^\d])\d+\.?\s+\d")
_DIGITS_WITH_SUBSCRIPT = re.compile(r"(?:[\d)]|\{\d+\})\s?_")
_RATIO_OF_THREE = re.compile(r":[^:=]*:")
_MODULUS = re.compile(r"(?<![a-zA-Z])p?mod(?![a-zA-Z])")
MAX_SIGNS = 4  # of plus-minus in one entry of a list


def readable(text: str) -> str:
    """`text` without invisible characters, and with full-width letters, digits and punctuation as in ASCII."""
    return text.translate(_READABLE)


def tidy(answer: str) -> str:
    """`answer` without what only changes its appearance: sizes, spaces, degree signs, ordinal endings, "about".

    A dollar sign before a plain number, and a degree sign after one, become units: `\\text{ dollars}`.
    """
    answer = readable(answer)
    for pattern, written, digits in _SCRIPTS:
        answer = pattern.sub(lambda found, w=written, d=digits: w % found[0].translate(d), answer)  # type: ignore[misc]
    answer = _VULGAR.sub(_fraction, answer).translate(_CHARACTERS)
    for layout, replacement in _LAYOUT:
        answer = layout.sub(replacement, answer)
    answer = answer.strip(" *`\"'").rstrip(".,;:").strip()
    answer = answer[_about(answer) :]
    return _MEANINGS.get(plain_text(answer), answer)


def plain_text(tidied: str) -> str:
    """For comparison as text: without `\\text{}` and white space, except between digits; words without case."""
    text = _WRAPPED.sub(r"\1", tidied)
    text = "".join(re.sub(r"(?<=[\d.])\s+(?=[\d.])", "\0", text).split()).replace("\0", " ")
    return text.casefold() if is_words(tidied) else text


def is_words(tidied: str) -> bool:
    """Whether an answer is words, not a formula: only letters, spaces, hyphens, apostrophes, and at least three."""
    text = _WRAPPED.sub(r"\1", tidied)
    return len(text) > 2 and all(c.isalpha() or c in " -'" for c in text) and text[0].isalpha()


def unreadable(tidied: str) -> str | None:
    """Why math-verify must not be asked about an answer, which it would misread; `None` if it may be."""
    if len(tidied) > MAX_FORMULA_CHARS:
        return f"longer than {MAX_FORMULA_CHARS:,} characters"
    if _DIGITS_APART.search(tidied):  # taken for one number, a sum, or a mixed number
        return "digits with white space between them"
    if _DIGITS_WITH_SUBSCRIPT.search(tidied):  # taken for the digits alone
        return "digits with a subscript"
    if _RATIO_OF_THREE.search(tidied):  # taken for a fraction of a fraction
        return "a ratio of three or more"
    if _MODULUS.search(tidied):  # taken for a product of letters
        return "a modulus"
    return None


def formula(tidied: str) -> str:
    """For math-verify: "and" and "or" as `\\land` and `\\lor` between inequalities, otherwise as commas; a
    plus-minus as the list of its values."""
    if _INEQUALITY.search(tidied):
        return _JOINT.sub(lambda j: r" \land " if (j["text"] or j["word"] or j["sign"]) in _ALL else r" \lor ", tidied)
    listed = _JOINT.sub(", ", tidied)
    return _without_plus_minus(listed) if _PLUS_MINUS.search(listed) else listed


_ALL = ("and", "land", "wedge")


def _without_plus_minus(listed: str) -> str:
    """`x=1\\pm 2, 5` as `x=1+ 2, 1- 2, 5`: the entries of a list, or of a set, each with all of its signs."""
    before, equals, listed = listed.rpartition("=")
    inner = listed.strip().removeprefix(r"\{").removesuffix(r"\}")
    values = [value for entry in _entries(inner) for value in _values(entry)]
    return f"{before}{equals}{', '.join(values)}"  # as a list, which is a set


def _entries(listed: str) -> list[str]:
    """What stands between the commas that no bracket encloses."""
    entries, depth = [""], 0
    for character in listed:
        depth += (character in "([{") - (character in ")]}")
        if character == "," and depth == 0:
            entries.append("")
        else:
            entries[-1] += character
    return entries


def _values(entry: str) -> list[str]:
    """`1\\pm 2` as `1+ 2` and `1- 2`. Two plus-minus signs are independent; with a minus-plus, all change together."""
    signs = [found[1] for found in _PLUS_MINUS.finditer(entry)]
    if not signs or len(signs) > MAX_SIGNS:
        return [entry]
    together = [("+",) * len(signs), ("-",) * len(signs)]
    choices = together if "mp" in signs else list(product("+-", repeat=len(signs)))
    return [_with_signs(entry, signs, choice) for choice in choices]


def _with_signs(entry: str, signs: list[str], choice: tuple[str, ...]) -> str:
    """An entry with each plus-minus as chosen, and each minus-plus as its opposite."""
    for sign, chosen in zip(signs, choice, strict=True):
        written = {"+": "-", "-": "+"}[chosen] if sign == "mp" else chosen
        entry = _PLUS_MINUS.sub(written, entry, count=1)
    return entry.strip().removeprefix("+").strip()


def _about(answer: str) -> int:
    found = _APPROXIMATELY.match(answer)
    return found.end() if found else 0


def _fraction(found: re.Match[str]) -> str:
    over, under = unicodedata.normalize("NFKC", found[0]).split("\u2044")
    return rf"\frac{{{over}}}{{{under}}}"


def right_side(answer: str) -> str | None:
    """What stands behind the last `=` of an answer, if there is one."""
    _, equals, right = answer.rpartition("=")
    return right.strip() if equals and right.strip() else None
