"""Rows that pause while they think, in the `generate` of transformers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch
from transformers import StoppingCriteria

from s1_hf.forcing.decisions import Field
from s1_hf.forcing.pauses import Pauses

if TYPE_CHECKING:
    from s1_hf.forcing.pauses import Pause
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
        self._thought: list[int]
        self._processor: BudgetForcingLogitsProcessor
        self._pauses: Pauses | None = None
        self._at: torch.Tensor  # (batch_size,): how far each row's step has come
        self.paused = torch.zeros(len(new), dtype=torch.bool)

    def attach(self, processor: BudgetForcingLogitsProcessor, thought: Sequence[int]) -> None:
        """Say where rows stand, and how many thinking tokens each had when it was begun, or had paused."""
        self._processor, self._thought = processor, list(thought)

    def __call__(self, input_ids: torch.LongTensor, scores: Any, **kwargs: Any) -> torch.BoolTensor:
        """Which rows of `input_ids` pause: bool, of shape `(batch_size,)`."""
        state = self._processor.state_after(input_ids)
        if self._pauses is None:
            self._pauses = self._pauses_on(input_ids.device)
            self._at = self._read(self._pauses, input_ids, state[Field.THINKING])
        self._at = self._pauses.follow(self._at, state, input_ids[:, -1])
        self.paused = self._pauses.due(self._at, state, self._processor.automaton.tables_on(state.device))
        return self.paused  # type: ignore[return-value]

    def _pauses_on(self, device: torch.device) -> Pauses:
        more = self._pause.tokens
        limits = [None if more is None else thought + more for thought in self._thought]
        return Pauses.of(self._processor.automaton, self._pause.separator, limits, device)

    def _read(self, pauses: Pauses, input_ids: torch.Tensor, thought: torch.Tensor) -> torch.Tensor:
        """How far steps had come before the last token, of rows that were taken out of another batch."""
        at = torch.zeros_like(thought)
        if pauses.table is None:
            return at
        new = torch.minimum(torch.tensor(self._new, device=at.device), thought - 1)
        for back in range(max(self._new, default=0), 0, -1):
            at = torch.where(new >= back, pauses.table.step(at, input_ids[:, -1 - back]), at)
        return at
