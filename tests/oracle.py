"""The slow, obvious reference: one row, no cache, stop and prompt again on token ids, straight from the contract.

It shares no code with the package: delimiters are found by looking at the whole row again at every step.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import torch


@dataclass
class Delimiters:
    """The contract's words for one format, from the outside: ids and texts."""

    start: list[int]
    close: list[int]
    ends: list[int]
    turn: list[int]
    eos: list[int]
    force_start: bool
    texts: list[str]  # of every id
    plain: bool = False
    start_text: str = ""
    close_text: str = ""
    first_special: bool = True


@dataclass
class Row:
    ids: list[int]
    prompt_length: int
    forced: list[bool] = field(default_factory=list)
    thinking_tokens: int = 0
    ended: str = "never_started"
    ends_ignored: int = 0
    used: int = 0
    waited: bool = False  # the last token completed a Wait
    answer_from: int = -1  # index at which the answer begins, if it does

    def answer_tokens(self, eos: list[int]) -> int:
        own = self.ids[max(self.answer_from, self.prompt_length) :] if self.answer_from >= 0 else []
        return len([t for t in own if t not in eos])

    @property
    def new(self) -> list[int]:
        return self.ids[self.prompt_length :]


def find_last(ids: Sequence[int], part: Sequence[int], end: int | None = None) -> int:
    end = len(ids) if end is None else end
    for i in range(end - len(part), -1, -1):
        if list(ids[i : i + len(part)]) == list(part):
            return i
    return -1


def last_turn(ids: list[int], d: Delimiters) -> int:
    """Index behind the header of the last assistant turn; a header inside a closing delimiter opens no turn."""
    if not d.turn:
        return 0
    at = len(ids)
    while (at := find_last(ids, d.turn, at + len(d.turn) - 1 if at < len(ids) else None)) >= 0:
        inside = any(
            ids[at - k : at - k + len(d.close)] == d.close
            for k in range(1, len(d.close))
            if at >= k and k + len(d.turn) <= len(d.close)
        )
        if not inside:
            return at + len(d.turn)
    return 0


def text_of(ids: Sequence[int], d: Delimiters) -> str:
    return "".join(d.texts[i] for i in ids)


def delimiter_tokens(ids: list[int], text: str, d: Delimiters) -> int:
    """How many of the last tokens of `ids` lie wholly inside the last occurrence of `text` (or begin in it)."""
    whole = text_of(ids, d)
    begin = whole.rindex(text)
    count, at = 0, len(whole)
    for i in reversed(ids):
        at -= len(d.texts[i])
        if at < begin:
            break
        count += 1
    return count


def begun(ids: list[int], text: str, d: Delimiters) -> str:
    """The longest beginning of `text` with which `ids` end."""
    whole = text_of(ids, d)
    return next(text[:k] for k in range(min(len(text) - 1, len(whole)), -1, -1) if whole.endswith(text[:k]))


def stop_and_reprompt(
    logits: Callable[[list[int]], torch.Tensor],
    prompt: list[int],
    d: Delimiters,
    encode: Callable[[str], list[int]],
    *,
    max_new_tokens: int,
    cap: float = float("inf"),
    least: int = 0,
    ignores: int = 0,
    waits: Sequence[str] = ("Wait",),
    prefix: str | None = "Final Answer:",
    message: str | None = None,
    window: int = 0,
    sentence: bool = False,
    choose: Callable[[torch.Tensor], int] = lambda scores: int(scores.argmax()),
) -> Row:
    row = Row(list(prompt), len(prompt))
    full = lambda: len(row.new) >= max_new_tokens  # noqa: E731

    def emit(token: int, forced: bool) -> None:
        if not full():
            row.ids.append(token)
            row.forced.append(forced)

    def scores(banned: Sequence[int] = ()) -> torch.Tensor:
        result = logits(row.ids).clone()
        result[len(d.texts) :] = -torch.inf
        for i, text in enumerate(d.texts):
            if text is None:
                result[i] = -torch.inf
        result[list(banned)] = -torch.inf
        return result

    where = last_turn(row.ids, d)
    state = "before"
    # What the prompt's own turn has done so far.
    for i in range(where, len(prompt)):
        seen = row.ids[where : i + 1]
        if row.ids[i] in d.eos and state != "closed":
            state = "before"
            where = len(prompt)
            break
        if state == "before" and closes_here(seen, d.start, d.start_text, d):
            state, opened = "thinking", i + 1
            row.thinking_tokens, row.ended = 0, "unfinished"
        elif state == "thinking":
            blank = row.thinking_tokens == 0 and d.texts[row.ids[i]].strip() == "" and d.texts[row.ids[i]] != ""
            row.thinking_tokens += 0 if blank else 1
            if closes_here(row.ids[opened : i + 1], d.close, d.close_text, d):
                state = "closed"
                row.thinking_tokens, row.ended = 0, "never_started"
                row.answer_from = i + 1
    if state == "before" and d.force_start:
        have = next(
            k for k in range(len(d.start) - 1, -1, -1) if row.ids[max(where, len(row.ids) - k) :] == d.start[:k]
        )
        for token in d.start[have:]:
            emit(token, True)
        if full() and row.new[-len(d.start[have:]) :] != d.start[have:]:
            return row
        state, row.ended = "thinking", "unfinished"
        opened = len(row.ids)
    if state == "thinking" and not d.plain and len(d.close) > 1 and where < len(prompt):
        have = next(k for k in range(len(d.close) - 1, -1, -1) if row.ids[len(row.ids) - k :] == d.close[:k])
        if have and len(row.ids) - have >= opened:
            row.thinking_tokens -= have
            row.ended = "natural"
            for token in d.close[have:]:
                emit(token, True)
            state = "closed"
            row.answer_from = len(prompt) + len(d.close) - have
    if state == "before":
        row.answer_from = len(prompt)

    while not full():
        if state == "before":
            token = choose(scores())
            emit(token, False)
            if token in d.eos:
                return row
            if closes_here(row.ids[where:], d.start, d.start_text, d):
                state, opened = "thinking", len(row.ids)
                row.ended, row.answer_from = "unfinished", -1
        elif state == "thinking":
            stop_message = encode(message) if message is not None else []
            stop_at = cap - len(stop_message)
            soft = (
                stop_at - window < row.thinking_tokens < stop_at
                and row.thinking_tokens >= max(least, 1)
                and ends_softly(d.texts[row.ids[-1]], sentence)
            )
            if soft or row.thinking_tokens == stop_at or row.thinking_tokens >= cap:
                row.ended = "cut"
                if row.thinking_tokens <= stop_at and not (d.plain and begun(row.ids[opened:], d.close_text, d)):
                    before = len(row.ids)
                    for token in stop_message:
                        emit(token, True)
                    row.thinking_tokens += len(row.ids) - before
                close(row, d, encode, emit, opened)
                for token in encode("\n" + prefix) if prefix is not None else []:
                    emit(token, True)
                state = "closed"
                continue
            banned = d.ends if row.waited else []
            token = choose(scores(banned))
            row.waited = False
            if token not in d.ends:
                emit(token, False)
                row.thinking_tokens += 1
                if d.plain and closes_here(row.ids[opened:], d.close, d.close_text, d):
                    row.thinking_tokens -= delimiter_tokens(row.ids[opened:], d.close_text, d)
                    row.ended, state, row.answer_from = "natural", "closed", len(row.ids)
                continue
            wait = encode(waits[row.ends_ignored % len(waits)]) if waits else []
            room = row.thinking_tokens + len(wait) < stop_at
            early = row.thinking_tokens < least
            if early or (row.used < ignores and room):
                row.ends_ignored += 1
                row.used += 0 if early else 1
                if wait and room:
                    before = len(row.ids)
                    for t in wait:
                        emit(t, True)
                    row.thinking_tokens += len(row.ids) - before
                    row.waited = True
                else:
                    emit(choose(scores([*banned, *d.ends])), False)
                    row.thinking_tokens += 1
                continue
            row.ended = "natural"
            close(row, d, encode, emit, opened, newline=False)
            state = "closed"
        else:
            if d.plain:
                banned = [i for i, t in enumerate(d.texts) if t and completes(row.ids[where:], i, d)]
            else:
                banned = [i for i in (d.start[0], d.close[0]) if i not in d.eos]
            token = choose(scores(banned))
            emit(token, False)
            if token in d.eos:
                return row
    return row


def closes_here(ids: list[int], delimiter: list[int], text: str, d: Delimiters) -> bool:
    """Whether the last token of `ids` completes the delimiter."""
    if not d.plain:
        return ids[len(ids) - len(delimiter) :] == delimiter and len(ids) >= len(delimiter)
    return text in text_of(ids, d) and text not in text_of(ids[:-1], d)


def ends_softly(text: str, sentence: bool) -> bool:
    """Whether a line, or a sentence, ends with a token of this text."""
    if text[-1:] == "\n":
        return True
    text = text.strip()
    while text and text[-1] in "\"')]}»”’":
        text = text[:-1]
    return sentence and text[-1:] in set(".!?…。！？")


def completes(ids: list[int], token: int, d: Delimiters) -> bool:
    before = text_of(ids[-12:], d)  # the delimiters have fewer letters than that
    return any((before + d.texts[token]).count(t) > before.count(t) for t in (d.start_text, d.close_text))


def close(row: Row, d: Delimiters, encode, emit, opened: int, newline: bool = True) -> None:
    """Force the closing delimiter, going on where the model has begun it."""
    if d.plain and (have := begun(row.ids[opened:], d.close_text, d)):
        row.thinking_tokens -= delimiter_tokens(row.ids[opened:], have, d)
        tokens = encode(d.close_text[len(have) :])
    else:
        tokens = d.close
        if newline and not d.texts[row.ids[-1]].endswith("\n"):
            tokens = [*encode("\n"), *tokens]
    row.answer_from = len(row.ids) + len(tokens)
    for token in tokens:
        emit(token, True)
