"""Rows as others have them: under other names, as messages, or with thinking and answer in one text."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from s1_hf.forcing.families import FAMILIES
from s1_hf.records import parse

Row = Mapping[str, Any]

TRAINING = ("question", "thinking_trajectories", "attempt", "solution")
"""The columns that every dataset gets, whatever its own are called."""

FIELDS = (*TRAINING, "reply", "messages")
"""What a column can be named for: the columns of training, and two that hold several of them."""

FILLED = {
    "reply": ("thinking_trajectories", "attempt"),
    "messages": ("question", "thinking_trajectories", "attempt"),
}
"""What is read from a column that holds several."""

MESSAGES = ("messages", "conversations")
"""The columns that are read as messages unasked, in rows without a question."""

_PAIRS = (
    *dict.fromkeys((family.start, family.close) for family in FAMILIES.values()),
    *(("<thinking>", "</thinking>"), ("<reasoning>", "</reasoning>")),
)
_ANSWER_STARTS = {family.answer_start: "" for family in FAMILIES.values() if family.answer_start}
_ANSWER_STARTS |= {f"<{name}>": f"</{name}>" for name in ("answer", "response")}
_ANSWER_STARTS |= {"<|begin_of_solution|>": "<|end_of_solution|>"}  # what opens a whole answer -> what ends it
_OPENED_BY_PROMPT = "</think>"  # templates of R1 and QwQ write `<think>` themselves: replies begin behind it
_ROLES = {"user": "user", "human": "user", "assistant": "assistant", "gpt": "assistant", "model": "assistant"}
_THINKING = ("reasoning_content", "reasoning", "thinking")  # of a message that has them apart


def split_reply(text: str) -> tuple[str | None, str | None]:
    """Thinking and answer of a reply that holds both; without an end of thinking, one of them is `None`.

    A reply begins with what opens thinking in any family of models, or holds `</think>`, whose opening is often part of
    the prompt. What stands around the whole answer, such as `<answer>`, is taken off.

    Example:

    ```python
    >>> from s1_hf.data.replies import split_reply
    >>> split_reply("<think>\\nHm.\\n</think>\\n\\nIt is 2."), split_reply("Hm.</think>2"), split_reply("<think>Hm")
    (('Hm.', 'It is 2.'), ('Hm.', '2'), ('Hm', None))
    >>> split_reply("It is 2.")
    (None, 'It is 2.')

    ```
    """
    text = text.strip()
    for start, close in _PAIRS:
        if text.startswith(start):
            thinking, closed, answer = text.removeprefix(start).partition(close)
            return thinking.strip(), _bare(answer) if closed else None
    thinking, closed, answer = text.partition(_OPENED_BY_PROMPT)
    return (thinking.strip(), _bare(answer)) if closed else (None, text)


def holds_both(text: object) -> bool:
    """Whether this is a reply with thinking and answer."""
    return isinstance(text, str) and None not in split_reply(text)


def read_messages(messages: Any) -> tuple[str, str | None, str | None]:
    """Question, thinking and answer of a conversation of one question and one reply; its system message is left out.

    Messages have `role` and `content`, or `from` and `value`, as OpenThoughts has them. Thinking stands in the reply,
    see [`split_reply`], or beside it, as `reasoning_content`, `reasoning` or `thinking`.

    Raises:
        ValueError: it is no such conversation.
    """
    found = parse(messages, "it") if isinstance(messages, str) else messages  # in a csv file
    if not isinstance(found, list) or not all(isinstance(message, dict) for message in found):
        raise ValueError(f"has to be a list of messages, but is {messages!r:.60}")
    roles = [_role(message) for message in found]
    told = [message for message, role in zip(found, roles, strict=True) if role not in ("system", "developer")]
    if [_role(message) for message in told] != ["user", "assistant"]:
        said = ", ".join(roles[:4]) + (f" and {len(roles) - 4} more" if len(roles) > 4 else "")
        raise ValueError(f"has to be one question of a user and one reply, but is {said or 'empty':.120}")
    question, reply = (_content(message) for message in told)
    apart = next((text for name in _THINKING if isinstance(text := told[1].get(name), str) and text.strip()), None)
    return (question, apart.strip(), reply.strip()) if apart else (question, *split_reply(reply))


def training_row(row: Row, columns: Mapping[str, str]) -> Row:
    """The row with the columns of training under their names.

    Args:
        columns (`Mapping[str, str]`): one of [`FIELDS`] -> the row's name for it. In a row without a question, messages
            are read unasked.

    Raises:
        ValueError: a column has the wrong type.
    """
    columns = with_messages(columns, row)
    if not columns:
        return row
    moved = {*columns.values()} & {*TRAINING}
    found = {name: value for name, value in row.items() if name not in moved}
    found |= {name: row[own] for name, own in columns.items() if name not in FILLED and own in row}
    for name in FILLED:
        own = columns.get(name)
        if own is None or own not in row:
            continue
        try:
            found |= _read(name, row[own])
        except ValueError as error:
            raise ValueError(f"`{own}` {error}") from None
    return found


def with_messages(columns: Mapping[str, str], names: Collection[str]) -> dict[str, str]:
    """These columns, and the one of messages, if there is one, and nothing that it would be read for."""
    told = next((name for name in MESSAGES if name in names), None)
    asked = not columns.keys().isdisjoint((*FILLED, *FILLED["messages"]))
    return dict(columns) if told is None or asked or "question" in names else {**columns, "messages": told}


def seen_in(row: Row) -> str:
    """Which column of this row could be read for its thinking and answer, as an offer in words; or nothing."""
    both = next((name for name, value in row.items() if holds_both(value)), None)
    if both is not None:
        return f"{both!r} holds thinking and answer in one text: named as `reply` in `columns`, it is taken apart."
    told = next((name for name in MESSAGES if name in row), None)
    return f"Named as `messages` in `columns`, {told!r} is read." if told else ""


def sources(columns: Mapping[str, str]) -> dict[str, str]:
    """The columns of training -> where they are read from; a column that holds several stands for each of them."""
    found = {name: name for name in TRAINING}
    for name, own in columns.items():
        found |= dict.fromkeys(FILLED.get(name, (name,)), own)
    return found


def check_columns(columns: Mapping[str, str]) -> None:
    """Refuse names of columns that are unknown, or that fill one field twice.

    Raises:
        ValueError: they are.
    """
    faults = []
    unknown = [name for name in columns if name not in FIELDS]
    if unknown:
        faults.append(f"`columns` has to name some of {', '.join(FIELDS)}, but names {', '.join(map(str, unknown))}.")
    for name, filled in FILLED.items():
        both = [other for other in (*filled, "reply") if name in columns and other in columns and other != name]
        if both:
            faults.append(f"`columns.{name}` also holds {', '.join(both)}: leave out one of them.")
    if faults:
        raise ValueError("\n".join(faults))


def _read(field: str, value: Any) -> dict[str, Any]:
    """What is in a column that holds several fields."""
    if field == "messages":
        question, thinking, attempt = read_messages(value)
        return {"question": question, **_fields(thinking, attempt)}
    if isinstance(value, list) and len(value) == 1:
        value = value[0]
    if value is not None and not isinstance(value, str):
        raise ValueError(f"has to be a text with thinking and answer, but is {value!r:.60}")
    return _fields(*(split_reply(value) if value is not None else (None, None)))


def _fields(thinking: str | None, attempt: str | None) -> dict[str, Any]:
    return {"thinking_trajectories": None if thinking is None else [thinking], "attempt": attempt}


def _bare(answer: str) -> str:
    answer = answer.strip()
    for begin, end in _ANSWER_STARTS.items():
        if answer.startswith(begin) and answer.endswith(end):
            return answer.removeprefix(begin).removesuffix(end).strip()
    return answer


def _role(message: dict[str, Any]) -> str:
    role = message.get("role", message.get("from"))
    return _ROLES.get(role, role) if isinstance(role, str) else "nobody"


def _content(message: dict[str, Any]) -> str:
    content = message.get("content", message.get("value"))
    if isinstance(content, list):  # of parts
        content = "".join(part.get("text") or "" for part in content if isinstance(part, dict))
    if not isinstance(content, str):
        raise ValueError(f"has to have texts as contents, but has {content!r:.60}")
    return content
