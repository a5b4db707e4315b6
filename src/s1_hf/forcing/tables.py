"""The thinking format as a finite automaton, as tables: cells, what a token does in one, and where a row stands.

Each row of a batch stands in one cell. *Free* cells let the model choose the next token: before thinking (`pre`),
thinking (`think`), thinking right after a tool call (`called`) or a Wait (`hold`), after thinking (`answer`) and after
the end of sequence (`done`); `pre`, `think` and `answer` have one cell for each matched part of a delimiter. The cells
of a *forced run* force one token each. `automaton` builds the tables, `decisions` reads them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import IntEnum
from typing import Any, NamedTuple

import torch

from s1_hf.forcing.report import Ended

OTHERS = -1
"""In a cell's effects: every token that has no effect of its own there."""


class State(NamedTuple):
    """Where a row stands, as integers. Counts are in tokens."""

    cell: int
    thinking_tokens: int = 0
    pending: int = 0  # thinking tokens that may turn out to be a closing delimiter
    ignores_used: int = 0
    ends_ignored: int = 0  # those below the minimum included
    ended: int = Ended.NEVER_STARTED
    answer_tokens: int = 0


class Effect(NamedTuple):
    """What one token, or one [`Ruling`], does to a row in one cell."""

    next: int  # cell
    thinks: int = 0  # added to the thinking tokens
    keeps: int = 0  # 1: the token continues a closing delimiter that began before it
    begins: int = 0  # tokens of a closing delimiter that begins here
    answers: int = 0  # added to the answer tokens
    opens: int = 0  # 1: thinking has been opened
    closes: int = 0  # 1: thinking has been closed; the delimiter's own tokens are not thinking tokens
    forgets: int = 0  # 1: what came before was not an answer
    hands_over: int = 0  # 1: thinking stops here because a tool is waited for
    how: int = Ended.NATURAL  # how thinking has ended, where it is closed
    ignores: int = 0  # 1: an end was ignored
    uses: int = 0  # 1: and has used up one of the ignores


class Cell(NamedTuple):
    """What is fixed for one cell."""

    forced: int = -1  # the token that must come next, or -1: the model chooses
    thinking: int = 0  # 1: free and thinking, so budgets apply
    bans: int = 0  # row of the automaton's bans
    natural: int = -1  # first cell of the forced run that an honoured end attempt starts
    cut_after_line: int = -1  # of the run that a cut starts after text that ends a line
    cut_after_text: int = -1  # of the run that a cut starts after any other text: with a newline first
    stop_message: int = -1  # of the run that a cut starts where there is room for the stop message


class Mark(NamedTuple):
    """What rules ask about a token, whatever cell it is met in."""

    is_end: bool = False
    stops: bool = False  # it ends the sequence and is no handover
    ends_line: bool = False  # its text ends in a newline
    soft_end: bool = False  # a soft cut may follow it


class Ruling(IntEnum):
    """What the rules make of a row before its next token. A row that does not think is left as it is by all of them.

    Those of the Waits come last: of the `i`-th Wait it is `WAITS + 2 * i`, below the minimum one more.
    """

    NONE = 0
    HONOURED = 1  # it ends here, because the model wants to
    SKIPPED = 2  # it wanted to end, may not, and takes the next-best token
    SKIPPED_EARLY = 3  # likewise below the minimum
    MESSAGE = 4  # it is cut, with the stop message
    CUT_TEXT = 5  # it is cut after text that ends no line
    CUT_LINE = 6
    LOOPED_TEXT = 7  # it is closed because it repeats itself
    LOOPED_LINE = 8
    WAITS = 9  # it wanted to end, and a Wait comes instead


def effects_of_rulings(cell: int, fixed: Cell, wait_cells: Sequence[int]) -> list[Effect]:
    """What each [`Ruling`] does to a row in `cell`, of which `fixed` holds; none is a token, so that nothing counts."""
    stays = Effect(cell, keeps=1)
    if not fixed.thinking:
        return [stays] * (Ruling.WAITS + 2 * len(wait_cells))
    closed = Effect(cell, keeps=1, closes=1)
    effects = [stays] * Ruling.WAITS
    effects[Ruling.HONOURED] = closed._replace(next=fixed.natural)
    effects[Ruling.SKIPPED] = stays._replace(ignores=1, uses=1)
    effects[Ruling.SKIPPED_EARLY] = stays._replace(ignores=1)
    effects[Ruling.MESSAGE] = closed._replace(next=fixed.stop_message, how=Ended.CUT)
    effects[Ruling.CUT_TEXT] = closed._replace(next=fixed.cut_after_text, how=Ended.CUT)
    effects[Ruling.CUT_LINE] = closed._replace(next=fixed.cut_after_line, how=Ended.CUT)
    effects[Ruling.LOOPED_TEXT] = closed._replace(next=fixed.cut_after_text, how=Ended.LOOPED)
    effects[Ruling.LOOPED_LINE] = closed._replace(next=fixed.cut_after_line, how=Ended.LOOPED)
    for wait in wait_cells:
        effects += [Effect(wait, keeps=1, ignores=1, uses=1), Effect(wait, keeps=1, ignores=1)]
    return effects


def after_effect(state: State, effect: Effect) -> State:
    """The state after a token, or a ruling, with this effect."""
    pending = state.pending * effect.keeps + effect.begins
    ended = state.ended
    if effect.opens:
        ended = Ended.UNFINISHED
    elif effect.closes:
        ended = effect.how
    elif effect.hands_over:
        ended = Ended.HANDED_OVER
    return State(
        cell=effect.next,
        thinking_tokens=state.thinking_tokens + effect.thinks - pending * effect.closes,
        pending=pending * (1 - effect.closes),
        ignores_used=state.ignores_used + effect.uses,
        ends_ignored=state.ends_ignored + effect.ignores,
        ended=ended,
        answer_tokens=(state.answer_tokens + effect.answers) * (1 - effect.forgets),
    )


Move = tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...]]
"""An effect as numbers, seven each: what is added to the state, times what, and how often what is pending."""


def move_of(effect: Effect) -> Move:
    """What [`after_effect`] does with an effect: field by field its sums, but that what is pending goes elsewhere."""
    nothing = State(0)
    added = after_effect(nothing, effect)
    pending = after_effect(nothing._replace(pending=1), effect)
    times, of_pending = [], []
    for i, name in enumerate(State._fields):
        times.append(after_effect(nothing._replace(**{name: 1}), effect)[i] - added[i])
        of_pending.append(0 if name == "pending" else pending[i] - added[i])
    return tuple(map(int, added)), tuple(times), tuple(of_pending)


@dataclass(frozen=True, eq=False)
class Tables:
    """The automaton as tensors on one device; `K` kinds of tokens, `R` rulings, `S` ids that are ever banned, `E` ends,
    `C` cells."""

    kinds: torch.Tensor  # (last id + 2,) int64: kind of each token; the last entry is for ids beyond the tokenizer
    moves: torch.Tensor  # (3, 7, C, K + R) int64: `Move`s of what each kind of token, and each ruling, does in a cell
    attempts: torch.Tensor  # (C, K) int64, 1: such a token is an attempt to end
    end_kinds: torch.Tensor  # (K,) bool: such tokens are ends
    line_kinds: torch.Tensor  # (K,) bool: their texts end in a newline
    soft_kinds: torch.Tensor  # (K,) bool: a soft cut may follow them
    forced_tokens: torch.Tensor  # (C,) int64: what must come next, or -1
    thinks: torch.Tensor  # (C,) bool: free and thinking
    bans: torch.Tensor  # (C, S) bool: which of `banned_ids` are never allowed
    banned_ids: torch.Tensor  # (S,) int64
    ends: torch.Tensor  # (E,) int64
    ends_in: torch.Tensor  # (C, E) bool: where choosing one of `ends` is an attempt to end
    unused_ids: torch.Tensor  # (any,) int64: ids below the tokenizer's last that are no token
    wait_lengths: torch.Tensor  # (number of waits,) int64: tokens of each, or one 0 if there is none
    num_ids: int
    close_first: int
    message_length: int  # tokens of the stop message; 0: there is none
    has_wait: bool

    @property
    def num_kinds(self) -> int:
        """`K`; in `moves` rulings come behind so many kinds of tokens."""
        return self.attempts.shape[1]

    def to(self, device: torch.device) -> Tables:
        """The same tables on `device`."""
        moved: dict[str, Any] = {}
        for name, value in vars(self).items():
            if isinstance(value, torch.Tensor):
                moved[name] = value.to(device)
        return replace(self, **moved)

    def kind(self, tokens: torch.Tensor) -> torch.Tensor:
        """Of each token its kind; ids beyond the tokenizer are like a token without any effect of its own."""
        return self.kinds[tokens.clamp(max=self.num_ids)]

    def is_end(self, tokens: torch.Tensor) -> torch.Tensor:
        """Whether each token is an end."""
        return self.end_kinds[self.kind(tokens)]

    def ends_line(self, tokens: torch.Tensor) -> torch.Tensor:
        """Whether each token's text ends in a newline."""
        return self.line_kinds[self.kind(tokens)]

    def forced(self, cell: torch.Tensor) -> torch.Tensor:
        """The token that each cell forces, or -1; `cell` may have any shape."""
        return self.forced_tokens[cell]

    def thinking(self, cell: torch.Tensor) -> torch.Tensor:
        """Whether each cell is free and thinking; `cell` may have any shape."""
        return self.thinks[cell]


class Kind(NamedTuple):
    """What tokens of one kind have in common."""

    acts: tuple[Effect | None, ...]  # in each cell that tells tokens apart; `None`: as others there
    mark: Mark = Mark()


def classified(
    effects: Sequence[Mapping[int, Effect]], marks: Mapping[int, Mark], num_ids: int
) -> tuple[torch.Tensor, list[Kind], list[list[Effect]]]:
    """Tokens that act alike in every cell, and are alike to the rules, are one kind.

    Args:
        effects (`Sequence[Mapping[int, Effect]]`): of each cell, by token; see [`OTHERS`].
        marks (`Mapping[int, Mark]`): of tokens that have any.

    Returns:
        `Tables.kinds`, the kinds, and the effect of each kind in each cell.
    """
    # 1. Only cells that tell tokens apart matter; forced runs do not.
    telling = [of_cell for of_cell in effects if len(of_cell) > 1]
    tokens = set(marks)
    for of_cell in telling:
        tokens.update(of_cell)
    # 2. A kind is what its tokens do in each of these cells; kind 0 is all tokens without anything of their own.
    found: dict[Kind, int] = {Kind((None,) * len(telling)): 0}
    kinds = torch.zeros(num_ids + 1, dtype=torch.long)
    for token in sorted(tokens - {OTHERS}):
        kind = Kind(tuple(of_cell.get(token) for of_cell in telling), marks.get(token, Mark()))
        kinds[token] = found.setdefault(kind, len(found))
    # 3. The effect of each kind in each cell.
    column_of = {id(of_cell): r for r, of_cell in enumerate(telling)}
    table = []
    for of_cell in effects:
        column, others = column_of.get(id(of_cell)), of_cell[OTHERS]
        if column is None:
            table.append([others] * len(found))
        else:
            table.append([kind.acts[column] or others for kind in found])
    return kinds, list(found), table
