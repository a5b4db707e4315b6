"""One request while it is decoded, wherever it stands in the engine's batch, and whether or not it stands there."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import torch

from s1_hf.forcing.decisions import Field, Limits, Rule, advance, first_state
from s1_hf.forcing.draws import RowNumbers
from s1_hf.forcing.prompts import start_of
from s1_hf.forcing.report import Ended, Report
from s1_hf.forcing.tables import State, after_effect
from s1_hf.generation.cautions import check_room
from s1_hf.generation.reports import report_of
from s1_hf.vllm.settings import STEPS
from s1_hf.vllm.watch import Watch, Watched

if TYPE_CHECKING:
    from s1_hf.forcing.automaton import Automaton
    from s1_hf.forcing.loops import LoopGuard
    from s1_hf.vllm.settings import RequestSettings
    from s1_hf.vllm.setup import Setup

TOKEN = len(Field)
"""The row of a trace that holds the token that was taken; those before it are the state in which it was chosen."""
LAW = TOKEN + 1
"""The row that holds how sure the model was of it, see [`Watch.law`]."""


class Told(NamedTuple):
    """What is known of a request that has ended."""

    report: Report
    states: list[State]  # in which each of its tokens was taken
    paused: State | None  # where it stands, if it has paused
    measured: tuple[int, ...] | None  # how sure the model was of each token, in ten-thousandths, if that was asked for


_CPU = torch.device("cpu")


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
        self._watch = Watch([self], device)
        self.numbers = RowNumbers(seed)
        self.committed = start[:, 0].to(device)  # (7,)
        self.decided: torch.Tensor | None = None  # (7,); None: nothing was decided yet
        self.law = torch.zeros((), dtype=torch.long, device=device)  # how sure the model was then
        self.watched = self._watch.begun(device)
        self.taken = 0  # tokens that `committed` has seen
        self.tail = self._tail_of(()).to(device)
        self._trace: list[torch.Tensor] = []  # of (9, steps) int32 each, see `TOKEN`

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
    def group_key(self) -> tuple[object, ...]:
        """What rows have to have in common to be decided together."""
        confidence = self.settings.confidence
        measured = None if confidence is None else (confidence.top, confidence.window)
        return id(self.automaton), self.rule, self.guard, self.separator, measured

    def settle(self) -> None:
        """See to the last token, if the engine has got it since the last decision."""
        last = self.generated[self.taken :]
        if self.decided is None or len(last) != 1 or last[0] < 0:  # under asynchronous scheduling -1 stands for a token
            return
        tokens = torch.tensor(last, device=self.decided.device)
        tables = self.automaton.tables_on(self.decided.device)
        before, law = self.decided[:, None], self.law[None]
        self.add_to_trace(traced(before, tokens, law))
        after = advance(tables, before, tokens)  # (7, 1)
        self.watched = self._watch.follow(self.watched, before, after, tokens, law)
        self.committed = after[:, 0]
        self.tail = torch.cat([self.tail[1:], tokens])
        self.decided, self.taken = None, self.taken + 1

    def take_back(self, count: int) -> None:
        """The engine has given up all its tokens but the first `count`, as when it lost keys and values of theirs."""
        device = self.committed.device
        kept = self.trace()[:, :count]
        tokens = kept[TOKEN].tolist()
        self.committed = first_state([self._after(self._states(count), tokens)])[:, 0].to(device)
        self._trace = [kept.to(device)]
        self.watched = self._read(Watch([self], _CPU), count).to(device)
        self.tail = self._tail_of(tokens).to(device)
        self.decided, self.taken = None, count

    def add_to_trace(self, steps: torch.Tensor) -> None:
        """More tokens were taken: `steps` is of shape `(9, steps)`."""
        self._trace.append(steps)

    def trace(self) -> torch.Tensor:
        """Every state in which a token was taken, with that token, and its law: `(9, taken)`, on the CPU."""
        if not self._trace:
            return torch.zeros(LAW + 1, 0, dtype=torch.int32)
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
        states, measured = self._states(len(ids)), self.trace()[LAW, : len(ids)].tolist()
        if len(states) < len(ids):
            assert self.decided is not None
            states.append(State(*self.decided.tolist()))
            measured.append(int(self.law))
        # The last token may be there only because the row had paused, or reached a limit of its own.
        is_paused, is_over = self._ends_after(states, ids[:-1]) if ids else (False, False)
        if is_over:
            ids, states, measured = ids[:-1], states[:-1], measured[:-1]
        final = self._after(states, ids)
        forced = tuple(self.automaton.cells[state.cell].forced >= 0 for state in states)
        report = report_of([int(value) for value in final], forced)
        was_asked = self.settings.confidence is not None
        return Told(report, states, final if is_paused else None, tuple(measured) if was_asked else None)

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

    def _ends_after(self, states: Sequence[State], ids: Sequence[int]) -> tuple[bool, bool]:
        """Whether it pauses behind `ids`, which were taken in `states`; and whether it ends there, for that or else."""
        watch, state = Watch([self], _CPU), first_state([self._after(states, ids)])  # (7, 1)
        return _looked(watch, self._read(watch, len(ids)), state)

    def _read(self, watch: Watch, count: int) -> Watched:
        """Where it stands beside its state after its first `count` tokens, on the CPU."""
        if not watch.follows:
            return watch.begun(_CPU)
        steps = self.trace()[:, :count].long()
        before, tokens = steps[:TOKEN], steps[TOKEN]
        return watch.read(before, advance(self.automaton.tables, before, tokens), tokens, steps[LAW])

    @property
    def ends_here(self) -> tuple[bool, bool]:
        """Whether it pauses where it stands now; and whether it ends there, for that or another limit of its own."""
        return _looked(self._watch, self.watched, self.committed[:, None])


def _looked(watch: Watch, watched: Watched, state: torch.Tensor) -> tuple[bool, bool]:
    pausing, ending = watch.pausing(watched, state), watch.ending(watched, state)
    return pausing is not None and bool(pausing), ending is not None and bool(ending)


def traced(states: torch.Tensor, tokens: torch.Tensor, law: torch.Tensor) -> torch.Tensor:
    """States, `(7, ...)`, the tokens taken in them, `(...)`, and how sure of them, as they are kept: `(9, ...)`."""
    return torch.cat([states, tokens[None], law[None]]).to(torch.int32)
