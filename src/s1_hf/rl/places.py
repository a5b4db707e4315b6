"""What the rules had left to the model at every place of rows that have been generated: the rows are followed again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import torch

from s1_hf.forcing.decisions import Field, Limits, advance, first_state, judge, limits_for
from s1_hf.forcing.loops import looping
from s1_hf.forcing.prompts import start_of
from s1_hf.forcing.tables import Ruling, Tables

if TYPE_CHECKING:
    from s1_hf.engines.engine import Finished
    from s1_hf.forcing.automaton import Automaton

NOTHING, HONOURED, SKIPPED, WAITED = range(4)
"""What would have become of an attempt to end: there could be none; the closing delimiter; the next-best token; a
Wait."""


class Mismatch(RuntimeError):
    """The rules do not lead to these rows."""


@dataclass(frozen=True, eq=False)
class Places:
    """Rows as tensors of shape `(rows, length)`, padded on the right; what is said of padding means nothing.

    Args:
        ids (`torch.LongTensor`): what was generated.
        lengths (`list[int]`): of each row.
        fixed (`torch.BoolTensor`): whether only one token was possible, whatever the model wanted.
        cells (`torch.LongTensor`): where the row stood, before the rules looked at what the model wanted.
        after_end (`torch.LongTensor`): what an attempt to end would have become.
        ended (`torch.BoolTensor`): whether there was such an attempt, and a token that the rules chose stands there.
        closes_with (`torch.LongTensor`): what an honoured attempt is emitted as.
        tables ([`Tables`]): of all rows.
    """

    ids: torch.Tensor
    lengths: list[int]
    fixed: torch.Tensor
    cells: torch.Tensor
    after_end: torch.Tensor
    ended: torch.Tensor
    closes_with: torch.Tensor
    tables: Tables

    @property
    def as_itself(self) -> torch.Tensor:
        """Where the token is what was drawn: no Wait's first, no other token in place of an end; `(rows, length)`."""
        is_end = (self.ids[..., None] == self.tables.ends).any(-1)
        return ~self.ended | ((self.after_end == HONOURED) & is_end)

    def on(self, device: torch.device) -> Flat:
        """All places one after another."""
        ids, cells, after_end, ended, closes_with = (
            column.reshape(-1).to(device)
            for column in (self.ids, self.cells, self.after_end, self.ended, self.closes_with)
        )
        return Flat(ids, cells, after_end, ended, closes_with, self.tables.to(device))


class Flat(NamedTuple):
    """[`Places`], of shape `(places,)`."""

    ids: torch.Tensor
    cells: torch.Tensor
    after_end: torch.Tensor
    ended: torch.Tensor
    closes_with: torch.Tensor
    tables: Tables

    def part(self, begin: int, end: int) -> Flat:
        """Some of them."""
        ids, cells, after_end, ended, closes_with, tables = self
        at = slice(begin, end)
        return Flat(ids[at], cells[at], after_end[at], ended[at], closes_with[at], tables)


class _Look(NamedTuple):
    """One place of every row."""

    fixed: torch.Tensor
    cells: torch.Tensor
    after_end: torch.Tensor
    ended: torch.Tensor
    closes_with: torch.Tensor


def follow(automaton: Automaton, finished: Sequence[Finished]) -> Places:
    """Follow rows of one kind, whose budgets may differ, by the rules of `forcing.decisions`.

    Raises:
        Mismatch: the rules lead elsewhere, or to another report: the rows were not generated under these budgets.
    """
    # 1. The rows as tensors, and where their prompts have led.
    lengths = [len(one.completion.token_ids) for one in finished]
    ids = _padded([one.completion.token_ids for one in finished], 0)
    given = _padded([one.completion.forced for one in finished], False)
    states = [start_of(automaton, one.request.prompt) for one in finished]
    columns = [limits_for(one.request.budget, 1) for one in finished]
    limits = Limits(*(torch.cat(column) for column in zip(*columns, strict=True)))
    walk = _Walk(automaton, finished, limits)

    # 2. Step by step; a row that is over is led on by padding, and what becomes of it is not looked at.
    state, looks, finals = first_state(states), [], []
    for step in range(max(lengths)):
        look, state = walk.step(state, ids[:, step], given[:, step], step)
        looks.append(look)
        finals.append(state)
    fixed, cells, after_end, ended, closes_with = (torch.stack(parts, dim=1) for parts in zip(*looks, strict=True))

    # 3. Whether that is what was reported.
    for r, one in enumerate(finished):
        end = finals[lengths[r] - 1][:, r].tolist()
        report = one.completion.report
        told = (report.thinking_tokens, report.answer_tokens)
        forced = tuple((fixed | ended)[r, : lengths[r]].tolist())
        if forced != report.forced or (end[Field.THINKING], end[Field.ANSWER]) != told:
            raise Mismatch(
                f"The rules do not lead to the row that was generated for {one.request.problem!r}: {told} thinking and "
                f"answer tokens were reported, and {(end[Field.THINKING], end[Field.ANSWER])} are found."
            )
    return Places(ids, lengths, fixed, cells, after_end, ended, closes_with, automaton.tables)


class _Walk:
    def __init__(self, automaton: Automaton, finished: Sequence[Finished], limits: Limits) -> None:
        self._tables, self._limits = automaton.tables, limits.acting()
        self._guard = finished[0].request.budget.loop_guard
        self._tails = [torch.tensor([*one.request.prompt, *one.completion.token_ids]) for one in finished]
        self._starts = [len(one.request.prompt) for one in finished]
        self._last = torch.tensor([one.request.prompt[-1] for one in finished])

    def step(
        self, state: torch.Tensor, token: torch.Tensor, given: torch.Tensor, step: int
    ) -> tuple[_Look, torch.Tensor]:
        """What was possible in `state`, of shape `(7, rows)`, and the state after `token`, of shape `(rows,)`."""
        tables, cells = self._tables, state[Field.CELL]
        looped = self._looped(state, step)

        # 1. Whatever the model wants: a cut, a loop, the rest of a forced run.
        other = torch.full_like(token, tables.num_ids)  # a token without any effect of its own
        anyhow = judge(tables, self._limits, state, other, self._last, looped).state
        fixed = tables.forced(anyhow[Field.CELL]) >= 0

        # 2. If it wants to end.
        ends_here = tables.ends_in[cells]  # (rows, E)
        end = tables.ends[ends_here.long().argmax(1)] if len(tables.ends) else other
        verdict = judge(tables, self._limits, state, end, self._last, looped)
        then = tables.forced(verdict.state[Field.CELL])
        ruling = verdict.ruling
        after_end = torch.full_like(token, NOTHING)
        after_end[ruling == Ruling.HONOURED] = HONOURED
        after_end[(ruling == Ruling.SKIPPED) | (ruling == Ruling.SKIPPED_EARLY)] = SKIPPED
        after_end[ruling >= Ruling.WAITS] = WAITED
        after_end[fixed | ~ends_here.any(1)] = NOTHING
        ended = given & ~fixed & ((after_end == HONOURED) | (after_end == WAITED))

        # 3. Which of these it was.
        taken = torch.where(fixed, anyhow, torch.where(ended, verdict.state, state))
        self._last = token
        return _Look(fixed, cells, after_end, ended, then), advance(tables, taken, token)

    def _looped(self, state: torch.Tensor, step: int) -> torch.Tensor | None:
        if self._guard is None:
            return None
        width = self._guard.width
        tails = [tail[: start + step][-width:] for tail, start in zip(self._tails, self._starts, strict=True)]
        rows = [torch.nn.functional.pad(tail, (width - len(tail), 0), value=-1) for tail in tails]
        return looping(torch.stack(rows), state[Field.THINKING], self._guard)


def _padded(rows: Sequence[Sequence[int | bool]], value: int | bool) -> torch.Tensor:
    length = max(map(len, rows))
    return torch.tensor([[*row, *([value] * (length - len(row)))] for row in rows])
