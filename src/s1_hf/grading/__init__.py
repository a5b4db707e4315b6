"""Grading without a paid API: rules grade the answer after the thinking; an optional judge settles what they cannot.

Nothing that a model writes is ever executed, and no answer takes more than a few seconds: see [`is_equal`].
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from s1_hf.forcing.report import UNCLOSED, EndedName
from s1_hf.grading.equality import Comparison, SettledBy, checked_gold, compare, is_equal
from s1_hf.grading.extraction import AnswerKind, Method, extract_answer, find_answer
from s1_hf.grading.judge import Judge
from s1_hf.grading.notation import right_side
from s1_hf.grading.splitting import split_thinking
from s1_hf.grading.voting import group_equivalent

if TYPE_CHECKING:
    from s1_hf.forcing.formats import ThinkingFormat
    from s1_hf.generation.chats import Completion

__all__ = ["Grade", "Judge", "extract_answer", "grade", "group_equivalent", "is_equal", "split_thinking"]


@dataclass(frozen=True)
class Grade:
    """Whether an output is right, and why.

    Args:
        correct (`bool`): also `False` if there is no answer, or nothing could settle it.
        extracted (`str`, *optional*): the answer as found; for a choice its letter.
        method (`str`): where it was found: `"boxed"`, `"field"`, `"answer_line"`, `"phrase"`, `"whole"`, or `"none"`
            (see [`extract_answer`]).
        settled_by (`str`): what decided: `"text"`, `"number"` (also a base, a time, cycles) or `"math_verify"` (see
            [`is_equal`]), `"letter"`, `"judge"`, or `"none"`.
        reason (`str`): in words.
    """

    correct: bool
    extracted: str | None
    method: Method
    settled_by: SettledBy
    reason: str


def grade(
    output: str | Completion,
    gold: str | int,
    kind: AnswerKind = "math",
    *,
    format: ThinkingFormat | str | None = None,
    ended: EndedName | None = None,
    grade_thinking: bool = False,
    judge: Judge | None = None,
    question: str | None = None,
) -> Grade:
    """Grade one output: take the part after the thinking ([`split_thinking`]), find the final answer in it
    ([`extract_answer`]), and compare that with `gold` ([`is_equal`]). An equation also answers a question for its right
    side: `(x+y)^2=81` is right where `gold` is 81.

    Thinking that never closed gives no answer, whatever it contains.

    The judge is asked only about an answer that the rules do not settle: they cannot find it, or they do not find it
    equal and it is not a case of two plain numbers, times, bases or letters. Its verdict then counts.

    Args:
        output (`str` or [`Completion`]): the generated text, or a result of [`generate`].
        gold (`str` or `int`): only the right answer, for a choice its letter (from a worked solution, take
            `extract_answer(solution)`).
        kind (`str`): `"math"` or `"choice"`.
        format, ended (*optional*): for a text, as in [`split_thinking`].
        grade_thinking (`bool`, defaults to `False`): if thinking never closed, grade the thinking itself.
        judge ([`Judge`], *optional*): none by default.
        question (`str`, *optional*): shown to the judge, which requires it; for a choice, with its options.

    Raises:
        ValueError: an argument is unknown or empty; `format` or `ended` is given with a `Completion`, which has its
            own; or `judge` is given without `question`.
        ModuleNotFoundError: math-verify is needed and not installed.
        RuntimeError: the judge's endpoint fails.

    Example:

    ```python
    >>> from s1_hf.grading import grade
    >>> grade("<think>Is it 24?</think>It is \\\\boxed{025}.", gold=25)
    Grade(correct=True, extracted='025', method='boxed', settled_by='number', reason='the same number')
    >>> grade("<think>So it is \\\\boxed{25}, but", gold="25").reason
    'no answer: thinking never closed'

    ```
    """
    gold = checked_gold(gold, kind)
    if judge is not None and not question:
        raise ValueError("`question` has to be given with a `judge`, which is shown it, but is missing.")
    thinking, answer = _parts(output, format, ended)
    if answer is None and grade_thinking:
        answer = thinking
    if not answer:
        reason = "no answer: thinking never closed" if answer is None else "no answer: nothing after the thinking"
        return Grade(False, None, "none", "none", reason)
    extracted, method = find_answer(answer, kind)
    found = _compared(gold, extracted, kind)
    if found.equal is None and judge is not None and question:
        found = _judged(judge(question, gold, extracted or answer), judge)
    return Grade(found.equal is True, extracted, method, found.by, found.reason)


def _parts(
    output: str | Completion, format: ThinkingFormat | str | None, ended: EndedName | None
) -> tuple[str, str | None]:
    if isinstance(output, str):
        return split_thinking(output, format, ended=ended)
    if format is not None or ended is not None:
        raise ValueError("`format` and `ended` have to be left out with a Completion, which has its own.")
    return output.thinking, None if output.report.ended in UNCLOSED else output.answer


def _compared(gold: str, extracted: str | None, kind: AnswerKind) -> Comparison:
    if extracted is None:
        return Comparison(None, "none", "no answer found by the rules")
    found = compare(gold, extracted, kind)
    value = right_side(extracted) if kind == "math" and "=" not in gold else None
    if found.equal is None and value is not None:  # (x+y)^2 = 81 answers a question for 81
        by_value = compare(gold, value, kind)
        return by_value if by_value.equal else found
    return found


def _judged(verdict: bool | None, judge: Judge) -> Comparison:
    if verdict is None:
        return Comparison(None, "none", f"{judge.model} gave no verdict")
    return Comparison(verdict, "judge", f"{judge.model} says {'Yes' if verdict else 'No'}")
