"""The decisions of budget forcing: pure functions over small integer state, for a whole batch on any device.

This module is the contract (docs/semantics.md; s1, https://arxiv.org/abs/2501.19393, section 3.1, made exact for
batches): when thinking is cut, which end is ignored, what is forced. It knows tensors and no host library; nothing here
waits for the device.

The state is one `int64` tensor of shape `(7, batch_size)`, with the fields of [`State`] as rows. A step of a host is:

1. `advance` adds the token that was generated to every row's state;
2. `decide` looks at the scores of the next token and returns new scores, in which only what is allowed is possible.
   It finds the token that the model wants (the most likely one, or one drawn), asks `judge` what the rules make of it,
   and lets the scores say so.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import IntEnum
from typing import TYPE_CHECKING, Literal, NamedTuple

import torch

from s1_hf.forcing.loops import looping
from s1_hf.forcing.report import Ended
from s1_hf.forcing.tables import State, Tables, after_effect

if TYPE_CHECKING:
    from collections.abc import Sequence

    from s1_hf.forcing.budget import Budget
    from s1_hf.forcing.loops import LoopGuard

Rule = Literal["greedy", "unknown", "sample", "beam"]
"""How a host chooses tokens; `"unknown"`: it did not say, so that greedy decoding is assumed and not relied on."""

Draw = Callable[[torch.Tensor, bool], torch.Tensor]
"""From scores, of shape `(batch_size, vocab_size)`, to one token per row; `True`: a second draw in the same step."""

MostLikely = Callable[[torch.Tensor], torch.Tensor]
"""From scores, of shape `(batch_size, vocab_size)`, to the highest of each row: hosts may have a faster one."""


def highest(scores: torch.Tensor) -> torch.Tensor:
    """The token with the highest score of each row, of shape `(batch_size,)`."""
    return scores.argmax(-1)


class Field(IntEnum):
    """The rows of the state: the fields of [`State`] by number."""

    CELL = 0
    THINKING = 1
    PENDING = 2
    USED = 3
    IGNORED = 4
    ENDED = 5
    ANSWER = 6


class Limits(NamedTuple):
    """The budget of each row, as `int64` tensors of shape `(batch_size,)`, in tokens."""

    max_thinking_tokens: torch.Tensor
    min_thinking_tokens: torch.Tensor
    num_ignores: torch.Tensor
    cut_window: torch.Tensor

    def to(self, device: torch.device) -> Limits:
        """The same on `device`."""
        return Limits(*(column.to(device) for column in self))


class Verdict(NamedTuple):
    """What [`judge`] returns; `bool` of shape `(batch_size,)`, except for the state."""

    state: torch.Tensor  # (7, batch_size): where each row stands, now that its next token was looked at
    free: torch.Tensor  # the row thinks, and neither cap nor loop stops it here
    honoured: torch.Tensor  # it ends here, because the model wants to
    skips: torch.Tensor  # it wanted to end, may not, and takes the next-best token
    ignoring: torch.Tensor  # if it wanted to end, it would not be let through


class Decision(NamedTuple):
    """What [`decide`] returns."""

    scores: torch.Tensor  # (batch_size, vocab_size): new scores, in which only what is allowed is above -inf
    state: torch.Tensor  # (7, batch_size): where each row stands if it takes its next token from `scores`
    pick: torch.Tensor  # (batch_size,): the token that was looked at: the most likely one, or the one drawn


def first_state(states: Sequence[State]) -> torch.Tensor:
    """The state, of shape `(7, batch_size)`, of rows that stand where their prompts have led."""
    return torch.tensor([tuple(map(int, state)) for state in states], dtype=torch.long).T.contiguous()


def limits_for(budget: Budget, num_prompts: int, rows_per_prompt: int = 1) -> Limits:
    """The limits of a batch of `num_prompts * rows_per_prompt` rows; a prompt's rows share its budget.

    An `"auto"` cap is no limit yet: the host knows how much room there is.
    """
    columns = (torch.tensor(budget.column(name, num_prompts)) for name in Limits._fields)
    return Limits(*(column.repeat_interleave(rows_per_prompt) for column in columns))


def advance(tables: Tables, state: torch.Tensor, tokens: torch.Tensor) -> torch.Tensor:
    """The state, of shape `(7, batch_size)`, after `tokens`, of shape `(batch_size,)`, one for each row."""
    before = State(*state.unbind())
    return torch.stack(after_effect(before, tables.effect(before.cell, tokens)))


def decide(
    tables: Tables,
    limits: Limits,
    state: torch.Tensor,
    input_ids: torch.Tensor,
    scores: torch.Tensor,
    rule: Rule = "greedy",
    draw: Draw | None = None,
    loop_guard: LoopGuard | None = None,
    may_skip: bool = True,
    in_place: bool = False,
    most_likely: MostLikely = highest,
) -> Decision:
    """Apply the contract's rules to the next token of every row.

    Args:
        state (`torch.LongTensor` of shape `(7, batch_size)`): of `input_ids`.
        input_ids (`torch.LongTensor` of shape `(batch_size, sequence_length)`): all tokens so far; only the last is
            looked at, and the last few by the loop guard.
        scores (`torch.FloatTensor` of shape `(batch_size, vocab_size)`): of the next token; not modified, unless
            `in_place`.
        rule (`str`): how the next token will be chosen, see the contract's "End attempt" and rule 8.
        draw (`Callable`, *optional*): for `"sample"`, see [`Draw`].
        may_skip (`bool`): whether an ignored end may have no Wait in its place; `False` saves work when sampling.
        in_place (`bool`): change `scores` themselves, for hosts that allow it. Where only one token is possible it is
            then raised far above the others, which saves a pass over the vocabulary.
        most_likely (`Callable`): what finds the most likely tokens.
    """
    # 1. What is never allowed in a row's cell (rules 4, 7 and 9).
    bans = tables.bans[tables.cell(state[Field.CELL]).bans]  # (batch_size, S)
    scores = _ban(tables, scores if in_place else scores.clone(), bans)

    # 2. What the model wants, and what the rules make of it.
    if rule == "sample":
        assert draw is not None
        pick = draw(scores, False)
    else:
        pick = most_likely(scores)
    looped = looping(input_ids, state[Field.THINKING], loop_guard) if loop_guard else None
    state, free, honoured, skips, ignoring = judge(tables, limits, state, pick, input_ids[:, -1], looped)

    # 3. Scores that leave nothing else possible.
    token = tables.forced(state[Field.CELL])  # (batch_size,), -1: the model chooses
    only = token >= 0
    if rule == "sample":  # the draw has been made, so that only the token drawn is possible
        assert draw is not None
        own = pick
        if may_skip:  # the next-best token is a draw without ends
            own = torch.where(skips, draw(_ban_ends(tables, state, scores, skips), True), pick)
        token, only = torch.where(only, token, own), torch.ones_like(only)
    elif rule == "greedy":
        scores = _ban_ends(tables, state, scores, skips)
    else:  # rules 8 and 10: any token may be taken, so what was not attempted must not happen by the way
        scores = _ban_ends(tables, state, scores, free & ~honoured & ignoring)
        scores = _ban_ends(tables, state, scores, free & ~ignoring, keep=tables.close_first)
    scores = _raise(scores, token, only) if in_place else _force(scores, token, only)
    return Decision(scores, state, pick)


def judge(
    tables: Tables,
    limits: Limits,
    state: torch.Tensor,
    pick: torch.Tensor,
    last: torch.Tensor,
    looped: torch.Tensor | None = None,
) -> Verdict:
    """Apply the rules to rows whose next token, as the model wants it, is known.

    Args:
        state (`torch.LongTensor` of shape `(7, batch_size)`): before that token.
        pick (`torch.LongTensor` of shape `(batch_size,)`): that token.
        last (`torch.LongTensor` of shape `(batch_size,)`): the token before it.
        looped (`torch.BoolTensor` of shape `(batch_size,)`, *optional*): which rows repeat themselves.
    """
    row = State(*state.unbind())
    cell = tables.cell(row.cell)
    cap = limits.max_thinking_tokens

    # Rule 6: the cap; or the loop guard, before it.
    free = cell.thinking.bool()
    full = row.thinking_tokens >= cap
    stop_at = cap
    if tables.message_length:  # thinking that is past the message's last chance runs to the cap
        stop_at = cap - tables.message_length
        full = full | (row.thinking_tokens == stop_at)
    if tables.cuts_softly:
        in_window = (row.thinking_tokens > stop_at - limits.cut_window) & (row.thinking_tokens < stop_at)
        has_thought = (row.thinking_tokens > 0) & (row.thinking_tokens >= limits.min_thinking_tokens)
        full = full | (in_window & has_thought & tables.soft_end[tables.clamp(last)])
    full = free & full
    looped = torch.zeros_like(full) if looped is None else free & looped & ~full
    free = free & ~full & ~looped

    # Rules 2 and 3: an attempt to end is ignored below the minimum, and as long as ignores are left.
    attempt = free & tables.is_end[tables.clamp(pick)]
    if tables.knows_calls:  # rule 5: behind a finished tool call an end of sequence is a handover
        attempt = attempt & ~((row.cell == tables.called) & tables.stops[tables.clamp(pick)])
    wait = row.ends_ignored % len(tables.wait_cells)  # which Wait is next
    has_room = row.thinking_tokens + tables.wait_lengths[wait] < stop_at
    early = row.thinking_tokens < limits.min_thinking_tokens
    ignoring = early | ((row.ignores_used < limits.num_ignores) & has_room)
    ignored = attempt & ignoring
    waits = ignored & has_room if tables.has_wait else torch.zeros_like(attempt)

    # Rule 5: any other attempt is honoured.
    honoured = attempt & ~ignoring

    # Where each row stands now: in a forced run, or where it was.
    ends_line = tables.ends_line[tables.clamp(last)]
    cut = torch.where(ends_line, cell.cut_after_line, cell.cut_after_text)
    if tables.message_length:
        cut = torch.where(full & (row.thinking_tokens <= stop_at), cell.stop_message, cut)
    stopped = full | looped
    now = torch.where(stopped, cut, row.cell)
    now = torch.where(honoured, cell.natural, now)
    now = torch.where(waits, tables.wait_cells[wait], now)
    how = torch.where(honoured, Ended.NATURAL, torch.where(full, Ended.CUT, Ended.LOOPED))
    leaves = honoured | stopped
    after = State(
        cell=now,
        thinking_tokens=torch.where(leaves, row.thinking_tokens - row.pending, row.thinking_tokens),
        pending=torch.where(leaves, 0, row.pending),
        ignores_used=row.ignores_used + (ignored & ~early).long(),
        ends_ignored=row.ends_ignored + ignored.long(),
        ended=torch.where(leaves, how, row.ended),
        answer_tokens=row.answer_tokens,
    )
    return Verdict(torch.stack(after), free, honoured, ignored & ~waits, ignoring)


def _ban(tables: Tables, scores: torch.Tensor, bans: torch.Tensor) -> torch.Tensor:
    """`scores`, changed in place: without the ids that are no token and without those banned in each row."""
    scores[:, tables.num_ids :] = -torch.inf
    if len(tables.unused_ids):
        scores.index_fill_(1, tables.unused_ids, -torch.inf)
    scores[:, tables.banned_ids] = scores[:, tables.banned_ids].masked_fill(bans, -torch.inf)
    return scores


def _ban_ends(
    tables: Tables, state: torch.Tensor, scores: torch.Tensor, rows: torch.Tensor, keep: int | None = None
) -> torch.Tensor:
    """`scores`, changed in place: without ends (but for `keep`) in the given rows, `bool` of shape `(batch_size,)`."""
    banned = rows[:, None]
    if keep is not None:
        banned = banned & (tables.ends != keep)
    if tables.knows_calls:
        handing_over = (state[Field.CELL] == tables.called)[:, None] & tables.stops[tables.ends]
        banned = banned & ~handing_over
    scores[:, tables.ends] = scores[:, tables.ends].masked_fill(banned, -torch.inf)
    return scores


def _force(scores: torch.Tensor, token: torch.Tensor, only: torch.Tensor) -> torch.Tensor:
    """`scores`, changed in place: in the rows of `only`, one token is possible, with a score of 0."""
    token = token.clamp(min=0)[:, None]
    kept = scores.gather(1, token).masked_fill(only[:, None], 0.0)
    return scores.masked_fill_(only[:, None], -torch.inf).scatter_(1, token, kept)


RAISED = 1e30
"""The score of the only possible token, where others keep theirs: finite at any temperature."""


def _raise(scores: torch.Tensor, token: torch.Tensor, only: torch.Tensor) -> torch.Tensor:
    """`scores`, changed in place: in the rows of `only`, one token stands far above all others."""
    token = token.clamp(min=0)[:, None]
    kept = scores.gather(1, token).masked_fill(only[:, None], RAISED)
    return scores.scatter_(1, token, kept)
