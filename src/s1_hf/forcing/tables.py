"""The thinking format as a finite automaton, as tables: cells, what a token does in one, and where a row stands.

Each row of a batch stands in one cell. *Free* cells let the model choose the next token: before thinking (`pre`),
thinking (`think`), thinking right after a tool call (`called`) or a Wait (`hold`), after thinking (`answer`) and after
the end of sequence (`done`); `pre`, `think` and `answer` have one cell for each matched part of a delimiter. The cells
of a *forced run* force one token each. `automaton` builds the tables, `decisions` reads them.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import torch

from s1_hf.forcing.report import Ended

OTHERS = -1
"""In a cell's effects: every token that has no effect of its own there."""


class State(NamedTuple):
    """Where a row stands: integers, or tensors of shape `(batch_size,)` for a whole batch. Counts are in tokens."""

    cell: Any
    thinking_tokens: Any = 0
    pending: Any = 0  # thinking tokens that may turn out to be a closing delimiter
    ignores_used: Any = 0
    ends_ignored: Any = 0  # those below the minimum included
    ended: Any = Ended.NEVER_STARTED
    answer_tokens: Any = 0


class Effect(NamedTuple):
    """What one token does to a row in one cell: integers, or tensors of shape `(batch_size,)`."""

    next: Any  # cell
    thinks: Any = 0  # added to the thinking tokens
    keeps: Any = 0  # 1: the token continues a closing delimiter that began before it
    begins: Any = 0  # tokens of a closing delimiter that begins here
    answers: Any = 0  # added to the answer tokens
    opens: Any = 0  # 1: thinking has been opened
    closes: Any = 0  # 1: thinking has been closed; the delimiter's own tokens are not thinking tokens
    forgets: Any = 0  # 1: what came before was not an answer
    hands_over: Any = 0  # 1: thinking stops here because a tool is waited for


class Cell(NamedTuple):
    """What is fixed for one cell: integers, or tensors of shape `(batch_size,)`."""

    forced: Any = -1  # the token that must come next, or -1: the model chooses
    thinking: Any = 0  # 1: free and thinking, so budgets apply
    bans: Any = 0  # row of `Tables.bans`
    natural: Any = -1  # first cell of the forced run that an honoured end attempt starts
    cut_after_line: Any = -1  # of the run that a cut starts after text that ends a line
    cut_after_text: Any = -1  # of the run that a cut starts after any other text: with a newline first
    stop_message: Any = -1  # of the run that a cut starts where there is room for the stop message


def after_effect(state: State, effect: Effect) -> State:
    """The state after a token with this effect: one formula for a single row and for a whole batch."""
    pending = state.pending * effect.keeps + effect.begins
    went_on = (1 - effect.opens) * (1 - effect.closes) * (1 - effect.hands_over)
    ended = Ended.UNFINISHED * effect.opens + Ended.NATURAL * effect.closes + Ended.HANDED_OVER * effect.hands_over
    return State(
        cell=effect.next,
        thinking_tokens=state.thinking_tokens + effect.thinks - pending * effect.closes,
        pending=pending * (1 - effect.closes),
        ignores_used=state.ignores_used,
        ends_ignored=state.ends_ignored,
        ended=state.ended * went_on + ended,
        answer_tokens=(state.answer_tokens + effect.answers) * (1 - effect.forgets),
    )


@dataclass(frozen=True, eq=False)
class Tables:
    """The automaton as tensors on one device; `K` token classes, `S` ids that are ever banned, `C` cells."""

    classes: torch.Tensor  # (last id + 2,) int64: class of each token; the last entry is for ids beyond the tokenizer
    effects: torch.Tensor  # (C, K, 9) int64: the fields of `Effect`
    cells: torch.Tensor  # (C, 7) int64: the fields of `Cell`
    ends: torch.Tensor  # (number of ends,) int64
    is_end: torch.Tensor  # like classes, bool
    stops: torch.Tensor  # like classes, bool: the token ends the sequence and is no handover
    ends_line: torch.Tensor  # like classes, bool: the token's text ends in a newline
    soft_end: torch.Tensor  # like classes, bool: a soft cut may follow the token
    banned_ids: torch.Tensor  # (S,) int64
    bans: torch.Tensor  # (ban rows, S) bool
    unused_ids: torch.Tensor  # (any,) int64: ids below the tokenizer's last that are no token
    wait_cells: torch.Tensor  # (number of waits,) int64, or one 0 if there is none
    wait_lengths: torch.Tensor  # (number of waits,) int64: tokens of each, or one 0
    num_ids: int
    close_first: int
    called: int  # the cell right behind a finished tool call, in which `stops` are no ends
    knows_calls: bool  # whether there is such a cell; else `called` is -1
    message_length: int  # tokens of the stop message; 0: there is none
    cuts_softly: bool  # whether any row may be cut before its cap
    has_wait: bool

    def to(self, device: torch.device) -> Tables:
        """The same tables on `device`."""
        moved: dict[str, Any] = {}
        for name, value in vars(self).items():
            if isinstance(value, torch.Tensor):
                moved[name] = value.to(device)
        return replace(self, **moved)

    def clamp(self, ids: torch.Tensor) -> torch.Tensor:
        """Ids made safe to look up: those beyond the tokenizer become the last, classless entry."""
        return ids.clamp(max=self.num_ids)

    def effect(self, cell: torch.Tensor, tokens: torch.Tensor) -> Effect:
        """What `tokens` do to rows in `cell`; all of shape `(batch_size,)`."""
        kind = self.classes[self.clamp(tokens)]  # (batch_size,)
        return Effect(*self.effects[cell, kind].unbind(1))

    def cell(self, cell: torch.Tensor) -> Cell:
        """What is fixed for rows in `cell`, of shape `(batch_size,)`."""
        return Cell(*self.cells[cell].unbind(1))

    def forced(self, cell: torch.Tensor) -> torch.Tensor:
        """The token that each cell forces, or -1; `cell` may have any shape."""
        return self.cells[:, Cell._fields.index("forced")][cell]

    def thinking(self, cell: torch.Tensor) -> torch.Tensor:
        """Whether each cell is free and thinking, `int64`; `cell` may have any shape."""
        return self.cells[:, Cell._fields.index("thinking")][cell]


def classified(effects: list[dict[int, Effect]], num_ids: int) -> tuple[torch.Tensor, torch.Tensor]:
    """`Tables.classes` and `Tables.effects`: tokens that act alike in every cell are one class.

    Args:
        effects (`list[dict[int, Effect]]`): of each cell, by token; see [`OTHERS`].
    """
    # 1. Only cells that tell tokens apart matter; forced runs do not.
    telling = [of_cell for of_cell in effects if len(of_cell) > 1]
    tokens: set[int] = set()
    for of_cell in telling:
        tokens.update(of_cell)
    # 2. A class is what its tokens do in each of these cells; class 0 is all tokens without effects of their own.
    kinds: dict[tuple[Effect | None, ...], int] = {(None,) * len(telling): 0}
    classes = torch.zeros(num_ids + 1, dtype=torch.long)
    for token in sorted(tokens - {OTHERS}):
        acts = tuple(of_cell.get(token) for of_cell in telling)
        classes[token] = kinds.setdefault(acts, len(kinds))
    # 3. The effect of each class in each cell, (C, K, 9).
    column_of = {id(of_cell): r for r, of_cell in enumerate(telling)}
    table = []
    for of_cell in effects:
        column, others = column_of.get(id(of_cell)), of_cell[OTHERS]
        if column is None:
            table.append([others] * len(kinds))
        else:
            table.append([acts[column] or others for acts in kinds])
    return classes, torch.tensor(table)
