"""Finding delimiters in a stream of tokens, however the model spells them."""

from __future__ import annotations

from typing import Any, NamedTuple

from s1_hf.forcing.vocabulary import Vocabulary

Pattern = str | tuple[int, ...]
"""A delimiter, found by its text or by its ids."""


class Move(NamedTuple):
    """What one token does to a search in one state."""

    state: int
    found: bool  # a pattern is complete
    keeps: int  # 1: the match that it belongs to began before it
    begins: int  # tokens of a match that begins with it
    tail: str = ""  # what the token holds after the pattern


class DelimiterSearch:
    """Finds any of some patterns in a stream of tokens (Aho-Corasick): id tuples by ids, strings by token texts.

    State `s` means that the beginning `prefixes[s]` of a pattern has just been seen; state 0 means nothing has. A
    string matches however the model spells it in tokens, also where a token reaches beyond the pattern (`>` with the
    newline after it). A token counts as part of the pattern if none of its text stands before the pattern.

    Args:
        patterns (`list[Pattern]`): all strings or all id tuples; an empty list finds nothing.
    """

    def __init__(self, patterns: list[Pattern], vocabulary: Vocabulary) -> None:
        self.patterns = patterns
        self.prefixes = _all_beginnings(patterns)
        self.size = len(self.prefixes)
        self._index = {prefix: i for i, prefix in enumerate(self.prefixes)}
        self.moves: dict[tuple[int, int], Move] = {}  # by (state, token); a token that is not there leads to state 0
        firsts = {pattern[0] for pattern in patterns}
        expected = [firsts | self._expected_after(prefix) for prefix in self.prefixes]
        for token, piece in self._pieces(vocabulary):
            may_begin = not firsts.isdisjoint(piece)
            for state in range(self.size):
                if not may_begin and piece[0] not in expected[state]:
                    continue  # most tokens, most of the time
                move = self._move(state, piece)
                if move.state or move.found:
                    self.moves[state, token] = move

    def moves_from(self, state: int) -> dict[int, Move]:
        """The moves in one state, by token."""
        return {token: move for (before, token), move in self.moves.items() if before == state}

    def rest(self, state: int) -> Pattern:
        """What is missing of the pattern in `state` (for a single pattern)."""
        return self.patterns[0][len(self.prefixes[state]) :]

    def after(self, tail: str) -> int:
        """The state when `tail` is all that has been seen."""
        for k in range(len(tail)):
            if tail[k:] in self._index:
                return self._index[tail[k:]]
        return 0

    def _pieces(self, vocabulary: Vocabulary) -> list[tuple[int, Any]]:
        """Each token that matters, with what it adds to the stream: its text, or its id."""
        if self.patterns and isinstance(self.patterns[0], str):
            return [(i, text) for i, text in enumerate(vocabulary.texts) if text]
        ids: set[int] = set()
        for pattern in self.patterns:
            ids.update(pattern)  # type: ignore[arg-type]  # no strings here
        return [(i, (i,)) for i in sorted(ids)]

    def _expected_after(self, seen: Any) -> set[Any]:
        """What may come next if some tail of `seen` is to be the beginning of a pattern."""
        expected = set()
        for pattern in self.patterns:
            for k in range(len(seen)):
                tail = seen[k:]
                if pattern[: len(tail)] == tail:
                    expected.add(pattern[len(tail)])
        return expected

    def _move(self, state: int, piece: Any) -> Move:
        seen = self.prefixes[state]
        stream = seen + piece
        for pattern in self.patterns:
            at = _find(stream, pattern)
            if at >= 0:
                tail = stream[at + len(pattern) :]
                if not isinstance(tail, str):
                    tail = ""  # ids have none: a piece is one id
                return Move(0, True, *self._counted(seen, piece, at), tail)
        for k in range(len(stream)):
            if stream[k:] in self._index:
                return Move(self._index[stream[k:]], False, *self._counted(seen, piece, k))
        return Move(0, False, 0, 0)

    def _counted(self, seen: Any, piece: Any, at: int) -> tuple[int, int]:
        """(keeps, begins) for a match that begins at index `at` of what was seen before and the piece."""
        if isinstance(piece, tuple):  # ids: one per token, so the length of the match is its number of tokens
            return 0, len(seen) + len(piece) - at
        if seen and at == 0:
            return 1, 1
        return 0, int(at == len(seen))


def _all_beginnings(patterns: list[Pattern]) -> list[Any]:
    """Every proper beginning of every pattern, the empty one first."""
    empty: Any = ()
    beginnings: set[Any] = set()
    for pattern in patterns:
        empty = pattern[:0]
        for k in range(1, len(pattern)):
            beginnings.add(pattern[:k])
    return [empty, *sorted(beginnings, key=lambda beginning: (len(beginning), beginning))]


def _find(stream: Any, pattern: Any) -> int:
    for i in range(len(stream) - len(pattern) + 1):
        if stream[i : i + len(pattern)] == pattern:
            return i
    return -1
