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

from s1_hf.forcing.budget import NO_LIMIT
from s1_hf.forcing.loops import looping
from s1_hf.forcing.tables import Ruling, State, Tables

if TYPE_CHECKING:
    from collections.abc import Sequence

    from s1_hf.forcing.budget import Budget
    from s1_hf.forcing.loops import LoopGuard

Rule = Literal["greedy", "unknown", "sample", "beam"]
"""How a host chooses tokens; `"unknown"`: it did not say, so that greedy decoding is assumed and not relied on."""

Draw = Callable[[torch.Tensor, bool], torch.Tensor]
"""From scores, of shape `(batch_size, vocab_size)`, to one token per row; `True`: a second draw in the same step."""


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

    def acting(self) -> ActingLimits:
        """Without those that limit no row; looks at them, so that they are better on the CPU."""
        found = []
        for column, idle in zip(self, (NO_LIMIT, 0, 0, 0), strict=True):
            found.append(None if (column == idle).all() else column)
        return ActingLimits(*found)


class ActingLimits(NamedTuple):
    """[`Limits`] of which some may be `None`, for no row has them: what they would cost is saved."""

    max_thinking_tokens: torch.Tensor | None
    min_thinking_tokens: torch.Tensor | None
    num_ignores: torch.Tensor | None
    cut_window: torch.Tensor | None

    def to(self, device: torch.device) -> ActingLimits:
        """The same on `device`."""
        return ActingLimits(*(None if column is None else column.to(device) for column in self))


class Verdict(NamedTuple):
    """What [`judge`] returns."""

    state: torch.Tensor  # (7, batch_size): where each row stands, now that its next token was looked at
    ruling: torch.Tensor  # (batch_size,): a `Ruling` each, which means nothing in rows that do not think


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
    return _moved(tables, state, tables.kind(tokens))


def decide(
    tables: Tables,
    limits: Limits | ActingLimits,
    state: torch.Tensor,
    input_ids: torch.Tensor,
    scores: torch.Tensor,
    rule: Rule = "greedy",
    draw: Draw | None = None,
    loop_guard: LoopGuard | None = None,
    in_place: bool = False,
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
        in_place (`bool`): change `scores` themselves, for hosts that allow it. Where only one token is possible it is
            then raised far above the others, which saves a pass over the vocabulary.
    """
    # 1. What is never allowed in a row's cell (rules 4, 7 and 9).
    scores = _without_unknown(tables, scores if in_place else scores.clone())
    scores = _without(scores, tables.banned_ids, tables.bans[state[Field.CELL]])

    # 2. What the model wants, and what the rules make of it.
    if rule == "sample":
        assert draw is not None
        pick = draw(scores, False)
    else:
        pick = highest(scores)
    looped = looping(input_ids, state[Field.THINKING], loop_guard) if loop_guard else None
    own, before = pick, state
    state, ruling = judge(tables, limits, state, pick, input_ids[:, -1], looped)

    # 3. Scores that leave nothing else possible: of the ends, if any, only those that the rules let through;
    cell = state[Field.CELL]
    if rule in ("beam", "unknown"):  # rules 8 and 10: any token may be taken, so what was no wish must not happen
        others = tables.ends != tables.close_first  # (E,)
        _, ignoring = _on_wishes(tables, limits, before)
        scores = _without(scores, tables.ends, tables.ends_in[cell] & (ignoring[:, None] | others))
    elif may_skip(tables, limits) and possibly(skips := (ruling == Ruling.SKIPPED) | (ruling == Ruling.SKIPPED_EARLY)):
        scores = _without(scores, tables.ends, tables.ends_in[cell] & skips[:, None])
        if draw is not None:  # the next-best token is a draw without ends
            own = torch.where(skips, draw(scores, True), pick)
    # and of all tokens the one that is forced, or was drawn.
    token = tables.forced(cell)  # (batch_size,), -1: the model chooses
    if rule == "sample":
        return Decision(_leave(scores, torch.where(token >= 0, token, own), in_place), state, pick)
    return Decision(_force(scores, token, in_place), state, pick)


def judge(
    tables: Tables,
    limits: Limits | ActingLimits,
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
    ruling = tables.attempts[state[Field.CELL], tables.kind(pick)]  # (batch_size,), 1: the row wants to end; else 0
    if possibly(ruling):
        ruling = ruling * _on_wishes(tables, limits, state)[0]
    if looped is not None:
        ruling = torch.where(looped, tables.ends_line(last) + Ruling.LOOPED_TEXT, ruling)
    if limits.max_thinking_tokens is not None:
        ruling = _on_caps(tables, limits, state, last, ruling)
    if possibly(ruling):
        state = _moved(tables, state, tables.num_kinds + ruling)
    return Verdict(state, ruling)


def _on_wishes(tables: Tables, limits: Limits | ActingLimits, state: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """The ruling on rows that want to end their thinking, and whether that is ignored; both `(batch_size,)`."""
    thought, cap = state[Field.THINKING], limits.max_thinking_tokens
    waits = len(tables.wait_lengths)
    wait = state[Field.IGNORED] % waits if waits > 1 else 0  # which Wait is next

    # 1. Rules 2 and 3: it is, below the minimum, and as long as ignores are left and the Wait has room.
    early = left = has_room = torch.zeros_like(thought, dtype=torch.bool)
    if limits.min_thinking_tokens is not None:
        early = thought < limits.min_thinking_tokens
    if limits.num_ignores is not None:
        left = state[Field.USED] < limits.num_ignores
    if cap is not None:
        has_room = thought + tables.wait_lengths[wait] < cap - tables.message_length
        left = left & has_room
    ignoring = early | left

    # 2. Then it waits, or takes the next-best token if there is no Wait, or no room for it below the minimum.
    ignored = (Ruling.WAITS + 2 * wait if tables.has_wait else Ruling.SKIPPED) + early
    if tables.has_wait and cap is not None and limits.min_thinking_tokens is not None:
        ignored = torch.where(has_room, ignored, Ruling.SKIPPED_EARLY)
    return torch.where(ignoring, ignored, Ruling.HONOURED), ignoring


def _on_caps(
    tables: Tables, limits: Limits | ActingLimits, state: torch.Tensor, last: torch.Tensor, ruling: torch.Tensor
) -> torch.Tensor:
    """`ruling`, of shape `(batch_size,)`, but that rows are cut whose thinking has reached the cap."""
    thought, cap, window = state[Field.THINKING], limits.max_thinking_tokens, limits.cut_window
    assert cap is not None
    full = thought >= cap
    stop_at = cap
    if tables.message_length:  # thinking that is past the message's last chance runs to the cap
        stop_at = cap - tables.message_length
        full = full | (thought == stop_at)
    if window is not None:
        in_window = (thought > stop_at - window) & (thought < stop_at) & (thought > 0)
        if limits.min_thinking_tokens is not None:
            in_window = in_window & (thought >= limits.min_thinking_tokens)
        full = full | (in_window & tables.soft_kinds[tables.kind(last)])
    if not possibly(full):
        return ruling
    cut = tables.ends_line(last) + Ruling.CUT_TEXT
    if tables.message_length:
        cut = torch.where(thought <= stop_at, Ruling.MESSAGE, cut)
    return torch.where(full, cut, ruling)


def _moved(tables: Tables, state: torch.Tensor, kind: torch.Tensor) -> torch.Tensor:
    """The state, of shape `(7, batch_size)`, after a token or ruling of this kind, of shape `(batch_size,)`, each."""
    added, times, of_pending = tables.moves[:, :, state[Field.CELL], kind]  # (7, batch_size) each
    return added.addcmul_(times, state).addcmul_(of_pending, state[Field.PENDING])


def may_skip(tables: Tables, limits: Limits | ActingLimits) -> bool:
    """Whether an end that is ignored may give way to the next-best token, instead of a Wait."""
    return not tables.has_wait or limits.min_thinking_tokens is not None


def possibly(rows: torch.Tensor) -> bool:
    """Whether any of these may hold; yes where looking would wait for the device."""
    return rows.device.type != "cpu" or bool(rows.numpy().any())


def highest(scores: torch.Tensor) -> torch.Tensor:
    """The token with the highest score of each row, the first of several; of shape `(batch_size,)`."""
    if scores.device.type == "cpu" and scores.dtype == torch.float32:
        return torch.from_numpy(scores.detach().numpy().argmax(-1))  # ten times as fast as torch's
    return scores.argmax(-1)


def _without_unknown(tables: Tables, scores: torch.Tensor) -> torch.Tensor:
    """`scores`, changed in place: without the ids that are no token."""
    scores[:, tables.num_ids :].fill_(-torch.inf)
    if len(tables.unused_ids):
        scores.index_fill_(1, tables.unused_ids, -torch.inf)
    return scores


def _without(scores: torch.Tensor, ids: torch.Tensor, banned: torch.Tensor) -> torch.Tensor:
    """`scores`, changed in place: without those of `ids`, of shape `(any,)`, that are banned, `(batch_size, any)`."""
    if possibly(banned):
        scores[:, ids] = scores[:, ids].masked_fill(banned, -torch.inf)
    return scores


RAISED = 1e30
"""The score of the only possible token, where others keep theirs: finite at any temperature."""


def _force(scores: torch.Tensor, token: torch.Tensor, in_place: bool) -> torch.Tensor:
    """`scores`, changed in place: in rows with a token of at least 0 only that one is possible, or raised."""
    only = token >= 0
    if not possibly(only):
        return scores
    place = token.clamp(min=0)[:, None]
    kept = scores.gather(1, place).masked_fill(only[:, None], RAISED if in_place else 0.0)
    if not in_place:
        scores.masked_fill_(only[:, None], -torch.inf)
    return scores.scatter_(1, place, kept)


def _leave(scores: torch.Tensor, token: torch.Tensor, in_place: bool) -> torch.Tensor:
    """`scores`, changed in place: in every row only one token is possible, or raised."""
    if in_place:
        return scores.scatter_(1, token[:, None], RAISED)
    return scores.fill_(-torch.inf).scatter_(1, token[:, None], 0.0)
