"""Rows that are measured while they are written, and given up once they have lost the model's confidence."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from transformers import StoppingCriteria

from s1_hf.forcing.confidence import as_confidences, measured
from s1_hf.forcing.decisions import Field
from s1_hf.forcing.report import Ended

if TYPE_CHECKING:
    from s1_hf.forcing.confidence import Confidence
    from s1_hf.generation.processor import BudgetForcingLogitsProcessor
    from s1_hf.generation.running import Row


@dataclass(frozen=True)
class Measured:
    """A row as far as it has been measured.

    Args:
        values (`tuple[int, ...]`): of each of its tokens, in ten-thousandths of a nat, see [`Confidence`].
        run (`int`): how many thinking tokens in a row it ends with.
    """

    values: tuple[int, ...] = ()
    run: int = 0

    def until(self, tokens: int) -> Measured:
        """Of a double that parts from this row with its last one of so many tokens, which ends its thinking."""
        return Measured(self.values[:tokens])

    def confidences(self, tokens: int) -> tuple[float, ...]:
        """Of the first of so many tokens, in nats; raises a `ValueError` where the model had no law."""
        return as_confidences(self.values[:tokens])


NOTHING = Measured()


class Measuring(StoppingCriteria):
    """Measures rows at every step; as a criterion it stops those that lose the model's confidence.

    Args:
        confidences (`Sequence[Confidence]`): one per row, which differ in nothing but `below`.
        rows (`Sequence[Row]`): as far as they have been measured.
    """

    def __init__(self, confidences: Sequence[Confidence], rows: Sequence[Row]) -> None:
        self._top, self._window = confidences[0].top, confidences[0].window
        self._values: list[torch.Tensor] = []  # of each step, (batch_size,)
        self._processor: BudgetForcingLogitsProcessor
        if self._window is None:
            return
        self._least = torch.tensor([one.least for one in confidences])  # (batch_size,)
        self._runs = torch.tensor([row.measured.run for row in rows])  # (batch_size,)
        self._sums: list[torch.Tensor] = []  # after each step, (batch_size,)
        # Column j: minus the sum of a row's last j values, so that windows reach back before the first step.
        self._before = torch.zeros(len(rows), self._window + 1, dtype=torch.long)
        for i, row in enumerate(rows):
            last = torch.tensor(row.measured.values[: -self._window - 1 : -1], dtype=torch.long)
            self._before[i, 1 : len(last) + 1] = -last.cumsum(0)

    def attach(self, processor: BudgetForcingLogitsProcessor) -> None:
        """Say where rows stand."""
        self._processor = processor

    def note(self, logits: torch.Tensor) -> None:
        """The law of the next token, raw, of shape `(batch_size, vocab_size)`, in float32."""
        self._values.append(measured(logits, self._top))

    def __call__(self, input_ids: torch.LongTensor, scores: Any, **kwargs: Any) -> torch.BoolTensor:
        """Which rows of `input_ids` are given up: bool, of shape `(batch_size,)`."""
        new = self._values[-1]
        if self._window is None:
            return torch.zeros_like(new, dtype=torch.bool)  # type: ignore[return-value]
        # 1. How many thinking tokens in a row end with this one.
        before = self._processor.step_at(input_ids.shape[1] - 1).state
        after = self._processor.state_after(input_ids)
        thinks = (after[Field.ENDED] == Ended.UNFINISHED) & (after[Field.THINKING] > before[Field.THINKING])
        self._runs = torch.where(thinks, self._runs.to(new.device) + 1, 0)
        # 2. The sum of the window's values.
        self._sums.append(self._sums[-1] + new if self._sums else new)
        steps = len(self._sums)
        if steps > self._window:
            outside = self._sums[steps - self._window - 1]
        else:
            self._before = self._before.to(new.device)
            outside = self._before[:, self._window - steps]
        self._least = self._least.to(new.device)
        is_low = self._sums[-1] - outside < self._least
        return is_low & (self._runs >= self._window) & (after[Field.PENDING] == 0)  # type: ignore[return-value]

    def read(self, rows: Sequence[Row]) -> list[Measured]:
        """The rows as far as they have been measured now, each with a value for every step; waits for the device."""
        runs = [0] * len(rows) if self._window is None else self._runs.tolist()
        steps = torch.stack(self._values, dim=1).tolist() if self._values else [[] for _ in rows]
        found = []
        for row, new, run in zip(rows, steps, runs, strict=True):
            found.append(Measured((*row.measured.values, *new), run))
        return found
