"""The decisions of budget forcing: pure functions over small integer state, for a whole batch on any device.

This module is the contract (s1, https://arxiv.org/abs/2501.19393, section 3.1, made exact for batches): when thinking
is cut, which end is ignored, what is forced. It knows tensors, and no host library; nothing here waits for a device.

State is one `int64` tensor of shape `(7, batch_size)`, see [`Field`]. `advance` adds a token to every row, `decide`
looks at the scores of the next token and returns what the row must do.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import IntEnum
from typing import TYPE_CHECKING, Literal, NamedTuple

import torch

from s1_hf.forcing.automaton import Ended, Place, Tables

if TYPE_CHECKING:
    from s1_hf.forcing.budget import LoopGuard

Rule = Literal["greedy", "sample", "beam"]
Draw = Callable[[torch.Tensor], tuple[torch.Tensor, torch.Tensor]]  # scores to probabilities and a token a row


class Field(IntEnum):
    """Rows of the state."""

    CELL = 0  # of the automaton
    THINKING = 1  # thinking tokens so far
    PENDING = 2  # of these, how many may turn out to be a closing delimiter
    USED = 3  # ignores used up
    IGNORED = 4  # ends ignored, those below the minimum included
    ENDED = 5  # `Ended`
    ANSWER = 6  # answer tokens so far


class Limits(NamedTuple):
    """The budgets of each row, `int64` of shape `(batch_size,)`, in tokens."""

    most: torch.Tensor  # max_thinking_tokens
    least: torch.Tensor  # min_thinking_tokens
    ignores: torch.Tensor  # num_ignores


class Verdict(NamedTuple):
    """What [`judge`] returns; `bool` of shape `(batch_size,)` but for the state."""

    state: torch.Tensor  # (7, batch_size): where each row stands, now that its next token was looked at
    free: torch.Tensor  # the row thinks, and neither cap nor loop stops it here
    honoured: torch.Tensor  # it ends here, because the model wants to
    skips: torch.Tensor  # it wanted to end, is not let, and takes the next-best token
    ignoring: torch.Tensor  # if it wanted to end, it would not be let


class Decision(NamedTuple):
    """What [`decide`] returns."""

    scores: torch.Tensor  # (batch_size, vocab_size): new scores, in which only what is allowed is above -inf
    state: torch.Tensor  # (7, batch_size): where each row stands if it takes its next token from `scores`
    pick: torch.Tensor  # (batch_size,): the token that was looked at: the most likely one, or the one drawn


def first_state(places: list[Place]) -> torch.Tensor:
    """The state of rows that stand where their prompts have led."""
    rows = [(p.cell, p.thinking_tokens, p.pending, 0, 0, int(p.ended), p.answer_tokens) for p in places]
    return torch.tensor(rows, dtype=torch.long).T.contiguous()


def advance(tables: Tables, state: torch.Tensor, tokens: torch.Tensor) -> torch.Tensor:
    """The state after `tokens`, of shape `(batch_size,)`, one for each row."""
    cell, thinking, pending, used, ignored, ended, answer = state.unbind()
    kind = tables.classes[tables.clamp(tokens)]
    cell, thinks, keeps, begins, answers, opens, closes, forgets = tables.effects[cell, kind].unbind(1)
    pending = pending * keeps + begins
    thinking = thinking + thinks - pending * closes
    ended = ended * (1 - opens) * (1 - closes) + Ended.UNFINISHED * opens + Ended.NATURAL * closes
    answer = (answer + answers) * (1 - forgets)
    return torch.stack([cell, thinking, pending * (1 - closes), used, ignored, ended, answer])


def decide(
    tables: Tables,
    limits: Limits,
    state: torch.Tensor,
    input_ids: torch.Tensor,
    scores: torch.Tensor,
    rule: Rule = "greedy",
    draw: Draw | None = None,
    loop_guard: LoopGuard | None = None,
) -> Decision:
    """Apply the contract's rules to the next token of every row.

    Args:
        state (`torch.LongTensor` of shape `(7, batch_size)`): of `input_ids`.
        input_ids (`torch.LongTensor` of shape `(batch_size, sequence_length)`): all tokens so far; only the last is
            looked at, and the last few by the loop guard.
        scores (`torch.FloatTensor` of shape `(batch_size, vocab_size)`): of the next token; left as they are.
        rule (`str`): how the next token will be chosen, see the contract's "End attempt" and rule 8.
        draw (`Callable`, *optional*): for `"sample"`: turns scores into the final probabilities, of the same shape, and
            one token a row drawn from them.
    """
    scores = _ban(tables, scores, tables.bans[tables.cells[state[Field.CELL], 2]])  # rules 4, 7, 9
    if rule == "sample":
        assert draw is not None
        probabilities, pick = draw(scores)
    else:
        pick = scores.argmax(-1)
    looped = looping(input_ids, state[Field.THINKING], loop_guard) if loop_guard else None
    state, free, honoured, skips, ignoring = judge(tables, limits, state, pick, input_ids[:, -1], looped)

    token = tables.cells[state[Field.CELL], 0]
    only = token >= 0
    if rule == "sample":
        # The draw has been made: a row in which an end was possible takes the token drawn, so that the law is that
        # of drawing first and asking then. Where no end was possible the scores can go on as they are.
        drawn = free & ~only & ~skips & (probabilities[:, tables.ends].sum(-1) > 0)
        token = torch.where(drawn, pick, token)
        only = only | drawn
        scores = _ban_ends(tables, scores, skips)
    elif rule == "greedy":
        scores = _ban_ends(tables, scores, skips)
    else:  # rule 8: a beam has no single next token, so that what was not attempted must not happen by the way
        scores = _ban_ends(tables, scores, free & ~honoured & ignoring)
        scores = _ban_ends(tables, scores, free & ~ignoring, keep=tables.close_first)
    return Decision(_force(scores, token, only), state, pick)


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
    cell, thinking, pending, used, ignored, ended, answer = state.unbind()
    _, free, _, natural, cut, cut_line = tables.cells[cell].unbind(1)
    free = free.bool()
    full = free & (thinking >= limits.most)  # rule 6
    looped = torch.zeros_like(full) if looped is None else free & looped & ~full
    free = free & ~full & ~looped
    attempt = free & tables.is_end[tables.clamp(pick)]

    wait = ignored % len(tables.wait_cells)
    room = thinking + tables.wait_lengths[wait] < limits.most
    early = thinking < limits.least  # rule 2
    ignoring = early | ((used < limits.ignores) & room)  # rule 3
    ignored_now = attempt & ignoring
    waits = ignored_now & room if tables.has_wait else torch.zeros_like(attempt)
    honoured = attempt & ~ignoring  # rule 5

    closing = torch.where(tables.ends_line[tables.clamp(last)], cut, cut_line)
    stopped = full | looped
    cell = torch.where(
        waits, tables.wait_cells[wait], torch.where(honoured, natural, torch.where(stopped, closing, cell))
    )
    how = torch.where(honoured, Ended.NATURAL, torch.where(full, Ended.CUT, Ended.LOOPED))
    leaves = honoured | stopped
    state = torch.stack(
        [
            cell,
            torch.where(leaves, thinking - pending, thinking),
            torch.where(leaves, 0, pending),
            used + (ignored_now & ~early).long(),
            ignored + ignored_now.long(),
            torch.where(leaves, how, ended),
            answer,
        ]
    )
    return Verdict(state, free, honoured, ignored_now & ~waits, ignoring)


def looping(input_ids: torch.Tensor, thinking: torch.Tensor, guard: LoopGuard) -> torch.Tensor:
    """Which rows repeat themselves, see [`LoopGuard`]; `bool` of shape `(batch_size,)`."""
    periods = torch.arange(1, guard.max_period + 1, device=input_ids.device)
    stretch = (periods * guard.repeats).clamp(min=guard.min_tokens)
    width = max(guard.max_period * guard.repeats, guard.min_tokens)
    tail = torch.nn.functional.pad(input_ids, (max(width - input_ids.shape[1], 0), 0), value=-1)[:, -width:]
    at = torch.arange(width, device=input_ids.device)
    before = (at - periods[:, None]).clamp(min=0)
    same = tail[:, None, :] == tail[:, before]
    outside = at < (width - stretch + periods)[:, None]
    return ((same | outside).all(-1) & (thinking[:, None] >= stretch)).any(-1)


def _ban(tables: Tables, scores: torch.Tensor, bans: torch.Tensor) -> torch.Tensor:
    """New scores without the ids that are no token and without those banned in each row."""
    scores = scores.clone()
    scores[:, tables.num_ids :] = -torch.inf
    if len(tables.unused_ids):
        scores.index_fill_(1, tables.unused_ids, -torch.inf)
    scores[:, tables.banned_ids] = scores[:, tables.banned_ids].masked_fill(bans, -torch.inf)
    return scores


def _ban_ends(tables: Tables, scores: torch.Tensor, rows: torch.Tensor, keep: int | None = None) -> torch.Tensor:
    banned = rows[:, None] & (tables.ends != keep) if keep is not None else rows[:, None]
    scores[:, tables.ends] = scores[:, tables.ends].masked_fill(banned, -torch.inf)
    return scores


def _force(scores: torch.Tensor, token: torch.Tensor, only: torch.Tensor) -> torch.Tensor:
    """Leave one token possible in the rows of `only`, with a score of 0."""
    token = token.clamp(min=0)[:, None]
    kept = scores.gather(1, token).masked_fill(only[:, None], 0.0)
    return scores.masked_fill_(only[:, None], -torch.inf).scatter_(1, token, kept)
