"""The thinking format as a finite automaton: one cell per row says where the row stands and what it must emit next.

Cells are *free* (the model chooses the token) or belong to a *tape* (a forced token each, in order). Free cells are
`PRE` (thinking not opened), `THINK`, `HOLD` (thinking, right after a Wait), `ANSWER` and `DONE` (end of sequence);
`PRE`, `THINK` and `ANSWER` have one cell per matched part of a delimiter. Everything about delimiters, Waits and
closing sequences is in the tables built here; everything about budgets is in `decisions`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from enum import IntEnum
from typing import TYPE_CHECKING, Any, NamedTuple

import torch

from s1_hf.forcing.vocabulary import Vocabulary, encode

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

    from s1_hf.forcing.formats import ThinkingFormat


Pattern = str | tuple[int, ...]  # a delimiter, found by its text or by its ids


class Ended(IntEnum):
    """How thinking ended; the names, in lower case, are those of the report."""

    NEVER_STARTED = 0
    UNFINISHED = 1
    NATURAL = 2
    CUT = 3
    LOOPED = 4


class Effect(NamedTuple):
    """What one token does to a row in one cell. All counts are in tokens."""

    next: int  # cell
    thinks: int = 0  # added to the thinking tokens
    keeps: int = 0  # 1: the token goes on with a closing delimiter begun before it
    begins: int = 0  # tokens of a closing delimiter begun here
    answers: int = 0  # added to the answer tokens
    opens: int = 0  # 1: thinking has been opened
    closes: int = 0  # 1: thinking has been closed; the delimiter's own tokens are no thinking tokens
    forgets: int = 0  # 1: what came before was no answer


class Cell(NamedTuple):
    """What is fixed for one cell."""

    forced: int = -1  # the token that must come next, or -1: the model chooses
    thinking: int = 0  # 1: free and thinking, so budgets apply
    bans: int = 0  # row of `Tables.bans`
    natural: int = -1  # first cell of the tape that an honoured end attempt starts
    cut: int = -1  # of the tape that a cut starts, behind a newline
    cut_line: int = -1  # likewise, behind any other text


class Place(NamedTuple):
    """A row after a run over ids: its cell and its counts, and where the last close began and ended (ids index)."""

    cell: int
    thinking_tokens: int = 0
    pending: int = 0  # thinking tokens that may turn out to be a closing delimiter
    answer_tokens: int = 0
    ended: int = Ended.NEVER_STARTED
    opened_at: int = -1
    close_begins: int = -1
    closed_at: int = -1


@dataclass(frozen=True, eq=False)
class Tables:
    """The automaton as tensors on one device; `K` token classes, `S` ids that are ever banned, `C` cells."""

    classes: torch.Tensor  # (last id + 2,): class of each token; the last entry stands for ids beyond the tokenizer
    effects: torch.Tensor  # (C, K, 8): `Effect`
    cells: torch.Tensor  # (C, 6): `Cell`
    ends: torch.Tensor  # (number of ends,)
    is_end: torch.Tensor  # like classes: bool
    ends_line: torch.Tensor  # like classes: bool, the token's text ends in a newline
    banned_ids: torch.Tensor  # (S,)
    bans: torch.Tensor  # (ban rows, S): bool
    unused_ids: torch.Tensor  # ids below the tokenizer's last that are no token
    wait_cells: torch.Tensor  # (number of waits,), or one 0 if there is none
    wait_lengths: torch.Tensor  # likewise
    num_ids: int
    close_first: int
    has_wait: bool

    def to(self, device: torch.device) -> Tables:
        """The same tables on `device`."""
        moved: dict[str, Any] = {k: v.to(device) for k, v in vars(self).items() if isinstance(v, torch.Tensor)}
        return replace(self, **moved)

    def clamp(self, ids: torch.Tensor) -> torch.Tensor:
        """Ids made safe to look up: those beyond the tokenizer become the last, classless entry."""
        return ids.clamp(max=self.num_ids)


@dataclass(eq=False)
class Automaton:
    """Builds the cells for one format on one tokenizer, with the Waits and the answer prefix of one budget.

    Args:
        waits (`Sequence[str]`): wait texts.
        answer_prefix (`str`, *optional*): what follows a cut on a new line.
        eos (`Sequence[int]`): ids that end the sequence outside thinking.

    Raises:
        ValueError: a Wait or the answer prefix contains a delimiter or an end of sequence.
    """

    tokenizer: PreTrainedTokenizerBase
    format: ThinkingFormat
    waits: Sequence[str] = ()
    answer_prefix: str | None = None
    eos: Sequence[int] = ()
    cells: list[Cell] = field(default_factory=list)
    effects: list[dict[int, Effect]] = field(default_factory=list)  # by token; key -1 is every other token

    def __post_init__(self) -> None:
        self.vocabulary = Vocabulary.of(self.tokenizer)
        start = self.format.start
        self.start_plain = len(start) > 1 and start[0] not in self.vocabulary.special
        self.wait_ids = [self._checked("wait_text", text) for text in self.waits]
        self.newline = encode(self.tokenizer, "\n")
        prefix = self.answer_prefix
        self.prefix_ids = () if prefix is None else self._checked("answer_prefix", "\n" + prefix)
        self.blank = {i for i, t in enumerate(self.vocabulary.texts) if t is not None and t and not t.strip()}
        self._build()

    @property
    def largest_id(self) -> int:
        """The largest id that is forced or looked for."""
        return max(*self.format.start, *self.format.close, *self.format.ends, *(cell.forced for cell in self.cells))

    @property
    def max_closing(self) -> int:
        """Most tokens that closing thinking can take: newline, delimiter and answer prefix."""
        return len(self.newline) + len(self.format.close) + len(self.prefix_ids)

    # -- running over ids on the host ---------------------------------------------------------------------------

    def observe(self, ids: Sequence[int], place: Place | None = None, in_prompt: bool = False) -> Place:
        """Run over `ids` without forcing anything, from `place` or from before thinking.

        In a prompt, white space right behind the opening delimiter belongs to the template and is not counted, and
        an end of sequence ends the assistant's turn, so that what follows it means nothing.
        """
        place = place or Place(self.pre)
        for i, token in enumerate(ids):
            row = self.effects[place.cell]
            effect = row.get(token) or row[-1]
            if in_prompt and effect.next == self.done:
                return Place(self.pre)
            blank = in_prompt and place.thinking_tokens == 0 and token in self.blank and not effect.closes
            place = _apply(place, effect._replace(thinks=0) if blank else effect, i)
        return place

    def turn_of(self, ids: Sequence[int]) -> int:
        """Index at which the text of the assistant's last turn begins in `ids`."""
        turn, close = list(self.format.turn), list(self.format.close)
        for i in range(len(ids) - len(turn), -1, -1) if turn else ():
            if list(ids[i : i + len(turn)]) == turn and not _inside(ids, i, turn, close):
                # A later one may be spelled in other tokens, merged with what stands behind it.
                again = self.format.turn_text in self.format.close_text
                return i + len(turn) if again else max(i + len(turn), self._turn_by_text(ids))
        return self._turn_by_text(ids)

    def _turn_by_text(self, ids: Sequence[int]) -> int:
        """The same where the header is spelled in other tokens; without any, behind the last end of sequence."""
        texts = [self.vocabulary.texts[i] or "" if i < len(self.vocabulary.texts) else "" for i in ids]
        at = "".join(texts).rfind(self.format.turn_text) if self.format.turn_text else -1
        if at < 0:
            return max((i + 1 for i, token in enumerate(ids) if token in self.eos), default=0)
        end, passed = at + len(self.format.turn_text), 0
        for i, text in enumerate(texts):
            passed += len(text)
            if passed > end:  # a token that reaches over the header's end may begin a delimiter
                return i
        return len(ids)

    def read_prompt(self, ids: Sequence[int]) -> Place:
        """Where a prompt leaves its assistant's turn: before, in or after thinking (contract, rule 1)."""
        place = self.observe(ids[self.turn_of(ids) :], in_prompt=True)._replace(answer_tokens=0)
        if place.closed_at >= 0 and not self.format.interleaved:
            return place._replace(thinking_tokens=0, ended=Ended.NEVER_STARTED)
        return place

    def split(self, prompt: Sequence[int], ids: Sequence[int]) -> tuple[list[tuple[int, int]], int]:
        """Where, in the generated `ids`, thinking stands (beginnings and ends), and where the answer begins."""
        place = self.read_prompt(prompt)
        begins = 0 if place.ended == Ended.UNFINISHED else -1
        spans, answer = [], 0
        for i, token in enumerate(ids):
            before, place = place, self.observe([token], place._replace(opened_at=-1, closed_at=-1))
            if place.opened_at >= 0:
                begins = i + 1
            if place.closed_at >= 0:
                spans.append((begins, max(i + 1 - self._delimiter_length(before, token), begins)))
                begins, answer = -1, i + 1
        if begins >= 0:
            spans.append((begins, len(ids)))
            answer = len(ids)
        if place.ended == Ended.NEVER_STARTED:
            close = self.format.close  # harmony may open its answer with the end of the closing delimiter alone
            answer = next((k for k in range(len(close) - 1, 1, -1) if tuple(ids[:k]) == close[-k:]), answer)
        return spans, answer

    def _delimiter_length(self, before: Place, token: int) -> int:
        """Tokens of the closing delimiter that `token` completes."""
        effect = self.effects[before.cell][token]
        return before.pending * effect.keeps + effect.begins

    def enter(self, ids: Sequence[int]) -> Place:
        """Like `read_prompt`, then on the tape that the prompt's end asks for: `start`, or a begun `close`."""
        place = self.read_prompt(ids)
        if place.cell in self.openings:
            return place._replace(cell=self.openings[place.cell])
        if place.pending and not self.format.plain:
            left = place.thinking_tokens - place.pending
            cell = self.cells[place.cell].natural
            return place._replace(cell=cell, thinking_tokens=left, pending=0, ended=Ended.NATURAL)
        return place

    # -- building -----------------------------------------------------------------------------------------------

    def _checked(self, name: str, text: str) -> tuple[int, ...]:
        ids = encode(self.tokenizer, text)
        firsts = set() if self.start_plain else {self.format.start[0]}
        texts = (self.format.start_text, self.format.close_text)
        if (firsts | set(self.format.ends)) & set(ids) or any(t in text for t in texts):
            raise ValueError(
                f"`{name}` has to be free of delimiters and ends of sequence of the {self.format.name!r} format, "
                f"but is {text!r} (ids {list(ids)})."
            )
        if not ids:
            raise ValueError(f"`{name}` has to be at least one token, but {text!r} is none for this tokenizer.")
        return ids

    def _build(self) -> None:
        fmt = self.format
        start: Pattern = fmt.start_text if self.start_plain else fmt.start
        close: Pattern = fmt.close_text if fmt.plain else fmt.close
        find_start, find_close = self._search(start), self._search(close)
        # An interleaved format may open thinking again; otherwise delimiters of plain tokens are watched to be banned.
        watched = [fmt.start_text] * self.start_plain + [fmt.close_text] * fmt.plain
        find_again = find_start if fmt.interleaved else self._search(*watched)

        self.pre = self._reserve(find_start.size)
        self.think = self._reserve(find_close.size)
        self.hold = self._reserve(1)
        self.answer = self._reserve(find_again.size)
        self.done = self._reserve(1)
        self.openings: dict[int, int] = {}

        self.ban_rows: list[set[int]] = [set(), set(fmt.ends)]  # 0: nothing, 1: no empty rounds (rule 4)
        after = {ids[0] for ids, is_plain in ((fmt.start, self.start_plain), (fmt.close, fmt.plain)) if not is_plain}
        after = set() if fmt.interleaved else after - set(self.eos)
        stop = {token: Effect(self.done) for token in self.eos}
        for s in range(find_start.size):
            rows = {t: Effect(self.pre + m.state, answers=1) for (p, t), m in find_start.moves.items() if p == s}
            rows |= self._opening(find_start, s, find_close, forgets=1)
            self._set(self.pre + s, Cell(), {-1: Effect(self.pre, answers=1), **rows, **stop})
            if fmt.force_start:
                rest = fmt.start[0 if self.start_plain else s :]
                self.openings[self.pre + s] = self._tape(rest, self.think, opens=1)
        for s in range(find_close.size):
            self._add_thinking(s, find_close, find_again, stop)
        held = {t: e for t, e in self.effects[self.think].items()}
        self._set(self.hold, self.cells[self.think]._replace(bans=1), held)
        for s in range(find_again.size):
            moves = {t: m for (p, t), m in find_again.moves.items() if p == s}
            rows = {t: Effect(self.answer + m.state, answers=1) for t, m in moves.items()}
            found = {t for t, m in moves.items() if m.found}
            if fmt.interleaved:
                rows |= self._opening(find_again, s, find_close)
            self._set(
                self.answer + s,
                Cell(bans=self._ban_row(after | (set() if fmt.interleaved else found))),
                {-1: Effect(self.answer, answers=1), **rows, **stop},
            )
        self._set(self.done, Cell(), {-1: Effect(self.done)})
        self.wait_cells = [self._tape(ids, self.hold, thinks=1) for ids in self.wait_ids]

    def _opening(self, find: _Search, state: int, find_close: _Search, forgets: int = 0) -> dict[int, Effect]:
        """What completes the opening delimiter; a token's tail may begin the closing one (`></`)."""
        found = {t: m for (p, t), m in find.moves.items() if p == state and m.found}
        return {t: Effect(self.think + find_close.after(m.tail), opens=1, forgets=forgets) for t, m in found.items()}

    def _add_thinking(self, state: int, find: _Search, find_again: _Search, stop: dict[int, Effect]) -> None:
        cell, rows = self.think + state, {}
        for (previous, token), m in find.moves.items():
            if previous == state and m.found:
                then = self.answer + find_again.after(m.tail)
                rows[token] = Effect(then, thinks=1, keeps=m.keeps, begins=m.begins, closes=1)
            elif previous == state:
                rows[token] = Effect(self.think + m.state, thinks=1, keeps=m.keeps, begins=m.begins)
        rest_ids = self.format.close[state:]
        if self.format.plain and state:
            rest_ids = encode(self.tokenizer, str(find.rest(state)))
        natural = self._tape(rest_ids, self.answer)
        cut = self._tape(rest_ids, self._tape(self.prefix_ids, self.answer, answers=1))
        cut_line = cut if state else self._tape(self.newline, cut)
        stays = {-1: Effect(self.think, thinks=1)}
        self._set(cell, Cell(thinking=1, natural=natural, cut=cut, cut_line=cut_line), {**stays, **stop, **rows})

    def _search(self, *patterns: Pattern) -> _Search:
        return _Search(list(patterns), self.vocabulary)

    def _reserve(self, count: int) -> int:
        first = len(self.cells)
        self.cells += [Cell()] * count
        self.effects += [{} for _ in range(count)]
        return first

    def _set(self, cell: int, fixed: Cell, effects: dict[int, Effect]) -> None:
        self.cells[cell], self.effects[cell] = fixed, effects

    def _tape(self, ids: Sequence[int], then: int, thinks: int = 0, answers: int = 0, opens: int = 0) -> int:
        """Cells that force `ids` in turn and go on at `then`; returns the first (`then` itself for no ids)."""
        for i, token in reversed(list(enumerate(ids))):
            last = i == len(ids) - 1
            cell = self._reserve(1)
            self._set(cell, Cell(forced=token), {-1: Effect(then, thinks, answers=answers, opens=opens * last)})
            then = cell
        return then

    def _ban_row(self, ids: set[int]) -> int:
        if ids not in self.ban_rows:
            self.ban_rows.append(ids)
        return self.ban_rows.index(ids)

    def tables(self) -> Tables:
        """The automaton as tensors, on the CPU."""
        texts = self.vocabulary.texts
        rows = [row for row in self.effects if len(row) > 1]
        kinds: dict[tuple[Effect | None, ...], int] = {(None,) * len(rows): 0}  # tokens that act alike are one class
        classes = torch.zeros(len(texts) + 1, dtype=torch.long)
        for token in sorted({token for row in rows for token in row if token >= 0}):
            classes[token] = kinds.setdefault(tuple(row.get(token) for row in rows), len(kinds))
        columns = {id(row): [kind[r] or row[-1] for kind in kinds] for r, row in enumerate(rows)}
        effects = [columns.get(id(row), [row[-1]] * len(kinds)) for row in self.effects]
        banned = sorted(set().union(*self.ban_rows))
        is_end = torch.zeros(len(texts) + 1, dtype=torch.bool)
        is_end[torch.tensor(self.format.ends, dtype=torch.long)] = True
        return Tables(
            classes=classes,
            effects=torch.tensor(effects),
            cells=torch.tensor(self.cells),
            ends=torch.tensor(self.format.ends, dtype=torch.long),
            is_end=is_end,
            ends_line=torch.tensor([(t or "").endswith("\n") for t in texts] + [False]),
            banned_ids=torch.tensor(banned, dtype=torch.long),
            bans=torch.tensor([[i in row for i in banned] for row in self.ban_rows], dtype=torch.bool),
            unused_ids=torch.tensor(self.vocabulary.unused, dtype=torch.long),
            wait_cells=torch.tensor(self.wait_cells or [0]),
            wait_lengths=torch.tensor([len(ids) for ids in self.wait_ids] or [0]),
            num_ids=len(texts),
            close_first=self.format.close[0],
            has_wait=bool(self.wait_ids),
        )


def _apply(place: Place, effect: Effect, i: int) -> Place:
    pending = place.pending * effect.keeps + effect.begins
    thinking = place.thinking_tokens + effect.thinks - pending * effect.closes
    ended = Ended.UNFINISHED if effect.opens else Ended.NATURAL if effect.closes else place.ended
    return Place(
        cell=effect.next,
        thinking_tokens=thinking,
        pending=0 if effect.closes else pending,
        answer_tokens=0 if effect.forgets else place.answer_tokens + effect.answers,
        ended=ended,
        opened_at=i + 1 if effect.opens else place.opened_at,
        close_begins=i + 1 - pending if effect.closes else place.close_begins,
        closed_at=i + 1 if effect.closes else place.closed_at,
    )


def _inside(ids: Sequence[int], at: int, turn: list[int], close: list[int]) -> bool:
    """Whether the turn found at `at` is a part of a closing delimiter (harmony's opens a message of its own)."""
    spots = [at - k for k in range(1, len(close) - len(turn) + 1) if close[k : k + len(turn)] == turn]
    return any(i >= 0 and list(ids[i : i + len(close)]) == close for i in spots)


class _Move(NamedTuple):
    state: int
    found: bool
    keeps: int
    begins: int
    tail: str = ""  # what the token holds behind the pattern


class _Search:
    """Finds any of some patterns in a stream of tokens (Aho-Corasick): id tuples by ids, strings by token texts.

    A string matches however the model spells it in tokens, also where a token reaches over the pattern's edge
    (`>` and the newline behind it). A token counts as part of the pattern if none of its text stands before it.
    """

    def __init__(self, patterns: list[Pattern], vocabulary: Vocabulary) -> None:
        self.patterns = patterns
        self.prefixes: list[Any] = [p[:0] for p in patterns[:1]] or [()]
        self.prefixes += sorted({p[:k] for p in patterns for k in range(1, len(p))}, key=lambda p: (len(p), p))
        self.size = len(self.prefixes)
        self._index = {prefix: i for i, prefix in enumerate(self.prefixes)}
        self.moves: dict[tuple[int, int], _Move] = {}
        if patterns and isinstance(patterns[0], str):
            pieces: list[tuple[int, Any]] = [(i, t) for i, t in enumerate(vocabulary.texts) if t]
        else:
            pieces = [(i, (i,)) for i in sorted({i for p in patterns for i in p if isinstance(i, int)})]
        firsts = {p[0] for p in patterns}
        expected = [firsts | self._expected(prefix) for prefix in self.prefixes]
        for token, piece in pieces:
            begins = not firsts.isdisjoint(piece)
            for state in range(self.size):
                if begins or piece[0] in expected[state]:
                    move = self._move(state, piece)
                    if move.state or move.found:
                        self.moves[state, token] = move

    def rest(self, state: int) -> Pattern:
        """What is missing of the pattern when `state` of it has been seen (for a single pattern)."""
        return self.patterns[0][len(self.prefixes[state]) :]

    def after(self, tail: str) -> int:
        """The state when `tail` is all that has been seen."""
        return next((self._index[tail[k:]] for k in range(len(tail)) if tail[k:] in self._index), 0)

    def _expected(self, seen: Any) -> set[Any]:
        """What may come next if the end of `seen` is to be the beginning of a pattern."""
        tails = [seen[k:] for k in range(len(seen))]
        return {p[len(tail)] for p in self.patterns for tail in tails if p[: len(tail)] == tail}

    def _move(self, state: int, piece: Any) -> _Move:
        seen = self.prefixes[state]
        text = seen + piece
        for pattern in self.patterns:
            at = _find(text, pattern)
            if at >= 0:
                tail = text[at + len(pattern) :] if isinstance(text, str) else ""
                return _Move(0, True, *self._counted(seen, piece, at), tail)
        for k in range(len(text)):
            if text[k:] in self._index:
                return _Move(self._index[text[k:]], False, *self._counted(seen, piece, k))
        return _Move(0, False, 0, 0)

    def _counted(self, seen: Any, piece: Any, at: int) -> tuple[int, int]:
        """(keeps, begins) for a match that begins at `at` of what was seen before and the piece."""
        if isinstance(piece, tuple):  # ids: one token an element, so the length of the match is its tokens
            return 0, len(seen) + len(piece) - at
        if seen and at == 0:
            return 1, 1
        return 0, int(at >= len(seen) and at - len(seen) == 0)


def _find(text: Any, pattern: Any) -> int:
    return next((i for i in range(len(text) - len(pattern) + 1) if text[i : i + len(pattern)] == pattern), -1)
