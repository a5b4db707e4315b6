"""The answer part of an output text: what comes after the thinking."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from s1_hf.forcing.families import FAMILIES
from s1_hf.forcing.report import ENDED_NAMES, UNCLOSED, EndedName

if TYPE_CHECKING:
    from s1_hf.forcing.formats import ThinkingFormat


# What `skip_special_tokens=True` leaves of a format's delimiters, if anything: (opening, closing).
_REMAINS = {
    "s1": (re.compile(r"\A\s*think\n"), re.compile(r"^answer$", re.MULTILINE)),
    "harmony": (re.compile(r"\A\s*analysis"), re.compile(r"assistantfinal")),
}
_END_OF_TURN = re.compile(r"<[|｜][^|｜<>\s]{1,40}[|｜]>|</s>")


def split_thinking(
    text: str, format: ThinkingFormat | str | None = None, *, ended: EndedName | None = None
) -> tuple[str, str | None]:
    """The thinking and the answer part of what a model wrote; the answer is `None` if thinking was never closed.

    The answer begins after the *last* closing delimiter, as in s1's evaluation, and ends at the first end-of-turn
    token (`<|...|>` or `</s>`). It is the whole text if there is no sign of thinking.

    Recognised:

    - the delimiters as written: those of `format`, or without it those of every shipped format;
    - what is left of them when special tokens were skipped in decoding: for s1 a first line `think` and a line with
      only `answer`; for harmony a text that begins with `analysis`, and `assistantfinal`. Without `format` both are
      required to split the text; if the format is named, the closing one is enough.

    Not recognised: the delimiters of `magistral` and `seed` once skipped (nothing is left of them); a line `Answer` or
    `answer:`; and thinking that was opened in the *prompt* and never closed, which the text does not show: pass
    `ended="unfinished"` for that.

    Args:
        text (`str`): the generated text, without the prompt.
        format ([`ThinkingFormat`] or `str`, *optional*): the format, or the name of a shipped one.
        ended (`str`, *optional*): how thinking ended, as in [`Report`]. With `"unfinished"` and `"handed_over"` there
            is no answer, with `"never_started"` all is answer; otherwise there is an answer only if the closing
            delimiter is found.

    Raises:
        ValueError: `format` or `ended` is not a known name.

    Example:

    ```python
    >>> from s1_hf.grading import split_thinking
    >>> split_thinking("<think>1+1 is 2.</think>Answer: 2")
    ('1+1 is 2.', 'Answer: 2')
    >>> split_thinking("think\\n1+1 is 2.\\nanswer\\nAnswer: 2")
    ('1+1 is 2.', 'Answer: 2')
    >>> split_thinking("<think>1+1 is")
    ('1+1 is', None)

    ```
    """
    if ended is not None and ended not in ENDED_NAMES:
        raise ValueError(f"`ended` has to be one of {', '.join(map(repr, ENDED_NAMES))}, but is {ended!r}.")
    name, delimiters = _delimiters(text, format)
    if ended == "never_started":
        return "", _until_end_of_turn(text)
    opens, closes = _spans(text, name, delimiters)
    begin = min(opens, default=(0, 0))[1]
    if ended in UNCLOSED or not closes:
        thought = opens or ended is not None
        return (text[begin:].strip(), None) if thought else ("", _until_end_of_turn(text))
    close = max(closes)
    if any(span > close for span in opens):  # opened again, and not closed
        return text[begin:].strip(), None
    return text[min(begin, close[0]) : close[0]].strip(), _until_end_of_turn(text[close[1] :])


def _delimiters(text: str, format: ThinkingFormat | str | None) -> tuple[str | None, tuple[str, str] | None]:
    """The name of the format and its delimiters, with `None` for what is unknown."""
    if format is None:
        found = [name for name, family in FAMILIES.items() if family.closing in text or family.start in text]
        format = max(found, key=lambda name: text.rfind(FAMILIES[name].closing), default=None)
        if format is None:
            return next((n for n, pair in _REMAINS.items() if all(p.search(text) for p in pair)), None), None
    if isinstance(format, str):
        if format not in FAMILIES:
            raise ValueError(f"`format` has to be one of {', '.join(map(repr, FAMILIES))}, but is {format!r}.")
        return format, (FAMILIES[format].start, _closing(text, FAMILIES[format].close, FAMILIES[format].closing))
    whole = format.close_text + format.answer_start_text
    return format.name, (format.start_text, _closing(text, format.close_text, whole))


def _closing(text: str, close: str, whole: str) -> str:
    """What ends thinking in `text`: the delimiter, with what opens the answer if that stands right behind it."""
    return whole if whole in text else close


def _spans(
    text: str, name: str | None, delimiters: tuple[str, str] | None
) -> tuple[list[tuple[int, int]], list[tuple[int, int]]]:
    """Where opening and closing delimiters are: as written, or else what is left of them."""
    patterns = [re.compile(re.escape(d)) for d in delimiters or ()]
    found = [[m.span() for m in pattern.finditer(text)] for pattern in patterns]
    if not any(found) and name in _REMAINS:
        found = [[m.span() for m in pattern.finditer(text)] for pattern in _REMAINS[name]]
    return (found[0], found[1]) if found else ([], [])


def _until_end_of_turn(text: str) -> str:
    end = _END_OF_TURN.search(text)
    return (text[: end.start()] if end else text).strip()
