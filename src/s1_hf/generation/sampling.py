"""Draws that belong to a sample, not to a batch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from transformers import LogitsProcessor

if TYPE_CHECKING:
    from s1_hf.generation.processor import BudgetForcingLogitsProcessor

CHUNK = 256  # steps for which random numbers are drawn ahead, so that no step waits for the CPU


class RowSampler(LogitsProcessor):
    """Draws the next token of each row with random numbers of its own; stands behind the budget's processor.

    `generate` draws for all rows from one global stream, so that what a sample becomes would depend on the rows
    beside it. Here the numbers of a row follow from its seed and the step alone: a sample is the same in every batch,
    up to the rounding of its scores, and after a restart. The law is that of `generate`: the same warpers, then one
    draw; only the token drawn is left possible.

    Args:
        budget ([`BudgetForcingLogitsProcessor`]): whose warpers are used and whose draws, which decide about ends, are
            taken over as well.
    """

    def __init__(self, budget: BudgetForcingLogitsProcessor) -> None:
        self._budget = budget
        self._generators: list[torch.Generator] = []
        self._numbers = torch.empty(0)
        self._first = -1  # length of the sequences at the first step
        self._skipped, self._most_skipped = torch.empty(0, dtype=torch.long), 0
        budget._draw = self._draw_for_ends  # type: ignore[method-assign]

    def begin(self, seeds: Sequence[int], steps: Sequence[int] | None = None) -> None:
        """The next call of `generate` has these rows, of which so many `steps` (none by default) are behind them."""
        self._generators = [torch.Generator().manual_seed(seed) for seed in seeds]
        self._numbers, self._first = torch.empty(len(seeds), 0, 2, dtype=torch.float64), -1
        self._skipped = torch.tensor([0] * len(seeds) if steps is None else steps)
        self._most_skipped = int(self._skipped.max())

    def take_over(self, other: RowSampler, rows: Sequence[int]) -> None:
        """The next call of `generate` goes on with these rows of `other`'s."""
        self._generators = [other._generators[row] for row in rows]
        self._numbers, self._first = other._numbers[list(rows)], other._first
        self._skipped, self._most_skipped = other._skipped[list(rows)], other._most_skipped

    def __call__(self, input_ids: torch.LongTensor, scores: torch.FloatTensor) -> torch.FloatTensor:
        """
        Args:
            scores (`torch.FloatTensor` of shape `(batch_size, vocab_size)`): of the next token; not modified.

        Returns:
            `torch.FloatTensor` of the same shape: 0 for the token drawn in each row, `-inf` for all others.
        """
        _, tokens = self._draw(scores, input_ids, 1)
        return torch.full_like(scores, -torch.inf).scatter_(1, tokens[:, None], 0.0)  # type: ignore[return-value]

    def _draw_for_ends(self, scores: torch.Tensor, input_ids: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return self._draw(scores, input_ids, 0)

    def _draw(self, scores: torch.Tensor, input_ids: torch.Tensor, which: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Final probabilities, and a token drawn from them with the first or second number of each row's step."""
        for warper in self._budget._warpers:
            scores = warper(input_ids, scores)
        probabilities = scores.softmax(-1)
        sums = probabilities.cumsum(-1, dtype=_exact(scores.device))
        uniform = self._uniform(input_ids.shape[1], scores.device)[:, which, None]
        tokens = torch.searchsorted(sums, uniform * sums[:, -1:], right=True)[:, 0]
        return probabilities, tokens.clamp(max=scores.shape[1] - 1)

    def _uniform(self, length: int, device: torch.device) -> torch.Tensor:
        """Two numbers a row for the step at `length`, of shape `(batch_size, 2)`."""
        if self._first < 0:
            self._first = length
        step = length - self._first
        while step + self._most_skipped >= self._numbers.shape[1]:
            more = [torch.rand(CHUNK, 2, dtype=torch.float64, generator=g) for g in self._generators]
            numbers = torch.stack(more).to(_exact(device)).to(device)
            self._numbers = torch.cat([self._numbers.to(numbers), numbers], dim=1)
        self._skipped = self._skipped.to(device)
        return self._numbers[torch.arange(len(self._numbers), device=device), self._skipped + step]


def _exact(device: torch.device) -> torch.dtype:
    """Apple's GPUs have no float64."""
    return torch.float32 if device.type == "mps" else torch.float64
