"""Where a prompt leaves its assistant's turn (contract, rule 1), and where thinking stands in what was generated."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate

from s1_hf.forcing.automaton import Automaton
from s1_hf.forcing.report import Ended
from s1_hf.forcing.search import find_delimiter
from s1_hf.forcing.spelling import is_whole
from s1_hf.forcing.tables import Effect, State, after_effect


def read_prompt(automaton: Automaton, ids: Sequence[int]) -> State:
    """Where a prompt leaves its assistant's turn: before, in or after thinking.

    The last delimiter of the own turn decides, tool results and ends of sequence inside the turn notwithstanding; only
    what was thought since it counts. White space right after an opening delimiter belongs to the template and is not
    counted.
    """
    pieces = automaton.spelling.pieces_of(ids)
    text = _without_tool_results(automaton, "".join(pieces))
    begin = _turn_in(automaton, ids, pieces, text)
    ids, pieces = ids[begin:], pieces[begin:]
    text = text[len(text) - sum(map(len, pieces)) :]
    boundaries = set(accumulate(map(len, pieces)))
    opened = find_delimiter(text, automaton.start, True, boundaries)
    closed = find_delimiter(text, automaton.close, True, boundaries)
    if opened < 0 and closed < 0:
        return State(automaton.pre + automaton.find_start.after(text))
    if closed > opened:
        return State(automaton.answer + automaton.find_again.after(text[closed + len(automaton.close) :]))
    following, tail = _after(pieces, opened + len(automaton.start))
    state = State(automaton.think + automaton.find_close.after(tail), ended=Ended.UNFINISHED)
    for i in range(following, len(ids)):
        effect = automaton.effect_of(ids[i], state.cell)
        if effect.next == automaton.done or effect.closes:  # of a turn handed over, or inside what a tool returned
            effect = Effect(automaton.think, thinks=1)
        if state.thinking_tokens == 0 and pieces[i] and not pieces[i].strip():
            effect = effect._replace(thinks=0)
        state = after_effect(state, effect)
    return state


def start_of(automaton: Automaton, ids: Sequence[int]) -> State:
    """Like `read_prompt`, then in the forced run that the prompt's end asks for: `start`, or a begun `close`."""
    state = read_prompt(automaton, ids)
    if state.cell in automaton.openings:
        return state._replace(cell=automaton.openings[state.cell])
    if state.pending and state.ended == Ended.UNFINISHED and not automaton.format.plain:
        return state._replace(
            cell=automaton.cells[state.cell].natural,
            thinking_tokens=state.thinking_tokens - state.pending,
            pending=0,
            ended=Ended.NATURAL,
        )
    return state


def split_output(automaton: Automaton, prompt: Sequence[int], ids: Sequence[int]) -> tuple[list[tuple[int, int]], int]:
    """Where, in the generated `ids`, thinking stands (from, and up to but without), and where the answer begins."""
    state = read_prompt(automaton, prompt)
    begins = 0 if state.ended == Ended.UNFINISHED else -1  # of the thinking that is open; -1: none is
    spans, answer = [], 0
    for i, token in enumerate(ids):
        effect = automaton.effect_of(token, state.cell)
        if effect.opens:
            begins = i + 1
        if effect.closes:
            delimiter = state.pending * effect.keeps + effect.begins  # its tokens, this one included
            spans.append((begins, max(i + 1 - delimiter, begins)))
            begins, answer = -1, i + 1
        state = after_effect(state, effect)
    if begins >= 0:
        spans.append((begins, len(ids)))
        answer = len(ids)
    if begins < 0:
        answer += _delimiter_tail(automaton.format.answer_start, ids[answer:])
    return spans, answer


def turn_of(automaton: Automaton, ids: Sequence[int]) -> int:
    """Index at which the text of the assistant's last turn begins in `ids`.

    Where the prompt ends in somebody else's turn that is its end; without any header, what follows the last end of
    sequence.
    """
    pieces = automaton.spelling.pieces_of(ids)
    return _turn_in(automaton, ids, pieces, _without_tool_results(automaton, "".join(pieces)))


def _turn_in(automaton: Automaton, ids: Sequence[int], pieces: Sequence[str], text: str) -> int:
    """The same, where the ids' pieces and the text that they make, without tool results, are known."""
    at = _last_header(automaton, text)
    if at < 0:
        return max((i + 1 for i, token in enumerate(ids) if token in automaton.eos), default=0)
    # Of plain words ("User:") nobody knows who wrote them; a special token is the template's.
    has_special = any(map(is_whole, automaton.user_turn))
    if has_special and text.find(automaton.user_turn, at + len(automaton.turn)) >= 0:
        return len(ids)
    index, tail = _after(pieces, at + len(automaton.turn))
    return index - 1 if tail else index  # a token that reaches beyond the header may begin a delimiter


def _last_header(automaton: Automaton, text: str) -> int:
    """Where the last header of an assistant's turn stands.

    One that is part of a closing delimiter opens no turn, nor does one of plain words in the midst of a line.
    """
    turn, close = automaton.turn, automaton.close
    inside = close.find(turn) if turn else -1
    at = text.rfind(turn) if turn else -1
    while at >= 0:
        is_part = inside >= 0 and at >= inside and text.startswith(close, at - inside)
        before = text[at - 1 : at]
        begins = before in ("", "\n") or is_whole(before)
        is_word = turn[0].isalnum() and not begins and not any(map(is_whole, turn))
        if not is_part and not is_word:
            return at
        at = text.rfind(turn, 0, at + len(turn) - 1)
    return at


def _after(pieces: Sequence[str], end: int) -> tuple[int, str]:
    """The first token that begins at `end` or later, and what the one before it holds behind `end`."""
    passed = 0
    for i, piece in enumerate(pieces):
        if passed >= end:
            return i, pieces[i - 1][len(pieces[i - 1]) - (passed - end) :] if passed > end else ""
        passed += len(piece)
    return len(pieces), pieces[-1][len(pieces[-1]) - (passed - end) :] if passed > end else ""


def _without_tool_results(automaton: Automaton, text: str) -> str:
    """`text`, as long as before, in which nothing that a tool has returned can be taken for a delimiter."""
    for opening, closing in automaton.tool_results:
        kept, seen = [], 0
        at = text.find(opening)
        while at >= 0 and (end := text.find(closing, at)) >= 0:
            at = text.rfind(opening, at, end)  # one before it was only spoken of
            kept += [text[seen:at], " " * (end - at)]
            seen = end
            at = text.find(opening, end)
        text = "".join([*kept, text[seen:]])
    return text


def _delimiter_tail(delimiter: tuple[int, ...], ids: Sequence[int]) -> int:
    """How much of a delimiter's end opens `ids` (harmony may open its answer with just that); 2 or more."""
    for k in range(len(delimiter), 1, -1):
        if tuple(ids[:k]) == delimiter[-k:]:
            return k
    return 0
