"""Rows that are given up once they have thought for too long."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch
from transformers import StoppingCriteria

from s1_hf.forcing.decisions import Field

if TYPE_CHECKING:
    from s1_hf.generation.processor import BudgetForcingLogitsProcessor


class GiveUp(StoppingCriteria):
    """Stops a row with its first thinking token beyond a limit of its own.

    Tokens that may turn out to be the closing delimiter are not counted before that is known.

    Args:
        limits (`Sequence[int | None]`): of each row; `None` is none.
    """

    def __init__(self, limits: Sequence[int | None]) -> None:
        self._limits = torch.tensor([2**40 if limit is None else limit for limit in limits])  # (batch_size,)
        self._processor: BudgetForcingLogitsProcessor

    def attach(self, processor: BudgetForcingLogitsProcessor) -> None:
        """Say where rows stand."""
        self._processor = processor

    def __call__(self, input_ids: torch.LongTensor, scores: Any, **kwargs: Any) -> torch.BoolTensor:
        """Which rows of `input_ids` are given up: bool, of shape `(batch_size,)`."""
        self._limits = self._limits.to(input_ids.device)
        state = self._processor.state_after(input_ids)
        return state[Field.THINKING] - state[Field.PENDING] > self._limits  # type: ignore[return-value]
