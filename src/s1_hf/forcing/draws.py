"""Where random numbers come from when a token is drawn: one stream for a batch, or one for each row."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import torch

CHUNK = 256
"""Steps for which random numbers are drawn ahead, so that no step waits for the CPU."""


class Draws(Protocol):
    """Draws tokens for the rows of one call of a host at a time."""

    def begin(self) -> None:
        """The next draw is the first of a new call."""

    def draw(self, probabilities: torch.Tensor, length: int, again: bool = False) -> torch.Tensor:
        """One token per row, of shape `(batch_size,)`, the same whenever the same length comes again.

        Args:
            probabilities (`torch.FloatTensor` of shape `(batch_size, vocab_size)`): what is drawn from.
            length (`int`): of the sequences so far.
            again (`bool`): whether this is the second draw of a step, behind an end that was skipped.
        """


class SharedDraws:
    """Draws from torch's global generator on the device, as `generate` itself does, though not the same tokens."""

    def __init__(self) -> None:
        self._uniforms: dict[tuple[int, bool], torch.Tensor] = {}  # by length and draw; (batch_size, 1)

    def begin(self) -> None:
        """See [`Draws`]."""
        self._uniforms = {}

    def draw(self, probabilities: torch.Tensor, length: int, again: bool = False) -> torch.Tensor:
        """See [`Draws`]."""
        uniform = self._uniforms.get((length, again))
        if uniform is None or uniform.device != probabilities.device:
            exact = exact_dtype(probabilities.device)
            uniform = torch.rand(len(probabilities), 1, dtype=exact, device=probabilities.device)
            self._uniforms[length, again] = uniform
        return _inverse(probabilities, uniform)


class SeededDraws:
    """Draws each row from numbers that follow from its own seed and the step.

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
        self._numbers = torch.empty(len(seeds), 0, 2, dtype=torch.float64)  # (batch_size, steps, 2)
        self._first_length = -1  # of the sequences at the first draw of this call

    def begin(self) -> None:
        """See [`Draws`]."""
        self._first_length = -1

    def draw(self, probabilities: torch.Tensor, length: int, again: bool = False) -> torch.Tensor:
        """See [`Draws`]."""
        return _inverse(probabilities, self._uniform(length, probabilities.device)[:, int(again), None])

    def _uniform(self, length: int, device: torch.device) -> torch.Tensor:
        """The numbers of the step at `length`, of shape `(batch_size, 2)`."""
        if self._first_length < 0:
            self._first_length = length
        step = length - self._first_length
        while step + self._most_taken >= self._numbers.shape[1]:
            more = [torch.rand(CHUNK, 2, dtype=torch.float64, generator=g) for g in self._generators]
            new = torch.stack(more).to(exact_dtype(device)).to(device)
            self._numbers = torch.cat([self._numbers.to(new), new], dim=1)
        self._taken = self._taken.to(device)
        rows = torch.arange(len(self._numbers), device=device)
        return self._numbers[rows, self._taken + step]


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


def _inverse(probabilities: torch.Tensor, uniform: torch.Tensor) -> torch.Tensor:
    """The tokens at which the running sums pass `uniform`, of shape `(batch_size, 1)`; returns `(batch_size,)`."""
    sums = probabilities.cumsum(-1, dtype=exact_dtype(probabilities.device))
    tokens = torch.searchsorted(sums, uniform * sums[:, -1:], right=True)[:, 0]
    return tokens.clamp(max=probabilities.shape[1] - 1)
