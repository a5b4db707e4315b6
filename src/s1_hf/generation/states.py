"""Where the rows of the running call of `generate` stand: the record of prefixes, with budget forcing's state in it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import torch

from s1_hf.forcing.decisions import Field, Rule, advance, first_state
from s1_hf.forcing.prompts import start_of
from s1_hf.generation.cautions import warn_about_sampling
from s1_hf.generation.guards import ThreadGuard, takes_picks
from s1_hf.generation.record import PrefixRecord, Step

if TYPE_CHECKING:
    from s1_hf.forcing.automaton import Automaton


class RowStates:
    """Follows every row by its own prefix, from where its prompt has led.

    Args:
        rule (`str`): how `generate` chooses tokens.
        before_new (`Callable`): told before what is known of a call is forgotten for a new one.
    """

    def __init__(self, automaton: Automaton, rule: Rule, before_new: Callable[[], None]) -> None:
        self._automaton, self._rule = automaton, rule
        self._thread_guard = ThreadGuard()
        self.record = PrefixRecord(
            self._read, self._advance, rows_move=rule == "beam", may_follow=self._may_follow, forgets=before_new
        )
        self.resumed: torch.Tensor | None = None  # where the next call stands, whose prompts are then not read
        self.is_followed = True  # whether every pick was taken, as far as was looked

    def follow(self, input_ids: torch.Tensor) -> tuple[Step, bool]:
        """The rows of `input_ids`, of shape `(batch_size, length)`, as a new step, and whether it is a call's first.

        Raises:
            RuntimeError: two threads use the same processor at once.
        """
        self._thread_guard.check(lambda hashes: self.record.continues(hashes, input_ids))
        runs = self.record.runs
        step = self.record.follow(input_ids)
        self._thread_guard.note(step.hashes)
        is_new = self.record.runs != runs
        if is_new:
            self.is_followed = True
        elif self._rule == "unknown" and self.is_followed:
            self._look_at_last(input_ids)
        return step, is_new

    def after(self, input_ids: torch.Tensor) -> torch.Tensor:
        """Where the rows of `input_ids` stand, of which all but the last token have been seen; `(7, batch_size)`."""
        step = self.record.peek(input_ids)
        return self._read(input_ids.tolist()).to(input_ids.device) if step is None else step.state

    def forced_at(self, position: int) -> torch.Tensor:
        """Whether the token at index `position` of each row is forced, while it is generated; `(batch_size,)`."""
        state = self.record.step(position).state
        return self._automaton.tables_on(state.device).forced(state[Field.CELL]) >= 0

    def _look_at_last(self, input_ids: torch.Tensor) -> None:
        """Warn, once, if a thinking row did not take its pick although `generate` was not said to sample (rule 10).

        Elsewhere than on the CPU a look waits for the device, so that only some steps are looked at.
        """
        generated = input_ids.shape[1] - self.record.prompt_length
        looks = input_ids.device.type == "cpu" or generated & (generated - 1) == 0
        before = self.record.step(input_ids.shape[1] - 1)
        if looks and before.pick is not None and before.state.shape[1] == len(input_ids):
            tables = self._automaton.tables_on(input_ids.device)
            self.is_followed = takes_picks(tables, before.state, before.pick, input_ids[:, -1])
            if not self.is_followed:
                warn_about_sampling()

    def _read(self, prompts: list[list[int]]) -> torch.Tensor:
        if self.resumed is not None:
            return self.resumed
        return first_state([start_of(self._automaton, ids) for ids in prompts])

    def _advance(self, state: torch.Tensor, tokens: torch.Tensor) -> torch.Tensor:
        return advance(self._automaton.tables_on(state.device), state, tokens)

    def _may_follow(self, state: torch.Tensor, pick: torch.Tensor | None, tokens: torch.Tensor) -> bool:
        """See [`PrefixRecord`]: a forced token was taken, and so was a pick; waits for the device."""
        tables = self._automaton.tables_on(state.device)
        forced = tables.forced(state[Field.CELL])
        if bool(((forced >= 0) & (forced != tokens)).any()):
            return False
        is_known = self._rule in ("greedy", "sample") or (self._rule == "unknown" and self.is_followed)
        return pick is None or not is_known or takes_picks(tables, state, pick, tokens)
