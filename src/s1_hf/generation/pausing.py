"""Rows that pause while they think, in the `generate` of transformers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch
from transformers import StoppingCriteria

from s1_hf.forcing.decisions import Field
from s1_hf.forcing.pauses import step_table
from s1_hf.forcing.report import Ended

if TYPE_CHECKING:
    from s1_hf.forcing.pauses import Pause, StepTable
    from s1_hf.generation.processor import BudgetForcingLogitsProcessor


class Pausing(StoppingCriteria):
    """Stops rows where they pause.

    Args:
        pause ([`Pause`]): when.
        new (`Sequence[int]`): how many tokens each row has got since it was begun, or has paused.

    Attributes:
        paused (`torch.BoolTensor` of shape `(batch_size,)`): which rows have paused at the last token.
    """

    def __init__(self, pause: Pause, new: Sequence[int]) -> None:
        self._pause, self._new = pause, list(new)
        self._thought: torch.Tensor  # (batch_size,)
        self._processor: BudgetForcingLogitsProcessor
        self._table: StepTable
        self._at: torch.Tensor | None = None  # (batch_size,): how far each row's step has come
        self.paused = torch.zeros(len(new), dtype=torch.bool)

    def attach(self, processor: BudgetForcingLogitsProcessor, thought: Sequence[int]) -> None:
        """Say where rows stand, and how many thinking tokens each had when it was begun, or had paused."""
        self._processor, self._thought = processor, torch.tensor(list(thought))

    def __call__(self, input_ids: torch.LongTensor, scores: Any, **kwargs: Any) -> torch.BoolTensor:
        """Which rows of `input_ids` pause: bool, of shape `(batch_size,)`."""
        state = self._processor.state_after(input_ids)
        due = torch.zeros(len(input_ids), dtype=torch.bool, device=input_ids.device)
        if self._pause.separator is not None:
            due = due | self._step_ends(input_ids, state, self._pause.separator)
        if self._pause.tokens is not None:
            self._thought = self._thought.to(input_ids.device)
            due = due | (state[Field.THINKING] - state[Field.PENDING] - self._thought >= self._pause.tokens)
        self.paused = due & may_pause(self._processor, state)
        return self.paused  # type: ignore[return-value]

    def _step_ends(self, input_ids: torch.Tensor, state: torch.Tensor, separator: str) -> torch.Tensor:
        """Which rows' steps end with their last token; what opens thinking is no part of a step."""
        thought = state[Field.THINKING]
        if self._at is None:
            self._table = step_table(self._processor.automaton, separator, input_ids.device)
            self._at = self._read(input_ids, thought)
        self._at = torch.where(thought > 0, self._table.step(self._at, input_ids[:, -1]), 0)
        return self._at == self._table.ended

    def _read(self, input_ids: torch.Tensor, thought: torch.Tensor) -> torch.Tensor:
        """How far steps had come before the last token, of rows that were taken out of another batch."""
        at = torch.zeros_like(thought)
        new = torch.minimum(torch.tensor(self._new, device=at.device), thought - 1)
        for back in range(max(self._new, default=0), 0, -1):
            at = torch.where(new >= back, self._table.step(at, input_ids[:, -1 - back]), at)
        return at


def may_pause(processor: BudgetForcingLogitsProcessor, state: torch.Tensor) -> torch.Tensor:
    """Which rows in `state`, `(7, batch_size)`, think and are free to choose: bool, of shape `(batch_size,)`."""
    tables = processor.automaton.tables_on(state.device)
    thinks = (state[Field.ENDED] == Ended.UNFINISHED) & (state[Field.PENDING] == 0)
    return thinks & tables.thinks[state[Field.CELL]]
