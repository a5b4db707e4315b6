"""One request while it is decoded, wherever it stands in the engine's batch, and whether or not it stands there."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import torch

from s1_hf.forcing.budget import NO_LIMIT
from s1_hf.forcing.decisions import Field, Limits, Rule, advance, first_state
from s1_hf.forcing.draws import RowNumbers
from s1_hf.forcing.pauses import Pauses
from s1_hf.forcing.prompts import start_of
from s1_hf.forcing.report import Ended, Report
from s1_hf.forcing.tables import State, after_effect
from s1_hf.generation.cautions import check_room
from s1_hf.generation.criteria import is_long
from s1_hf.generation.reports import report_of
from s1_hf.vllm.settings import STEPS

if TYPE_CHECKING:
    from s1_hf.forcing.automaton import Automaton
    from s1_hf.forcing.loops import LoopGuard
    from s1_hf.vllm.settings import RequestSettings
    from s1_hf.vllm.setup import Setup

TOKEN = len(Field)
"""The row of a trace that holds the token that was taken; those before it are the state in which it was chosen."""


class Told(NamedTuple):
    """What is known of a request that has ended."""

    report: Report
    states: list[State]  # in which each of its tokens was taken
    paused: State | None = None  # where it stands, if it has paused


class OwnLimits(NamedTuple):
    """Limits of requests besides their budgets; a budget that is reached closes thinking, one of these ends the row."""

    answer_tokens: torch.Tensor  # (rows,)
    thinking_tokens: torch.Tensor  # (rows,)

    @classmethod
    def of(cls, rows: Sequence[RequestSettings], device: torch.device) -> OwnLimits | None:
        """Those of some requests, if any of them has one."""
        given = [(row.max_answer_tokens, row.give_up_after) for row in rows]
        if not any(one is not None for pair in given for one in pair):
            return None
        columns = []
        for column in zip(*given, strict=True):
            limits = [NO_LIMIT if one is None else min(one, NO_LIMIT) for one in column]
            columns.append(torch.tensor(limits, device=device))
        return cls(*columns)

    def reached(self, state: torch.Tensor, automaton: Automaton) -> torch.Tensor:
        """Which rows in `state`, `(7, rows)`, have reached one; `bool` of shape `(rows,)`."""
        thought = state[Field.THINKING] - state[Field.PENDING]
        return is_long(state, automaton, self.answer_tokens) | (thought > self.thinking_tokens)


def check_start(state: State, automaton: Automaton) -> None:
    """Raises a `ValueError` if a row cannot start in this state."""
    if not 0 <= state.cell < len(automaton.cells) or min(state) < 0 or state.ended not in list(Ended):
        raise ValueError(f"A request cannot start in {tuple(state)}: it is not a state of its format and budget.")


class Row:
    """The state of one request.

    An engine may throw the token away that it has drawn, for example while a prompt is not read to its end. So there
    are two states: `committed`, after all tokens that were taken, and `decided`, where the last decision has put the
    row. Which of the two is true is known when the row comes again.

    Args:
        setup ([`Setup`]): of the engine.
        settings ([`RequestSettings`]): of the request.
        prompt (`Sequence[int]`): token ids.
        generated (`list[int]`): the tokens that it has got; an engine that `shows_tokens` appends to this very list.
        seed (`int`): of its draws.
        device (`torch.device`): where its scores will be.

    Raises:
        ValueError: the budget cannot be met.
    """

    def __init__(
        self,
        setup: Setup,
        settings: RequestSettings,
        prompt: Sequence[int],
        generated: list[int],
        seed: int,
        device: torch.device,
    ) -> None:
        self.settings, self.prompt, self.generated = settings, tuple(prompt), generated
        if settings.steps > len(self.prompt):  # those tokens are part of it
            raise ValueError(f"`{STEPS}` has to be at most the prompt's {len(self.prompt)} tokens.")
        budgets = setup.row_budgets(settings, len(self.prompt))
        self.automaton: Automaton = setup.automaton(settings.budget, settings.stops)
        if settings.start is None:
            self._start = start_of(self.automaton, self.prompt)
        else:
            self._start = State(*settings.start)
            check_start(self._start, self.automaton)
        start = first_state([self._start])  # (7, 1)
        self.limits: Limits = budgets.limits(start, len(self.prompt), [], is_quiet=True)  # on the CPU
        if settings.start is None:  # else it fits, as the request did whose part this is
            check_room(self.automaton, self.limits, start, setup.room(settings, len(self.prompt)), is_quiet=True)
        self._pauses = pauses_of([self], device)
        self.numbers = RowNumbers(seed)
        self.committed = start[:, 0].to(device)  # (7,)
        self.decided: torch.Tensor | None = None  # (7,); None: nothing was decided yet
        self.step_at = torch.zeros((), dtype=torch.long, device=device)  # how far its step has come, see [`Pauses`]
        self.taken = 0  # tokens that `committed` has seen
        self.tail = self._tail_of(()).to(device)
        self._trace: list[torch.Tensor] = []  # of (8, steps) int32 each, see `TOKEN`

    def uniform(self, count: int, again: bool) -> float:
        """The number that its token after `count` is drawn with."""
        return self.numbers.at(self.settings.steps + count)[again]

    @property
    def rule(self) -> Rule:
        """How its tokens are chosen."""
        return "greedy" if self.settings.is_greedy else "sample"

    @property
    def guard(self) -> LoopGuard | None:
        """Its loop guard."""
        return self.settings.budget.loop_guard

    @property
    def tail_length(self) -> int:
        """How many of its last tokens decisions look at."""
        guard = self.guard
        return 1 if guard is None else guard.width

    @property
    def separator(self) -> str | None:
        """What ends a step, at whose end it pauses."""
        pause = self.settings.pause
        return None if pause is None else pause.separator

    @property
    def pause_limit(self) -> int | None:
        """How many thinking tokens it has when it pauses."""
        pause = self.settings.pause
        return None if pause is None or pause.tokens is None else self._start.thinking_tokens + pause.tokens

    @property
    def group_key(self) -> tuple[int, Rule, LoopGuard | None, str | None]:
        """What rows have to have in common to be decided together."""
        return id(self.automaton), self.rule, self.guard, self.separator

    def settle(self) -> None:
        """See to the last token, if the engine has got it since the last decision."""
        last = self.generated[self.taken :]
        if self.decided is None or len(last) != 1 or last[0] < 0:  # under asynchronous scheduling -1 stands for a token
            return
        tokens = torch.tensor(last, device=self.decided.device)
        tables = self.automaton.tables_on(self.decided.device)
        self.add_to_trace(traced(self.decided[:, None], tokens))
        committed = advance(tables, self.decided[:, None], tokens)  # (7, 1)
        if self._pauses is not None:
            self.step_at = self._pauses.follow(self.step_at[None], committed, tokens)[0]
        self.committed = committed[:, 0]
        self.tail = torch.cat([self.tail[1:], tokens])
        self.decided, self.taken = None, self.taken + 1

    def take_back(self, count: int) -> None:
        """The engine has given up all its tokens but the first `count`, as when it lost keys and values of theirs."""
        device = self.committed.device
        kept = self.trace()[:, :count]
        tokens = kept[TOKEN].tolist()
        self.committed = first_state([self._after(self._states(count), tokens)])[:, 0].to(device)
        self._trace = [kept.to(device)]
        self.step_at = self._read(count)[0].to(device)
        self.tail = self._tail_of(tokens).to(device)
        self.decided, self.taken = None, count

    def add_to_trace(self, steps: torch.Tensor) -> None:
        """More tokens were taken: `steps` is of shape `(8, steps)`."""
        self._trace.append(steps)

    def trace(self) -> torch.Tensor:
        """Every state in which a token was taken, with that token: `(8, taken)`, on the CPU."""
        if not self._trace:
            return torch.zeros(TOKEN + 1, 0, dtype=torch.int32)
        whole = torch.cat(self._trace, dim=1)
        self._trace = [whole]
        return whole.cpu()

    def has_written(self, ids: Sequence[int]) -> bool:
        """Whether `ids` are what this row has generated, or begin so; its last token may not have been seen yet."""
        if len(ids) > self.taken + (self.decided is not None):
            return False
        seen = self.trace()[TOKEN, : len(ids)].tolist()
        if len(seen) < len(ids) and self.forced_next() not in (-1, ids[-1]) and ids[-1] not in self.automaton.eos:
            return False
        return seen == list(ids[: len(seen)])

    def forced_next(self) -> int:
        """The token that the last decision forces, or -1: it left a choice."""
        if self.decided is None:
            return -1
        return int(self.automaton.cells[int(self.decided[Field.CELL])].forced)

    def told(self, ids: Sequence[int]) -> Told:
        """What happened in this row, of which `ids` were generated.

        Raises:
            ValueError: they were not.
        """
        if not self.has_written(ids):
            raise ValueError("These tokens are not what was generated.")
        states = self._states(len(ids))
        if len(states) < len(ids):
            assert self.decided is not None
            states.append(State(*self.decided.tolist()))
        # The last token may be there only because the row had paused, or reached a limit of its own.
        is_paused = bool(ids) and ids[-1] in self.automaton.eos and self._pauses_after(states, ids[:-1])
        if is_paused or (ids and self.ends_at(self._after(states, ids[:-1]))):
            ids, states = ids[:-1], states[:-1]
        final = self._after(states, ids)
        forced = tuple(self.automaton.cells[state.cell].forced >= 0 for state in states)
        return Told(report_of([int(value) for value in final], forced), states, final if is_paused else None)

    def _tail_of(self, tokens: Sequence[int]) -> torch.Tensor:
        """The last ids of the prompt and these tokens, `(tail_length,)`; -1 where there are none."""
        ids = [*self.prompt, *tokens][-self.tail_length :]
        return torch.tensor([-1] * (self.tail_length - len(ids)) + ids)

    def _states(self, count: int) -> list[State]:
        """Those in which its first tokens were taken, as far as they were seen."""
        return [State(*values) for values in self.trace()[:TOKEN, :count].T.tolist()]

    def _after(self, states: Sequence[State], ids: Sequence[int]) -> State:
        """The state after `ids`, which were taken in `states`."""
        if not ids:
            return self._start
        last = states[len(ids) - 1]
        return after_effect(last, self.automaton.effect_of(ids[-1], last.cell))

    def _pauses_after(self, states: Sequence[State], ids: Sequence[int]) -> bool:
        """Whether it pauses behind `ids`, which were taken in `states`."""
        state = self._after(states, ids)
        if self.settings.pause is None or not ids or not self.automaton.cells[state.cell].thinking:
            return False
        pauses = pauses_of([self], torch.device("cpu"))
        assert pauses is not None
        return bool(pauses.due(self._read(len(ids)), first_state([state]), self.automaton.tables))

    def _read(self, count: int) -> torch.Tensor:
        """How far its step has come with its first `count` tokens, `(1,)`, on the CPU."""
        pauses = pauses_of([self], torch.device("cpu"))
        if pauses is None:
            return torch.zeros(1, dtype=torch.long)
        steps = self.trace()[:, :count].long()
        return pauses.read(advance(self.automaton.tables, steps[:TOKEN], steps[TOKEN]), steps[TOKEN])

    @property
    def is_paused(self) -> bool:
        """Whether it pauses where it stands now."""
        if self._pauses is None:
            return False
        tables = self.automaton.tables_on(self.committed.device)
        return bool(self._pauses.due(self.step_at[None], self.committed[:, None], tables))

    def ends_at(self, state: State) -> bool:
        """Whether a row in this state has reached a limit of its own, so that only an end of sequence may follow."""
        limits = OwnLimits.of([self.settings], self.committed.device)
        return limits is not None and bool(limits.reached(first_state([state]), self.automaton))


def pauses_of(rows: Sequence[Row], device: torch.device) -> Pauses | None:
    """When rows pause that are decided together, if any of them does."""
    if all(row.settings.pause is None for row in rows):
        return None
    return Pauses.of(rows[0].automaton, rows[0].separator, [row.pause_limit for row in rows], device)


def traced(states: torch.Tensor, tokens: torch.Tensor) -> torch.Tensor:
    """States, `(7, ...)`, and the tokens taken in them, `(...)`, as they are kept: `(8, ...)`."""
    return torch.cat([states, tokens[None]]).to(torch.int32)
