"""The final answer within an answer part."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Literal, NamedTuple

AnswerKind = Literal["math", "choice"]
Method = Literal["boxed", "answer_line", "phrase", "whole", "none"]

MAX_ANSWER_CHARS = 100_000  # only the end of a longer answer part is read, so that none takes long
MAX_LINE_CHARS = 1_000  # of an answer outside a box
MAX_GAP_CHARS = 60  # between two boxes of one list

# Every repetition below is bounded or of single characters, so that each search is linear in the text.
_BRACES = re.compile(r"\\{1,4}(?:boxed|fbox)(?![a-zA-Z])\s{0,9}(\{?)|\\.|[{}]", re.DOTALL)
_MARKER = re.compile(r"\b(?:final[\s*_]{1,9})?answer[\s*_]{0,9}:", re.IGNORECASE)
_GAP_LAYOUT = re.compile(r"\\q?quad|\\text|\\[()\[\]]|[\s${}]")
_JOINTS = {",", ";", "and", "or", ",and", ",or"}  # what joins two boxes into one list
_BLANK = re.compile(r"\s*")
_CUT_BOX = re.compile(r"\\(?:boxed|fbox)\s{0,9}\{")
_PHRASE = re.compile(r"\banswer\s{1,9}is\b[\s:*]{0,9}", re.IGNORECASE)
_IS = re.compile(r"\b(?:is|are|equals)\s{1,9}(?=[$\\\d(.+-])")
_CHOICE_PHRASE = re.compile(r"\b(?:answer|option|choice)\s{1,9}is\b[\s:*]{0,9}", re.IGNORECASE)
_BLOCK = re.compile(r"(\$\$|\\\[)(.{0,1000}?)(?:\$\$|\\\])", re.DOTALL)
_FORMULA = re.compile(r"\$([^$\n]{1,1000})\$|\\\((.{1,1000}?)\\\)")

_FULL_STOP = re.compile(r"(?<!\\right)\.\Z")

_LETTER = re.compile(
    r"(?:[\s*$(\[{'\"`]|\\\(|\\(?:text|textbf|textrm|mathrm|mathbf)\b|(?:option|choice|answer)\b:?){0,20}"
    r"([A-Da-d])",
    re.IGNORECASE,
)
_CLOSED = re.compile(r"(?:[\s*$)\]}.'\"`]|\\\)){0,20}\Z")
_SEPARATED = re.compile(r"\s{0,9}\Z|(?:[)\]}*'\"`]|\\\))|[.,:;$](?!\w)|\s{1,9}[-–—(=]|\n")
_SEVERAL = re.compile(r"[)*\s]{0,5}(?:,|/|&|\band\b|\bor\b)[(*\s]{0,5}[A-D]\b")
_SCRIPT = re.compile(r"[)\]}*$]{0,5}[_^]")


def extract_answer(answer_text: str, kind: AnswerKind = "math") -> str | None:
    """The final answer in the part of an output after the thinking, or `None` if there is none.

    The first of these that gives an answer, in the order of s1's evaluation (its harness, tasks `aime`, `openai_math`
    and `gpqa`: https://github.com/simplescaling/s1):

    1. the last complete `\\boxed{...}` or `\\fbox{...}` that is not empty, the innermost if nested; `\\boxed 5` up to
       the end of the line or a `$`. Boxes with only a comma, "and" or "or" between them are one list;
    2. what follows the last `Answer:` that anything follows (also `Final Answer:`, `**Answer:**`; in any letter case):
       the line, the next line if that one ends in a colon, or a `$$...$$` or `\\[...\\]` that begins there.
       In a sentence, what follows its "answer is", or the last "is" before a formula or a number;
    3. what follows the last "answer is": the formula if one begins there, otherwise the rest of the sentence. For a
       choice also "option is" and "choice is";
    4. the whole text, if it is one line without `Answer:`.

    Lists, sentences and rules 3 and 4 replace what the paper left to gpt-4o-mini. Surrounding space, `*`, quotes, a
    full stop and a formula's `$` are removed. Not matched: an answer in other prose ("so we get 51 in all."), a
    heading without a colon, and a box that was cut off. Only the last 100,000 characters are read.

    A choice is one of the letters A to D, and a rule that gives no letter is skipped. Matched: `B`, `(B)`, `B)`,
    `**B**`, `B. Sodium`, `B: Sodium`, `B (Sodium)`, `\\text{B}`, `Option B`, and `b` on its own. Not matched: `A cat`,
    `B because`, `C_2`, `B and C`, `E`. **Where we differ**: s1's evaluation counts "no letter" as A.

    Raises:
        ValueError: `kind` is neither `"math"` nor `"choice"`.

    Example:

    ```python
    >>> from s1_hf.grading import extract_answer
    >>> extract_answer("Answer: 7. No, it is $\\\\boxed{\\\\frac{1}{2}}$.")
    '\\\\frac{1}{2}'
    >>> extract_answer("Final Answer: Final Answer: 51.")
    '51'
    >>> extract_answer("The answer is **(B)**, sodium.", kind="choice")
    'B'

    ```
    """
    return find_answer(answer_text, kind)[0]


def find_answer(answer_text: str, kind: AnswerKind) -> tuple[str | None, Method]:
    """The answer and the rule that found it."""
    check_kind(kind)
    text = answer_text[-MAX_ANSWER_CHARS:]
    for method, candidate in _candidates(text, kind):
        answer = letter(candidate) if kind == "choice" else _unwrapped(candidate)
        if answer and (method == "boxed" or not _CUT_BOX.search(answer)):
            return answer, method
    return None, "none"


def check_kind(kind: object) -> None:
    """Raise a `ValueError` unless `kind` is one that can be graded."""
    if kind not in ("math", "choice"):
        raise ValueError(f"`kind` has to be 'math' or 'choice', but is {kind!r}.")


def letter(candidate: str) -> str | None:
    """The choice that `candidate` begins with, as a capital; `None` if that is not a single letter on its own."""
    found = _LETTER.match(candidate)
    if not found:
        return None
    rest = candidate[found.end() :]
    if _SEVERAL.match(rest) or _SCRIPT.match(rest):
        return None
    alone = _CLOSED.match(rest)
    return found[1].upper() if alone or (found[1].isupper() and _SEPARATED.match(rest)) else None


def _candidates(text: str, kind: AnswerKind) -> Iterator[tuple[Method, str]]:
    """Where an answer may be, best first."""
    box = _last_box(text)
    if box is not None:
        yield "boxed", box
    markers, end = list(_MARKER.finditer(text)), len(text)
    for marker in reversed(markers):
        tail = text[marker.end() : min(end, marker.end() + 3 * MAX_LINE_CHARS)].strip(" \t\r\n*_")
        if tail:
            statement = _first_statement(tail)
            yield "answer_line", statement if kind == "choice" else _from_sentence(statement)
            break
        end = marker.start()
    phrases = list((_CHOICE_PHRASE if kind == "choice" else _PHRASE).finditer(text))
    if phrases:
        yield "phrase", _sentence(text[phrases[-1].end() : phrases[-1].end() + MAX_LINE_CHARS])
    whole = text.strip()
    if not markers and "\n" not in whole and len(whole) <= MAX_LINE_CHARS:
        yield "whole", whole


def _last_box(text: str) -> str | None:
    """The content of the last box, and of those that form a list with it."""
    boxes = sorted(_boxes(text), key=lambda box: box.begin)
    if not boxes:
        return None
    contents, current = [text[boxes[-1].begin : boxes[-1].stop]], boxes[-1]
    for box in reversed(boxes[:-1]):
        gap = text[box.end : current.start]
        if len(gap) > MAX_GAP_CHARS or _GAP_LAYOUT.sub("", gap) not in _JOINTS:
            break
        contents.append(text[box.begin : box.stop])
        current = box
    return ", ".join(dict.fromkeys(reversed(contents)))


class _Box(NamedTuple):
    start: int  # of the command
    begin: int  # of the content
    stop: int  # of the content
    end: int  # of the whole box


def _boxes(text: str) -> Iterator[_Box]:
    """All boxes that are closed and not empty; escaped braces do not count."""
    open_braces: list[re.Match[str]] = []
    for token in _BRACES.finditer(text):
        if token[0] == "{" or token[1] == "{":
            open_braces.append(token)
        elif token[0] == "}":
            opening = open_braces.pop() if open_braces else None
            if opening and opening[1] and not _BLANK.fullmatch(text, opening.end(), token.start()):
                yield _Box(opening.start(), opening.end(), token.start(), token.end())
        elif token[1] == "":  # no braces: up to a dollar sign or the end of the line
            line = re.split(r"[$\n]", text[token.end() : token.end() + MAX_LINE_CHARS], maxsplit=1)[0]
            if line.strip():
                yield _Box(token.start(), token.end(), token.end() + len(line), token.end() + len(line))


def _first_statement(tail: str) -> str:
    block = _BLOCK.match(tail)
    if block:
        return block[2]
    lines = [line for line in tail.split("\n") if line.strip()]
    line = lines[1] if len(lines) > 1 and lines[0].rstrip().endswith(":") else lines[0]
    return line[:MAX_LINE_CHARS]


def _from_sentence(line: str) -> str:
    """`51` from "The final answer is $51$. I hope it is correct." or "The area is 51."; else the line itself."""
    phrases = list(_PHRASE.finditer(line)) or list(_IS.finditer(line))
    return _sentence(line[phrases[-1].end() :]) if phrases else line


def _sentence(tail: str) -> str:
    formula = _FORMULA.match(tail)
    return (formula[1] or formula[2]) if formula else re.split(r"\.(?:\s|\Z)|\n", tail, maxsplit=1)[0]


def _unwrapped(answer: str) -> str:
    """Without surrounding space, emphasis, quotes and full stop, and without a formula's delimiters."""
    answer = _FULL_STOP.sub("", answer.strip(" \t\r\n*`\"'")).strip(" \t\r\n*`\"'")
    for opening, closing in (("$$", "$$"), ("$", "$"), (r"\(", r"\)"), (r"\[", r"\]")):
        inner = answer[len(opening) : -len(closing)]
        if answer.startswith(opening) and answer.endswith(closing) and inner and closing not in inner:
            return inner.strip().removesuffix(".")
    return answer
