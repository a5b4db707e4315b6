"""The final answer within an answer part."""

from __future__ import annotations

import contextlib
import html
import re
from collections.abc import Iterator
from typing import Literal, NamedTuple

from s1_hf.grading.notation import readable
from s1_hf.records import parse

AnswerKind = Literal["math", "choice"]
Method = Literal["boxed", "field", "answer_line", "phrase", "whole", "none"]

MAX_ANSWER_CHARS = 100_000  # only the end of a longer answer part is read, so that none takes long
MAX_LINE_CHARS = 1_000  # of an answer outside a box
MAX_GAP_CHARS = 60  # between two boxes of one list

# Every repetition below is bounded or of single characters, so that each search is linear in the text.
_BRACES = re.compile(r"\\{1,4}(?:boxed|fbox)(?![a-zA-Z])\s{0,9}(\{?)|\\.|[{}]", re.DOTALL)

# "answer" as it stands before a colon, under a heading, or before "is". Where a row has a third text, it is "is".
_WORDS: list[tuple[str, str, str]] = [
    (
        "English",
        r"(?:final[\s*_]{1,9}|correct[\s*_]{1,9}|the[\s*_]{1,9}){0,3}answer|^ans|(?<=\*)ans",
        r"answer(?:\s{1,9}to\s{1,9}(?:the|this|our)\s{1,9}(?:question|problem))?\s{1,9}is(?:\s{1,9}(?:therefore|thus|then|hence))?\b",
    ),
    ("French", r"réponse(?:\s{1,9}finale)?", r"réponse(?:\s{1,9}(?:finale|correcte))?\s{1,9}est\b"),
    ("Spanish", r"respuesta(?:\s{1,9}final)?", r"respuesta(?:\s{1,9}(?:final|correcta))?\s{1,9}es\b"),
    ("Portuguese", r"resposta(?:\s{1,9}final)?", r"resposta(?:\s{1,9}(?:final|correta))?\s{1,9}é(?!\w)"),
    ("Italian", r"risposta(?:\s{1,9}finale)?", r"risposta(?:\s{1,9}(?:finale|corretta))?\s{1,9}è(?!\w)"),
    ("German", r"(?:end)?antwort|(?:end)?ergebnis", r"antwort\s{1,9}(?:ist|lautet)\b"),
    ("Dutch", r"antwoord", r"antwoord\s{1,9}is\b"),
    ("Polish", r"odpowiedź", r"odpowiedź\s{1,9}to\b"),
    ("Russian", r"(?:итоговый\s{1,9})?ответ", r"ответ\s{0,9}[—–-]"),
    ("Turkish", r"cevap|yanıt", ""),
    ("Vietnamese", r"đáp\s{1,9}án", r"đáp\s{1,9}án\s{1,9}là(?!\w)"),
    ("Indonesian", r"jawaban(?:\s{1,9}akhir)?", r"jawaban(?:nya)?\s{1,9}adalah\b"),
    ("Arabic", r"(?:الإجابة|الجواب)(?:\s{1,9}النهائية?)?", ""),
    ("Hindi", r"(?:अंतिम\s{1,9})?उत्तर", ""),
    ("Chinese", r"最?[终終]?答案|答(?=\s{0,3}:)", r"答案(?:是|为|為|选|選)"),
    ("Japanese", r"(?:最終)?(?:答え|解答|回答)|正解", r"答えは"),
    ("Korean", r"(?:최종\s{0,9})?(?:정답|답)", r"(?:정답|답)은"),
]
_NO_SPACES = ("Chinese", "Japanese", "Korean")  # in which the word may stand right behind another


def _any_of(column: int) -> str:
    """One column of the table as a pattern, at the beginning of a word where words have spaces between them."""
    words = {row[0]: row[column] for row in _WORDS if row[column]}
    return "|".join(
        f"(?:{word})" if language in _NO_SPACES else rf"(?<![^\W_])(?:{word})" for language, word in words.items()
    )


_MARKER = re.compile(
    rf"(?:{_any_of(1)})[\s*_]{{0,9}}:"
    # a heading: a line of its own, with a mark of Markdown, or "Final Answer"
    r"|^####[ \t](?=[-\d$\\])"  # as in GSM8K
    r"|^[ \t]{0,3}(?:#{1,6}[ \t]{1,9})?(?:\*{2,3}|__)?[ \t]{0,3}"
    rf"(?:(?<=[#*_ \t])(?:{_any_of(1)})|(?:the[ \t])?final[ \t]answer)[ \t]{{0,3}}(?:\*{{2,3}}|__)?[ \t]{{0,9}}$",
    re.IGNORECASE | re.MULTILINE,
)
_TAG = re.compile(r"<(?:final_?)?answer>(.{1,1000}?)(?:</(?:final_?)?answer>|\Z)", re.DOTALL | re.IGNORECASE)
_JSON = re.compile(
    r"""["'](?:(?:final[ _]?|correct[ _]?)?answer(?:[ _]?(?:letter|choice))?|choice)["']\s{0,9}:\s{0,9}"""
    r"""(?:"((?:[^"\\\n]|\\.){1,1000})"|'((?:[^'\\\n]|\\.){1,1000})'|(-?[\d.]{1,100}))""",
    re.IGNORECASE,
)
_HTML_BLOCK = re.compile(
    r"</?(?:p|div|h[1-6]|li|ul|ol|br|hr|pre|section|table|tr)(?:\s[^<>]{0,200})?\s?/?>", re.IGNORECASE
)
_HTML_INLINE = re.compile(r"</?(?:b|i|u|strong|em|span|code|mark|font|td|th|a)(?:\s[^<>]{0,200})?\s?/?>", re.IGNORECASE)
_HTML_HEADING = re.compile(r"<h[1-6](?:\s[^<>]{0,200})?>", re.IGNORECASE)
_HTML_CLOSING = re.compile(
    r"<br\s?/?>|</(?:p|div|h[1-6]|li|b|i|u|strong|em|span|code|pre|mark|td|section)>", re.IGNORECASE
)
_JOINTS = {",", ";", "and", "or", ",and", ",or"}  # what joins two boxes into one list
_GAP_LAYOUT = re.compile(r"\\q?quad|\\text|\\[()\[\]]|[\s${}]")
_BLANK = re.compile(r"\s*")
_CUT_BOX = re.compile(r"\\(?:boxed|fbox)\s{0,9}\{")
_PHRASE = re.compile(rf"(?:{_any_of(2)})[\s:*]{{0,9}}", re.IGNORECASE)
_IS = re.compile(r"\b(?:is|are|equals)\s{1,9}(?=[$\\\d(.+-])")
_CHOICE_PHRASE = re.compile(
    rf"(?:{_any_of(2)}|(?<!\w)(?:option|choice)\s{{1,9}}is\b|[选選]择?(?=\s{{0,9}}[A-J(]))[\s:*]{{0,9}}", re.IGNORECASE
)
_BLOCK = re.compile(r"(\$\$|\\\[)(.{0,1000}?)(?:\$\$|\\\])", re.DOTALL)
_FORMULA = re.compile(r"\$([^$\n]{1,1000})\$|\\\((.{1,1000}?)\\\)")

_RULE = re.compile(r"\s{0,9}[-=*_]{3,}\s*")
_COPULA = re.compile(r"(?:です|입니다)\.?\Z")  # Japanese and Korean have it behind the answer
_FULL_STOP = re.compile(r"(?<!\\right)\.\Z")

# A choice: a letter with these in front, and behind it nothing else, what separates it, or a reason.
_LETTER = re.compile(
    r"(?:[\s*$(\[{'\"`]|\\\(|\\(?:text[a-z]{0,2}|math[a-z]{0,3}|operatorname|rm|bf|boxed)\b"
    r"|(?:option|choice|answer|la)\b:?|选项){0,20}"
    r"([A-Ja-j])",
    re.IGNORECASE,
)
_CLOSED = re.compile(r"(?:[\s*$)\]}.'\"`]|\\\)){0,20}\Z")
_SEPARATED = re.compile(
    r"\s{0,9}\Z|(?:[)\]}*\"`]|\\\))|[.,:;$'](?!\w)|\\(?:[ ,;:]|q?quad|text)|\s{1,9}[-–—(=]|\n|です|입니다"
)
_REASON = re.compile(
    r"\s{1,9}(?:because|since|as|due|given|for|which|"
    r"(?:is|was)\s{1,9}(?:the\s{1,9})?(?:correct|right|true|best|answer|most|only))\b"
)
_SEVERAL = re.compile(r"[)*\s]{0,5}(?:,|/|&|\band\b|\bor\b)[(*\s]{0,5}[A-J]\b(?!\s{1,9}[a-z])")
_NO_CHOICE = re.compile(r"I,\s{1,9}[a-z]|[E-J]\s{0,9}=")  # "I, for one", "F = ma"
_SCRIPT = re.compile(r"[)\]}*$]{0,5}[_^]")


def extract_answer(answer_text: str, kind: AnswerKind = "math") -> str | None:
    """The final answer in the part of an output after the thinking, or `None` if there is none.

    The first of these that gives an answer, in the order of s1's evaluation (its harness, tasks `aime`, `openai_math`
    and `gpqa`: https://github.com/simplescaling/s1), with the second added; docs/grading.md is the table of all forms:

    1. `"boxed"`: the last complete `\\boxed{...}` or `\\fbox{...}` that is not empty, the innermost if nested;
       `\\boxed 5` up to the end of the line or a `$`. Boxes with only a comma, "and" or "or" between them are one list;
    2. `"field"`: the last `<answer>...</answer>`, or `"answer"` of an object in JSON;
    3. `"answer_line"`: what follows the last `Answer:`, or heading `## Answer`, that anything follows (also `Final
       Answer:`, `**Answer:**`, a full-width colon; in any letter case, and in the languages of the table): the line,
       the next line if that one ends in a colon, or a `$$...$$` or `\\[...\\]` that begins there. In a sentence, what
       follows its "answer is", or the last "is" before a formula or a number;
    4. `"phrase"`: what follows the last "answer is": the formula if one begins there, otherwise the rest of the
       sentence. For a choice also "option is" and "choice is";
    5. `"whole"`: the whole text, if it is one line without `Answer:`.

    Lists, sentences and rules 2, 4 and 5 replace what the paper left to gpt-4o-mini. Surrounding space, `*`, quotes, a
    full stop, a formula's `$`, tags of HTML and invisible characters are removed. Not matched: an answer in other prose
    ("so we get 51 in all.") and a box that was cut off. Only the last 100,000 characters are read.

    A choice is one of the letters A to J, and a rule that gives no letter is skipped. Matched: `B`, `(B)`, `B)`,
    `**B**`, `B. Sodium`, `B: Sodium`, `B (Sodium)`, `\\text{B}`, `Option B`, `B because ...`, `B is correct`, and `b`
    on its own. Not matched: `A cat`, `I think`, `C_2`, `B and C`, `K`. **Where we differ**: s1's evaluation counts "no
    letter" as A.

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
    text = readable(_without_html(answer_text[-MAX_ANSWER_CHARS:]))
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
    if _SEVERAL.match(rest) or _SCRIPT.match(rest) or _NO_CHOICE.match(candidate, found.start(1)):
        return None
    alone = _CLOSED.match(rest)
    marked = found[1].isupper() and (_SEPARATED.match(rest) or _REASON.match(rest))
    return found[1].upper() if alone or marked else None


def _candidates(text: str, kind: AnswerKind) -> Iterator[tuple[Method, str]]:
    """Where an answer may be, best first."""
    box = _last_box(text)
    if box is not None:
        yield "boxed", box
    field = _last_field(text)
    if field is not None:
        yield from (("field", part) for part in _parts(field, kind))
    markers, end = list(_MARKER.finditer(text)), len(text)
    for marker in reversed(markers):
        tail = text[marker.end() : min(end, marker.end() + 3 * MAX_LINE_CHARS)].strip(" \t\r\n*_")
        if tail:
            yield from (("answer_line", part) for part in _parts(tail, kind))
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


def _last_field(text: str) -> str | None:
    """The content of the last `<answer>` tag or of the last `"answer"` of an object in JSON, whichever ends later."""
    tags, objects = list(_TAG.finditer(text)), list(_JSON.finditer(text))
    if not tags and not objects:
        return None
    last = max([*tags[-1:], *objects[-1:]], key=lambda found: found.end())
    content = last[1] or last[2] or last[3]
    if last.re is _JSON and last[1]:
        # A backslash of LaTeX, as in "\pi", is an error; that of "\frac" is decoded, but to a form feed.
        with contextlib.suppress(ValueError):
            decoded = str(parse(f'"{last[1]}"', "the answer"))
            content = decoded if decoded.isprintable() else content
    return content.strip() or None


def _parts(tail: str, kind: AnswerKind) -> Iterator[str]:
    """What an answer may be in a text that begins with its statement; of a choice also what follows "answer is"."""
    statement = _first_statement(tail)
    if kind == "math":
        yield _from_sentence(statement)
        return
    yield statement
    phrases = list(_CHOICE_PHRASE.finditer(statement))
    if phrases:
        yield statement[phrases[-1].end() :]


def _without_html(text: str) -> str:
    """Without the tags of HTML, if there is a closing one."""
    if not _HTML_CLOSING.search(text):
        return text
    return html.unescape(_HTML_INLINE.sub("", _HTML_BLOCK.sub("\n", _HTML_HEADING.sub("\n## ", text))))


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
    lines = [line for line in tail.split("\n") if line.strip() and not _RULE.fullmatch(line)] or [tail]
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
    answer = _FULL_STOP.sub("", _COPULA.sub("", answer.strip(" \t\r\n*`\"'"))).strip(" \t\r\n*`\"'")
    for opening, closing in (("$$", "$$"), ("$", "$"), (r"\(", r"\)"), (r"\[", r"\]")):
        inner = answer[len(opening) : -len(closing)]
        if answer.startswith(opening) and answer.endswith(closing) and inner and closing not in inner:
            return inner.strip().removesuffix(".")
    return answer
