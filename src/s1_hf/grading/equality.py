"""Whether two answers are the same."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, NamedTuple

from s1_hf.grading import notation
from s1_hf.grading.extraction import AnswerKind, check_kind, letter
from s1_hf.grading.worker import verify

SettledBy = Literal["text", "number", "letter", "math_verify", "judge", "none"]


class Comparison(NamedTuple):
    """The outcome of a comparison; `equal` is `None` where the rules do not settle it."""

    equal: bool | None
    by: SettledBy
    reason: str


def is_equal(gold: str | int, answer: str, kind: AnswerKind = "math") -> bool:
    """Whether `answer` is the same as `gold`; also `False` if the rules cannot tell.

    For a choice: the same letter (see [`extract_answer`]). For mathematics, the first of these that applies:

    1. the same text, apart from layout (`\\left`, `\\,`, `\\text{}`, `$`, white space, a degree sign, `12^{th}`);
       words of three letters or more are compared only as text, ignoring case;
    2. both are plain numbers: exactly the same value. `025` is 25, `1,000` is 1000, `1.5 \\times 10^3` is 1500, and
       `0.333` is not `0.3333`. Units are not compared: `10\\text{ cm}` is 10 (benefit of the doubt, as in s1's
       prompt). A percentage is both its number and its hundredths: `28\\%` is 28 and also 0.28;
    3. a scale word such as "million" in one of them: unsettled, since it is not a unit;
    4. longer than 1,000 characters: unsettled;
    5. [math-verify](https://github.com/huggingface/Math-Verify) on both as LaTeX: symbolic equality, and between a
       fraction and a decimal equality to six digits (`1/3` is `0.3333333`, not `0.333`). Sets and lists are unordered,
       tuples are ordered; `x=5` is 5; an interval is its inequality. It runs in its own process, which is stopped
       after five seconds, and executes no text.

    A comma separates thousands or the entries of a list; it is never a decimal comma.

    Raises:
        ValueError: `kind` is unknown, `gold` is empty, or, for a choice, not a letter from A to D.
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
        needed = "a letter from A to D" if kind == "choice" else "an answer"
        raise ValueError(f"`gold` has to be {needed}, but is {gold!r}.")
    return text


def compare(gold: str, answer: str, kind: AnswerKind) -> Comparison:
    """What the rules of [`is_equal`] say."""
    if kind == "choice":
        first, second = letter(gold), letter(answer)
        return Comparison(first is not None and first == second, "letter", f"{second or 'no letter'} against {first}")
    if gold == answer:
        return Comparison(True, "text", "the same text")
    if max(len(gold), len(answer)) > notation.MAX_TIDIED_CHARS:
        return Comparison(None, "none", f"longer than {notation.MAX_TIDIED_CHARS:,} characters")
    first, second = notation.tidy(gold), notation.tidy(answer)
    return _by_text(first, second) or _by_number(first, second) or _by_math_verify(first, second)


def group_equivalent(answers: Sequence[str | None], kind: AnswerKind = "math") -> list[list[int]]:
    """The indices of equal answers in groups, for a majority vote.

    An answer joins the first group whose *first member* it equals ([`is_equal`] with that member as `gold`), or else
    starts a new one. Equality to six decimals is not transitive, so groups may depend on the order of `answers`; the
    same order always gives the same groups. Groups are in order of their first members. `None` means no answer and is
    in no group.

    Example:

    ```python
    >>> from s1_hf.grading import group_equivalent
    >>> group_equivalent(["0.5", None, "7", "1/2", "07"])
    [[0, 3], [2, 4]]

    ```
    """
    check_kind(kind)
    groups: list[tuple[str, list[int]]] = []
    group_of: dict[str, list[int]] = {}  # so that the same text is compared only once
    for index, answer in enumerate(answers):
        if answer is None:
            continue
        if answer not in group_of:
            same = (members for first, members in groups if compare(first, answer, kind).equal)
            members = next(same, None)
            if members is None:
                groups.append((answer, members := []))
            group_of[answer] = members
        group_of[answer].append(index)
    return [members for _, members in groups]


def _by_text(gold: str, answer: str) -> Comparison | None:
    if notation.plain_text(gold) == notation.plain_text(answer):
        return Comparison(True, "text", "the same text")
    if notation.is_words(gold) and notation.is_words(answer):
        return Comparison(None, "none", "different words")  # as products of letters, "tea" and "eat" would be equal
    return None


def _by_number(gold: str, answer: str) -> Comparison | None:
    first, second = notation.number(gold), notation.number(answer)
    if first and second:
        equal = first.equals(second)
        return Comparison(equal, "number", "the same number" if equal else "different numbers")
    if (first and notation.is_number_list(answer)) or (second and notation.is_number_list(gold)):
        return Comparison(None, "none", "a number against a list")  # math-verify 0.9 would read a decimal comma
    if notation.has_scale(gold) or notation.has_scale(answer):
        return Comparison(None, "none", "a word such as 'million' in one of them")
    return None


def _by_math_verify(gold: str, answer: str) -> Comparison:
    if max(len(gold), len(answer)) > notation.MAX_FORMULA_CHARS:
        return Comparison(None, "none", f"longer than {notation.MAX_FORMULA_CHARS:,} characters")
    verdict = verify(notation.as_list(gold), notation.as_list(answer))
    if verdict == "equal":
        return Comparison(True, "math_verify", "equal by math-verify")
    reasons = {
        "different": "not equal by math-verify",
        "unparsed": "math-verify could not read one of them",
        "ended": "math-verify took too long or too much memory",
    }
    return Comparison(None, "none", reasons[verdict])
