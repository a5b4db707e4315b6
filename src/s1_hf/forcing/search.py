"""Finding delimiters in a stream of tokens, however the model spells them."""

from __future__ import annotations

from collections.abc import Container
from typing import NamedTuple

from s1_hf.forcing.spelling import Spelling, is_whole


class Move(NamedTuple):
    """What one token does to a search in one state."""

    state: int
    found: bool  # a pattern is complete
    keeps: int  # 1: the match that it belongs to began before it
    begins: int  # tokens of a match that begins with it
    tail: str = ""  # what the token holds after the pattern


class DelimiterSearch:
    """Finds any of some patterns in a stream of tokens (Aho-Corasick), by what tokens are in a text.

    State `s` means that the beginning `prefixes[s]` of a pattern has just been seen; state 0 means nothing has. A
    pattern matches however the model spells its plain parts, also where a token reaches beyond it (`>` with the newline
    after it). A token counts as part of the pattern if none of its text stands before the pattern.

    Args:
        patterns (`list[str]`): what is looked for; an empty list finds nothing.
        spelling ([`Spelling`]): what tokens are in a text.
    """

    def __init__(self, patterns: list[str], spelling: Spelling) -> None:
        self.patterns = patterns
        self.prefixes = _all_beginnings(patterns)
        self.size = len(self.prefixes)
        self._index = {prefix: i for i, prefix in enumerate(self.prefixes)}
        self._moves: list[dict[int, Move]] = []  # of each state, by token; a token that is not there leads to state 0
        # Most tokens do nothing: only those that may begin a pattern, or go on with one, are looked at.
        may_begin: dict[int, None] = {}
        for letter in sorted({pattern[0] for pattern in patterns}):
            may_begin.update(dict.fromkeys(spelling.holding(letter)))
        for state, prefix in enumerate(self.prefixes):
            candidates = dict(may_begin)
            for letter in sorted(self._expected_after(prefix)):
                candidates.update(dict.fromkeys(spelling.beginning(letter)))
            moves = {}
            for token in candidates:
                move = self._move(state, spelling.symbols[token] or "")
                if move.state or move.found:
                    moves[token] = move
            self._moves.append(moves)

    def moves_from(self, state: int) -> dict[int, Move]:
        """The moves in one state, by token."""
        return self._moves[state]

    def rest(self, state: int) -> str:
        """What is missing of the pattern in `state` (for a single pattern)."""
        return self.patterns[0][len(self.prefixes[state]) :]

    def after(self, tail: str) -> int:
        """The state when `tail` is all that has been seen."""
        longest = max(map(len, self.patterns), default=0)
        for k in range(max(len(tail) - longest, 0), len(tail)):
            if tail[k:] in self._index:
                return self._index[tail[k:]]
        return 0

    def _expected_after(self, seen: str) -> set[str]:
        """What may come next if some tail of `seen` is to be the beginning of a pattern."""
        expected = set()
        for pattern in self.patterns:
            for k in range(len(seen)):
                tail = seen[k:]
                if len(tail) < len(pattern) and pattern.startswith(tail):
                    expected.add(pattern[len(tail)])
        return expected

    def _move(self, state: int, piece: str) -> Move:
        seen = self.prefixes[state]
        stream = seen + piece
        for pattern in self.patterns:
            at = find_delimiter(stream, pattern)
            if at >= 0:
                return Move(0, True, *_counted(seen, at), tail=stream[at + len(pattern) :])
        for k in range(len(stream)):
            if stream[k:] in self._index:
                return Move(self._index[stream[k:]], False, *_counted(seen, k))
        return Move(0, False, 0, 0)


def find_delimiter(text: str, pattern: str, last: bool = False, boundaries: Container[int] = ()) -> int:
    """Where `pattern` stands in `text`, for the first or the last time; -1: nowhere.

    A word behind a special token has to end there: the token `thinking` completes no `<|im_start|>think`. It ends where
    a token does, at one of `boundaries`.
    """
    of_words = is_whole(pattern[0]) and pattern[-1].isalnum()
    at = text.rfind(pattern) if last else text.find(pattern)
    while at >= 0:
        end = at + len(pattern)
        if not (of_words and text[end : end + 1].isalnum()) or end in boundaries:
            return at
        at = text.rfind(pattern, 0, end - 1) if last else text.find(pattern, at + 1)
    return -1


def _counted(seen: str, at: int) -> tuple[int, int]:
    """(keeps, begins) for a match that begins at index `at` of what was `seen` before and the token."""
    if seen and at == 0:
        return 1, 1
    return 0, int(at == len(seen))


def _all_beginnings(patterns: list[str]) -> list[str]:
    """Every proper beginning of every pattern, the empty one first."""
    beginnings = {pattern[:k] for pattern in patterns for k in range(1, len(pattern))}
    return ["", *sorted(beginnings, key=lambda beginning: (len(beginning), beginning))]
