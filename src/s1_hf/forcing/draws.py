"""Where random numbers come from when a token is drawn, one stream for a batch or one for each row; and the draw."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import torch

CHUNK = 256
"""Steps for which random numbers are drawn ahead, so that no step waits for the CPU."""

BLOCK = 512
"""Tokens whose weights are summed up first, so that a running sum over the whole vocabulary is not needed."""


class Draws(Protocol):
    """Random numbers for the rows of one call of a host at a time."""

    def begin(self) -> None:
        """The next numbers are the first of a new call."""

    def numbers(self, rows: int, length: int, device: torch.device, again: bool = False) -> torch.Tensor:
        """One number from 0 to 1 per row, of shape `(rows, 1)`, the same whenever the same length comes again.

        Args:
            length (`int`): of the sequences so far.
            again (`bool`): whether this is for the second draw of a step, behind an end that was skipped.
        """


class SharedDraws:
    """Numbers of torch's global generator on the device."""

    def __init__(self) -> None:
        self._numbers: dict[tuple[int, bool], torch.Tensor] = {}  # by length and draw; (rows, 1)

    def begin(self) -> None:
        """See [`Draws`]."""
        self._numbers = {}

    def numbers(self, rows: int, length: int, device: torch.device, again: bool = False) -> torch.Tensor:
        """See [`Draws`]."""
        known = self._numbers.get((length, again))
        if known is None or known.device != device:
            known = torch.rand(rows, 1, dtype=exact_dtype(device), device=device)
            self._numbers[length, again] = known
        return known


class SeededDraws:
    """Numbers of each row that follow from its own seed and the step.

    What a row becomes then depends neither on the rows beside it nor on the batch, up to the rounding of its scores,
    and is the same after a restart.

    Args:
        seeds (`Sequence[int]`): one per row.
        steps (`Sequence[int]`, *optional*): how many steps each row has already taken; none by default.
    """

    def __init__(self, seeds: Sequence[int], steps: Sequence[int] | None = None) -> None:
        self._generators = [torch.Generator().manual_seed(seed) for seed in seeds]
        self._taken = torch.tensor(list(steps) if steps is not None else [0] * len(seeds))
        self._most_taken = int(self._taken.max())
        self._ahead = torch.empty(len(seeds), 0, 2, dtype=torch.float64)  # (rows, steps, 2)
        self._first_length = -1  # of the sequences at the first draw of this call

    def begin(self) -> None:
        """See [`Draws`]."""
        self._first_length = -1

    def numbers(self, rows: int, length: int, device: torch.device, again: bool = False) -> torch.Tensor:
        """See [`Draws`]."""
        if self._first_length < 0:
            self._first_length = length
        step = length - self._first_length
        while step + self._most_taken >= self._ahead.shape[1]:
            more = [torch.rand(CHUNK, 2, dtype=torch.float64, generator=g) for g in self._generators]
            new = torch.stack(more).to(exact_dtype(device)).to(device)
            self._ahead = torch.cat([self._ahead.to(new), new], dim=1)
        self._taken = self._taken.to(device)
        return self._ahead[:, :, int(again)].gather(1, (self._taken + step)[:, None])


class RowNumbers:
    """The numbers that [`SeededDraws`] draws one row with, for hosts whose rows come and go.

    Args:
        seed (`int`): of the row.
    """

    def __init__(self, seed: int) -> None:
        self._generator = torch.Generator().manual_seed(seed)
        self._numbers: list[list[float]] = []

    def at(self, step: int) -> list[float]:
        """Those of the two draws that a row may need at `step`, from 0 to 1."""
        while step >= len(self._numbers):
            self._numbers += torch.rand(CHUNK, 2, dtype=torch.float64, generator=self._generator).tolist()
        return self._numbers[step]


def exact_dtype(device: torch.device) -> torch.dtype:
    """What sums of probabilities are kept in; Apple's GPUs have no float64."""
    return torch.float32 if device.type == "mps" else torch.float64


def drawn(weights: torch.Tensor, number: torch.Tensor) -> torch.Tensor:
    """The entries at which running sums pass a `number` of the total: entry `i` with a probability as its weight.

    Args:
        weights (`torch.FloatTensor` of shape `(rows, entries)`): what probabilities are proportional to.
        number (`torch.Tensor` of shape `(rows, 1)`): from 0 to 1.

    Returns:
        `torch.LongTensor` of shape `(rows, 1)`; an entry without weight is never among them.
    """
    if weights.shape[1] <= 2 * BLOCK:
        return _passed(weights, number)[0]
    block, left = _passed(_block_sums(weights), number)
    inside, _ = _passed(_block_of(weights, block), mark=left)
    return block * BLOCK + inside


def _block_sums(weights: torch.Tensor) -> torch.Tensor:
    """The weight of every block of entries, `(rows, blocks)`."""
    whole = weights.shape[1] // BLOCK * BLOCK
    sums = weights[:, :whole].unflatten(1, (-1, BLOCK)).sum(-1)
    rest = weights[:, whole:].sum(1, keepdim=True)
    return torch.cat([sums, rest], dim=1)


def _block_of(weights: torch.Tensor, block: torch.Tensor) -> torch.Tensor:
    """The weights of one block of each row, `(rows, BLOCK)`; nothing stands behind the last entry."""
    at = block * BLOCK + torch.arange(BLOCK, device=weights.device)  # (rows, BLOCK)
    last = weights.shape[1] - 1
    return weights.gather(1, at.clamp(max=last)).masked_fill(at > last, 0.0)


def _passed(
    weights: torch.Tensor, number: torch.Tensor | None = None, mark: torch.Tensor | None = None
) -> tuple[torch.Tensor, torch.Tensor]:
    """Where running sums pass `mark`, or a `number` of their total, and how far into that entry it lies; `(rows, 1)`.

    An entry without weight is never chosen.
    """
    sums = weights.cumsum(1, dtype=exact_dtype(weights.device))
    total = sums[:, -1:].contiguous()
    if mark is None:
        assert number is not None
        mark = number * total
    mark = mark.to(sums.dtype).minimum(total)
    # Rounding may leave the mark at the total: the last entry with any weight is meant.
    last = torch.searchsorted(sums, total)
    at = torch.searchsorted(sums, mark, right=True).minimum(last).clamp(max=weights.shape[1] - 1)
    before = sums.gather(1, at) - weights.gather(1, at)
    return at, (mark - before).clamp(min=0.0)
