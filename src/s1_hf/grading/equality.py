"""Whether two answers are the same."""

from __future__ import annotations

from typing import Literal, NamedTuple

from s1_hf.grading.extraction import AnswerKind, check_kind, letter
from s1_hf.grading.forms import Form, form
from s1_hf.grading.units import Unit
from s1_hf.grading.worker import verify

MAX_COMPARED_CHARS = 10_000  # longer answers are compared only verbatim

SettledBy = Literal["text", "number", "letter", "math_verify", "judge", "none"]


class Comparison(NamedTuple):
    """The outcome of a comparison; `equal` is `None` where the rules do not settle it."""

    equal: bool | None
    by: SettledBy
    reason: str


def is_equal(gold: str | int, answer: str, kind: AnswerKind = "math") -> bool:
    """Whether `answer` is the same as `gold`; also `False` if the rules cannot tell.

    Symmetric: the order of `gold` and `answer` makes no difference.

    For a choice: the same letter (see [`extract_answer`]). For mathematics, the first of these that applies:

    1. the same text, apart from layout (`\\left`, `\\,`, `\\text{}`, `$`, white space that is not between digits, a
       degree sign, `12^{th}`, full-width and invisible characters, "approximately"); words of three letters or more
       are compared only as text, ignoring case;
    2. a time of day that says a.m. or p.m., digits in a base (`4343_6`), products of cycles (`(1 2)(3 4)`). Where only
       one says a.m. or its base, the other has the benefit of the doubt;
    3. both are plain numbers: exactly the same value. `025` is 25, `1,000` is 1000, `1.5 \\times 10^3` is 1500, and
       `0.333` is not `0.3333`. Known units have to agree if both have one: `10\\text{ cm}` is 10 (benefit of the doubt,
       as in s1's prompt) and `0.1\\text{ m}`, not `10\\text{ kg}`. A percentage is both its number and its hundredths:
       `28\\%` is 28 and also 0.28;
    4. unsettled: a scale word such as "million" in one of them, which is not a unit; different units behind formulas;
       what math-verify misreads (digits with white space between them, a base within a formula, a modulus); more than
       1,000 characters;
    5. [math-verify](https://github.com/huggingface/Math-Verify) on both as LaTeX, its mistakes repaired (see
       `grading/symbolic.py`): symbolic equality; a decimal is within one in the sixth decimal place, and in the sixth
       digit, of what it stands for (`1/3` is `0.333333`, not `0.33333`). Sets and lists are unordered, tuples are
       ordered; `x=5` is 5; `\\pm 2` is `2,-2`; an inequality is its set, and "or" between inequalities is a union; an
       equation is any multiple of itself. It runs in its own process, which is stopped after five seconds, and executes
       no text.

    A comma separates thousands or the entries of a list; it is never a decimal comma.

    Raises:
        ValueError: `kind` is unknown, `gold` is empty, or, for a choice, not a letter from A to J.
        ModuleNotFoundError: rule 5 is needed and math-verify is not installed.

    Example:

    ```python
    >>> from s1_hf.grading import is_equal
    >>> is_equal("025", "25"), is_equal("\\\\frac{3}{2}", "1.5"), is_equal("1,2", "(2,1)")
    (True, True, False)
    >>> is_equal("B", "(B) 7", kind="choice")
    True

    ```
    """
    return compare(checked_gold(gold, kind), answer, kind).equal is True


def checked_gold(gold: str | int, kind: AnswerKind) -> str:
    """The right answer as text; raises a `ValueError` if there is none."""
    check_kind(kind)
    text = str(gold).strip()
    if not text or (kind == "choice" and letter(text) is None):
        needed = "a letter from A to J" if kind == "choice" else "an answer"
        raise ValueError(f"`gold` has to be {needed}, but is {gold!r}.")
    return text


def compare(gold: str, answer: str, kind: AnswerKind) -> Comparison:
    """What the rules of [`is_equal`] say."""
    if kind == "choice":
        first, second = letter(gold), letter(answer)
        return Comparison(first is not None and first == second, "letter", f"{second or 'no letter'} against {first}")
    if gold == answer:
        return Comparison(True, "text", "the same text")
    if max(len(gold), len(answer)) > MAX_COMPARED_CHARS:
        return Comparison(None, "none", f"longer than {MAX_COMPARED_CHARS:,} characters")
    one, other = form(gold), form(answer)
    return without_math_verify(one, other) or _by_math_verify(one, other)


def without_math_verify(first: Form, second: Form) -> Comparison | None:
    """What is settled by text, numbers and the like; `None` where math-verify has to be asked."""
    for rule in (_by_text, _by_clock, _by_base, _by_cycles, _by_number, _not_for_math_verify):
        found = rule(first, second)
        if found:
            return found
    return None


def _by_text(first: Form, second: Form) -> Comparison | None:
    if first.text == second.text:
        return Comparison(True, "text", "the same text")
    if first.words and second.words:
        return Comparison(None, "none", "different words")  # as products of letters, "tea" and "eat" would be equal
    return None


def _by_clock(first: Form, second: Form) -> Comparison | None:
    if not (first.half or second.half):
        return None
    if first.clock is None or second.clock is None:
        return Comparison(None, "none", "only one of them is a time of day")
    return _as_numbers(first.clock.equals(second.clock))


def _by_base(first: Form, second: Form) -> Comparison | None:
    if not (first.based or second.based):
        return None
    if first.based and second.based:
        return _as_numbers(first.based == second.based)
    based, bare = (first, second) if first.based else (second, first)
    if based.based and bare.text.upper().lstrip("0") == based.based.digits:  # as for a unit: the benefit of the doubt
        return Comparison(True, "number", "the same digits")
    return Comparison(None, "none", "only one of them says its base")


def _by_cycles(first: Form, second: Form) -> Comparison | None:
    return _as_numbers(first.cycles == second.cycles) if first.cycles and second.cycles else None


def _by_number(first: Form, second: Form) -> Comparison | None:
    one = first.number or (first.lettered if _unit(second) else None)
    other = second.number or (second.lettered if _unit(first) else None)
    if one and other:
        return _as_numbers(one.equals(other))
    if (first.number and second.number_list) or (second.number and first.number_list):
        return Comparison(None, "none", "a number against a list")  # math-verify 0.9 would read a decimal comma
    return None


def _not_for_math_verify(first: Form, second: Form) -> Comparison | None:
    if first.scale or second.scale:
        return Comparison(None, "none", "a word such as 'million' in one of them")
    units = [unit for unit in (first.unit or _unit(first), second.unit or _unit(second)) if unit]
    if len(units) == 2 and units[0] != units[1]:
        return Comparison(None, "none", "different units")
    reason = first.unreadable or second.unreadable
    return Comparison(None, "none", reason) if reason else None


def _unit(form: Form) -> Unit | None:
    return form.number.unit if form.number else None


def _as_numbers(equal: bool) -> Comparison:
    return Comparison(equal, "number", "the same number" if equal else "different numbers")


def _by_math_verify(first: Form, second: Form) -> Comparison:
    verdict = verify(first.formula, second.formula)
    if verdict == "equal":
        return Comparison(True, "math_verify", "equal by math-verify")
    reasons = {
        "different": "not equal by math-verify",
        "unparsed": "math-verify could not read one of them",
        "ended": "math-verify took too long or too much memory",
    }
    return Comparison(None, "none", reasons[verdict])
