"""The slow, obvious reference: one row, no cache, stop and prompt again on token ids, straight from the contract.

It shares no code with the rest of the package: delimiters are found by looking at the whole row again at every step.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

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
    texts: list[Any]  # of every id; None where there is no such token
    plain: bool = False
    whole: frozenset[int] = frozenset()  # ids that nothing but themselves can spell
    interleaved: bool = False
    answer_start: list[int] = field(default_factory=list)
    handovers: list[int] = field(default_factory=list)
    call_ends: list[int] = field(default_factory=list)
    results: list[tuple[list[int], list[int]]] = field(default_factory=list)  # what stands around a tool's result

    @cached_property
    def absent(self) -> list[int]:
        """Ids below the largest that are no token."""
        return [i for i, text in enumerate(self.texts) if text is None]

    @cached_property
    def completing(self) -> list[int]:
        """Tokens that could complete a delimiter: they begin with an end of one, or hold one whole."""
        found = []
        for i, text in enumerate(self.texts):
            own = "" if text is None else letters([i], self)
            for wanted in (letters(self.start, self), letters(self.close, self)):
                if wanted in own or any(own.startswith(wanted[k:]) for k in range(len(wanted))):
                    found.append(i)
                    break
        return found


@dataclass
class Row:
    """A row, and what has become of it so far."""

    ids: list[int]
    prompt_length: int
    forced: list[bool] = field(default_factory=list)
    thinking_tokens: int = 0
    ended: str = "never_started"
    ends_ignored: int = 0
    used: int = 0
    waited: bool = False  # the last token completed a Wait
    answer_from: int = -1  # index at which the answer begins, if it does
    answered: int = 0  # tokens between blocks of interleaved thinking

    def answer_tokens(self, eos: Sequence[int]) -> int:
        """How many tokens of answer it has."""
        own = self.ids[max(self.answer_from, self.prompt_length) :] if self.answer_from >= 0 else []
        return self.answered + len([t for t in own if t not in eos])

    @property
    def new(self) -> list[int]:
        """What was generated."""
        return self.ids[self.prompt_length :]


def letters(ids: Sequence[int], d: Delimiters) -> str:
    """The row as text, in which every token that is whole is one letter of its own."""
    return "".join("?" if i < 0 else chr(0xE000 + i) if i in d.whole else d.texts[i] for i in ids)


def last_turn(ids: list[int], d: Delimiters) -> int:
    """Index behind the header of the last assistant turn; a header inside a closing delimiter opens no turn."""
    for end in range(len(ids), 0, -1):
        at = end - len(d.turn)
        if not d.turn or at < 0 or ids[at:end] != d.turn:
            continue
        inside = any(
            ids[at - k : at - k + len(d.close)] == d.close
            for k in range(1, len(d.close))
            if at >= k and k + len(d.turn) <= len(d.close)
        )
        if not inside:
            return end
    return max((i + 1 for i, token in enumerate(ids) if token in d.eos), default=0)


def own_turn(ids: list[int], d: Delimiters) -> list[int]:
    """The ids of an own turn, with nothing between the tags that stand around a tool's result."""
    for opening, closing in d.results:
        for begin in range(len(ids)):
            if not letters(ids[begin:], d).startswith(letters(opening, d)):
                continue
            inside = letters(ids[begin:], d).find(letters(closing, d))
            end = begin
            while inside >= 0 and len(letters(ids[begin:end], d)) < inside:
                end += 1
            ids = [*ids[:begin], *[-1] * (end - begin), *ids[end:]]
    return ids


def completed(ids: list[int], delimiter: list[int], d: Delimiters) -> bool:
    """Whether the last token of `ids` completes the delimiter, however it is spelled."""
    text, before, wanted = letters(ids, d), letters(ids[:-1], d), letters(delimiter, d)
    at = text.rfind(wanted)
    if at < 0 or at + len(wanted) <= len(before):
        return False
    tail = text[at + len(wanted) :]
    return not (delimiter[0] in d.whole and wanted[-1].isalnum() and tail[:1].isalnum())


def begun(ids: Sequence[int], delimiter: list[int], d: Delimiters) -> str:
    """The longest beginning of a delimiter with which `ids` end."""
    text, wanted = letters(ids, d), letters(delimiter, d)
    return next(wanted[:k] for k in range(min(len(wanted) - 1, len(text)), -1, -1) if text.endswith(wanted[:k]))


def rest_of(delimiter: list[int], have: str, d: Delimiters, encode: Callable[[str], list[int]]) -> list[int]:
    """The tokens that complete a delimiter of which `have` stands there."""
    for k in range(len(delimiter)):
        if letters(delimiter[:k], d) == have:
            return delimiter[k:]
    rest: list[int] = []
    for part in re.split("([\ue000-\uf8ff])", letters(delimiter, d)[len(have) :]):
        rest += [ord(part) - 0xE000] if re.fullmatch("[\ue000-\uf8ff]", part) else encode(part) if part else []
    return rest


def tokens_of(ids: list[int], have: str, d: Delimiters) -> int:
    """How many of the last tokens of `ids` lie wholly inside (or begin in) the last occurrence of `have`."""
    whole = letters(ids, d)
    begin = whole.rindex(have)
    count, at = 0, len(whole)
    for i in reversed(ids):
        at -= len(letters([i], d))
        if at < begin:
            break
        count += 1
    return count


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
    """What budget forcing makes of a prompt.

    Args:
        logits (`Callable`): from the ids of a row to the scores of its next token, of shape `(vocab_size,)`.
        prompt (`list[int]`): ids.
        encode (`Callable`): from a text to ids.
        max_new_tokens (`int`): of thinking and answer together.
        cap, least, ignores, waits, prefix, message, window, sentence: the budget, in the contract's words.
        choose (`Callable`): the decoding rule, from scores to a token; by default the most likely one.
    """
    row = Row(list(prompt), len(prompt))

    def full() -> bool:
        return len(row.new) >= max_new_tokens

    def emit(token: int, forced: bool) -> None:
        if not full():
            row.ids.append(token)
            row.forced.append(forced)

    def scores(banned: Sequence[int] = ()) -> torch.Tensor:
        result = logits(row.ids).clone()
        result[len(d.texts) :] = -torch.inf
        result[d.absent] = -torch.inf
        result[list(banned)] = -torch.inf
        return result

    where = last_turn(row.ids, d)
    state, opened = "before", 0
    # What the prompt's own turn has done so far: its last delimiter decides.
    own = own_turn(row.ids[where:], d)
    for i in range(where, len(prompt)):
        seen = own[: i + 1 - where]
        if completed(seen, d.start, d):
            state, opened = "thinking", i + 1
            row.thinking_tokens, row.ended, row.answer_from = 0, "unfinished", -1
        elif completed(seen, d.close, d):
            state = "closed"
            row.thinking_tokens, row.ended, row.answer_from = 0, "never_started", len(prompt)
        elif state == "thinking":
            blank = row.thinking_tokens == 0 and d.texts[row.ids[i]].strip() == "" and d.texts[row.ids[i]] != ""
            row.thinking_tokens += 0 if blank else 1
    if state == "before" and d.force_start:
        missing = rest_of(d.start, begun(row.ids[where:], d.start, d), d, encode)
        for token in missing:
            emit(token, True)
        if len(row.new) < len(missing):
            return row
        state, row.ended = "thinking", "unfinished"
        opened = len(row.ids)
    if state == "thinking" and not d.plain and (have := begun(row.ids[opened:], d.close, d)):
        row.thinking_tokens -= tokens_of(row.ids[opened:], have, d)
        row.ended = "natural"
        missing = rest_of(d.close, have, d, encode)
        for token in missing:
            emit(token, True)
        state = "closed"
        row.answer_from = len(prompt) + len(missing)
    if state == "before":
        row.answer_from = len(prompt)

    while not full():
        if state == "before":
            token = choose(scores())
            emit(token, False)
            if token in d.eos:
                return row
            if completed(row.ids[where:], d.start, d):
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
                if row.thinking_tokens <= stop_at and not (d.plain and begun(row.ids[opened:], d.close, d)):
                    before = len(row.ids)
                    for token in stop_message:
                        emit(token, True)
                    row.thinking_tokens += len(row.ids) - before
                close(row, d, encode, emit, opened)
                for token in [*d.answer_start, *(encode("\n" + prefix) if prefix is not None else [])]:
                    emit(token, True)
                state = "closed"
                continue
            called = not row.waited and has_called(row.ids[opened:], d)
            ends = [i for i in d.ends if i not in d.eos] if called else d.ends
            banned = ends if row.waited else []
            token = choose(scores(banned))
            row.waited = False
            if token in d.eos and token not in ends:
                emit(token, False)
                row.ended = "handed_over"
                return row
            if token not in ends:
                emit(token, False)
                row.thinking_tokens += 1
                if d.plain and completed(row.ids[opened:], d.close, d):
                    row.thinking_tokens -= tokens_of(row.ids[opened:], letters(d.close, d), d)
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
                    continue
                token = choose(scores([*banned, *ends]))
                emit(token, False)
                if token in d.eos:
                    row.ended = "handed_over"
                    return row
                row.thinking_tokens += 1
                continue
            row.ended = "natural"
            close(row, d, encode, emit, opened, newline=False)
            state = "closed"
        else:
            banned = [] if d.interleaved else [i for i in d.completing if completes(row.ids[where:], i, d)]
            token = choose(scores(banned))
            emit(token, False)
            if token in d.eos:
                return row
            if d.interleaved and completed(row.ids[row.answer_from :], d.start, d):
                state, opened = "thinking", len(row.ids)
                row.answered += len(row.ids) - 1 - max(row.answer_from, len(prompt))
                row.ended, row.answer_from = "unfinished", -1
    return row


def has_called(ids: list[int], d: Delimiters) -> bool:
    """Whether `ids` end with a finished tool call, white space behind it aside."""
    told = [i for i in ids if d.texts[i] == "" or d.texts[i].strip()]
    return bool(told) and told[-1] in d.call_ends


def ends_softly(text: str, sentence: bool) -> bool:
    """Whether a line, or a sentence, ends with a token of this text."""
    if text[-1:] == "\n":
        return True
    text = text.strip()
    while text and text[-1] in "\"')]}»”’":
        text = text[:-1]
    return sentence and text[-1:] in set(".!?…。！？")


def completes(ids: list[int], token: int, d: Delimiters) -> bool:
    """Whether a token would complete a delimiter; ends of sequence may."""
    row = [*ids[-20:], token]  # the delimiters have fewer tokens than that
    return token not in d.eos and any(completed(row, delimiter, d) for delimiter in (d.start, d.close))


def close(
    row: Row,
    d: Delimiters,
    encode: Callable[[str], list[int]],
    emit: Callable[[int, bool], None],
    opened: int,
    newline: bool = True,
) -> None:
    """Force the closing delimiter, going on where the model has begun it."""
    if d.plain and (have := begun(row.ids[opened:], d.close, d)):
        row.thinking_tokens -= tokens_of(row.ids[opened:], have, d)
        tokens = rest_of(d.close, have, d, encode)
    else:
        tokens = d.close
        if newline and not d.texts[row.ids[-1]].endswith("\n"):
            tokens = [*encode("\n"), *tokens]
    row.answer_from = len(row.ids) + len(tokens)
    for token in tokens:
        emit(token, True)
