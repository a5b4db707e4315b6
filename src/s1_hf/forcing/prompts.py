"""Where a prompt leaves its assistant's turn (contract, rule 1), and where thinking stands in what was generated."""

from __future__ import annotations

from collections.abc import Sequence

from s1_hf.forcing.automaton import Automaton
from s1_hf.forcing.report import Ended
from s1_hf.forcing.tables import State, after_effect


def read_prompt(automaton: Automaton, ids: Sequence[int]) -> State:
    """Where a prompt leaves its assistant's turn: before, in or after thinking.

    White space right after the opening delimiter belongs to the template and is not counted. An end of sequence ends
    the assistant's turn, so that what follows it means nothing.
    """
    fresh = State(automaton.pre)
    state, has_closed = fresh, False
    for token in ids[turn_of(automaton, ids) :]:
        effect = automaton.effect_of(token, state.cell)
        if effect.next == automaton.done:
            state, has_closed = fresh, False
            break
        if state.thinking_tokens == 0 and _is_blank(automaton, token) and not effect.closes:
            effect = effect._replace(thinks=0)
        state = after_effect(state, effect)
        has_closed = has_closed or bool(effect.closes)
    state = state._replace(answer_tokens=0)
    if has_closed and not automaton.format.interleaved:
        return state._replace(thinking_tokens=0, ended=Ended.NEVER_STARTED)
    return state


def start_of(automaton: Automaton, ids: Sequence[int]) -> State:
    """Like `read_prompt`, then in the forced run that the prompt's end asks for: `start`, or a begun `close`."""
    state = read_prompt(automaton, ids)
    if state.cell in automaton.openings:
        return state._replace(cell=automaton.openings[state.cell])
    if state.pending and not automaton.format.plain:
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
    if state.ended == Ended.NEVER_STARTED:
        answer = _delimiter_tail(automaton.format.close, ids) or answer
    return spans, answer


def turn_of(automaton: Automaton, ids: Sequence[int]) -> int:
    """Index at which the text of the assistant's last turn begins in `ids`."""
    turn, close = list(automaton.format.turn), list(automaton.format.close)
    if turn:
        for i in range(len(ids) - len(turn), -1, -1):
            if list(ids[i : i + len(turn)]) == turn and not _is_inside(ids, i, turn, close):
                if automaton.format.turn_text in automaton.format.close_text:
                    return i + len(turn)
                # A later one may be spelled in other tokens, merged with what follows it.
                return max(i + len(turn), _turn_by_text(automaton, ids))
    return _turn_by_text(automaton, ids)


def _turn_by_text(automaton: Automaton, ids: Sequence[int]) -> int:
    """The same where the header is spelled in other tokens; without any header, after the last end of sequence."""
    header = automaton.format.turn_text
    texts = [_text(automaton, token) for token in ids]
    at = "".join(texts).rfind(header) if header else -1
    if at < 0:
        return max((i + 1 for i, token in enumerate(ids) if token in automaton.eos), default=0)
    passed = 0
    for i, text in enumerate(texts):
        passed += len(text)
        if passed > at + len(header):  # a token that reaches beyond the header may begin a delimiter
            return i
    return len(ids)


def _is_inside(ids: Sequence[int], at: int, turn: list[int], close: list[int]) -> bool:
    """Whether the turn found at `at` is part of a closing delimiter (harmony's opens a message of its own)."""
    for k in range(1, len(close) - len(turn) + 1):
        begins = at - k
        if close[k : k + len(turn)] == turn and begins >= 0 and list(ids[begins : begins + len(close)]) == close:
            return True
    return False


def _delimiter_tail(close: tuple[int, ...], ids: Sequence[int]) -> int:
    """How much of the closing delimiter's end opens `ids` (harmony may open its answer with just that); 2 or more."""
    for k in range(len(close) - 1, 1, -1):
        if tuple(ids[:k]) == close[-k:]:
            return k
    return 0


def _is_blank(automaton: Automaton, token: int) -> bool:
    text = _text(automaton, token)
    return bool(text) and not text.strip()


def _text(automaton: Automaton, token: int) -> str:
    texts = automaton.vocabulary.texts
    return (texts[token] or "") if token < len(texts) else ""
