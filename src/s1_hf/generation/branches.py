"""Where a setting of a sweep leaves the largest one's decisions."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Protocol

import torch

from s1_hf.forcing.decisions import Field, Limits, advance, judge, limits_for

if TYPE_CHECKING:
    from s1_hf.forcing.automaton import Automaton
    from s1_hf.forcing.budget import Budget
    from s1_hf.forcing.tables import Tables


@dataclass(frozen=True)
class Branch:
    """Where a setting leaves the trace: after `step` generated tokens row `row` takes `token`, then is in `state`."""

    row: int
    step: int
    token: int
    state: tuple[int, ...]
    budget: Budget  # what holds from there on


@dataclass(frozen=True, eq=False)
class Decisions:
    """Some decisions of the largest setting, and what each of them looked at; `n` of them, side by side."""

    before: torch.Tensor  # (7, n): the state that a decision started from
    after: torch.Tensor  # (7, n): the state that it led to
    picks: torch.Tensor  # (n,): the token that it looked at
    last: torch.Tensor  # (n,): the token before it
    looped: torch.Tensor  # (n,) bool: the loop guard closed thinking there

    def repeated(self, times: int) -> Decisions:
        """All of them so many times, one after the other."""
        return Decisions(
            before=self.before.repeat(1, times),
            after=self.after.repeat(1, times),
            picks=self.picks.repeat(times),
            last=self.last.repeat(times),
            looped=self.looped.repeat(times),
        )


class Decided(Protocol):
    """Rows that the largest setting has decided, whatever host made them."""

    @property
    def replay(self) -> Decisions:
        """`steps * rows` of them, the rows of one step side by side."""

    @property
    def automaton(self) -> Automaton:
        """Of the largest setting."""

    @property
    def counts(self) -> torch.Tensor:
        """How many tokens each row has generated, `(rows,)`."""


def departures(tables: Tables, limits: Limits, made: Decisions) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Where other limits decide otherwise than the largest setting did.

    Args:
        limits ([`Limits`]): one for each decision.

    Returns:
        `tuple`: which decisions differ, bool of shape `(n,)`; the token that is forced there, `(n,)`; and the state
        after it, `(7, n)`.
    """
    state = judge(tables, limits, made.before, made.picks, made.last, made.looped).state
    token = tables.forced(state[Field.CELL])
    return (state != made.after).any(0), token, advance(tables, state, token.clamp(min=0))


def budget_after(setting: Budget, interleaved: bool) -> Budget:
    """What holds for a row that has branched off under `setting`.

    Where thinking does not open again, what is left of the budget makes no difference: branches can be shared.
    """
    return setting if interleaved else replace(setting, max_thinking_tokens=None, num_ignores=0)


def find_branches(trace: Decided, setting: Budget) -> list[Branch | None]:
    """For every row, where `setting` first decides otherwise than the trace; `None` if it never does."""
    replay, rows = trace.replay, len(trace.counts)
    steps = len(replay.picks) // rows
    # 1. What the rules make of every step under this setting.
    limits = Limits(*(column.expand(len(replay.picks)) for column in limits_for(setting, 1)))
    differs, token, after = departures(trace.automaton.tables, limits, replay)
    # 2. Where that differs first; steps after a row's end do not count.
    differs = differs.reshape(steps, rows) & (torch.arange(steps)[:, None] < trace.counts)
    own = budget_after(setting, trace.automaton.format.interleaved)
    found: list[Branch | None] = []
    for row in range(rows):
        step = int(differs[:, row].int().argmax())
        at = step * rows + row
        if bool(differs[step, row]):
            found.append(Branch(row, step, int(token[at]), tuple(after[:, at].tolist()), own))
        else:
            found.append(None)
    return found
