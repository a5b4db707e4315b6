"""The settings of a sweep that ride on the rows of the largest one, until they decide otherwise."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch

from s1_hf.forcing.decisions import Field, Limits, advance, limits_for
from s1_hf.forcing.report import Ended
from s1_hf.generation.branches import Branch, Decisions, budget_after, departures

if TYPE_CHECKING:
    from s1_hf.forcing.budget import Budget
    from s1_hf.generation.processor import BudgetForcingLogitsProcessor
    from s1_hf.generation.running import Row


class Riders:
    """Looks at every decision of the largest setting's rows, with the other settings' eyes.

    The rows of the largest setting come first in a batch; a look is made on the device, and read by the host once a
    step, as to whether anything changes.

    Args:
        settings (`Sequence[Budget]`): all but the largest.
        prompts (`int`): how many.
    """

    def __init__(self, settings: Sequence[Budget], prompts: int) -> None:
        self._settings = list(settings)
        self._interleaved = False
        self.branches: list[list[Branch | None]] = [[None] * prompts for _ in settings]  # `[setting][prompt]`
        self.riding = bool(settings)
        self._riding: torch.Tensor  # (settings, rows) bool
        self._limits: Limits  # (settings,)
        self._before: torch.Tensor  # (7, rows): where the rows of the largest setting stand
        self._found: tuple[torch.Tensor, torch.Tensor, torch.Tensor]  # who leaves, with which token, to which state

    def begin(self, processor: BudgetForcingLogitsProcessor, input_ids: torch.Tensor) -> None:
        """The rows stand behind their prompts."""
        columns = zip(*(limits_for(setting, 1) for setting in self._settings), strict=True)
        self._limits = Limits(*(torch.cat(column).to(input_ids.device) for column in columns))
        self._interleaved = processor.automaton.format.interleaved
        self._before = processor.state_after(input_ids)
        self._riding = torch.ones(len(self._settings), len(input_ids), dtype=torch.bool, device=input_ids.device)

    def look(
        self, processor: BudgetForcingLogitsProcessor, input_ids: torch.Tensor, running: torch.Tensor
    ) -> torch.Tensor:
        """Which settings leave which rows with the last token of `input_ids`: bool, of shape `(settings, rows)`.

        Args:
            running (`torch.BoolTensor` of shape `(batch_size,)`): rows that had not ended before it.
        """
        rows, count = self._before.shape[1], len(self._settings)
        tables = processor.automaton.tables_on(input_ids.device)
        step = processor.step_at(input_ids.shape[1] - 1)
        assert step.pick is not None
        after = step.state[:, :rows]
        looped = (after[Field.ENDED] == Ended.LOOPED) & (self._before[Field.ENDED] != Ended.LOOPED)
        made = Decisions(self._before, after, step.pick[:rows], input_ids[:rows, -2], looped)
        limits = Limits(*(column.repeat_interleave(rows) for column in self._limits))
        leaves, token, state = departures(tables, limits, made.repeated(count))
        leaving = leaves.reshape(count, rows) & self._riding & running[:rows]
        self._found = leaving, token.reshape(count, rows), state.reshape(-1, count, rows)
        self._before = advance(tables, after, input_ids[:rows, -1])
        return leaving

    def leave(self, rows: Sequence[Row], step: int, kept: Sequence[int]) -> list[tuple[int, Branch]]:
        """The branches found by the last look, each once, with its row's place in the batch.

        Args:
            rows (`Sequence[Row]`): of the batch.
            step (`int`): the generated token that was looked at.
            kept (`Sequence[int]`): the places of the largest setting's rows that stay in the batch.
        """
        leaving, token, state = self._found
        found: dict[Branch, int] = {}
        for s, place in leaving.nonzero().tolist():
            prompt = rows[place].prompt
            own = budget_after(self._settings[s], self._interleaved)
            branch = Branch(prompt, step, int(token[s, place]), tuple(state[:, s, place].tolist()), own)
            self.branches[s][prompt] = branch
            found.setdefault(branch, place)
        self._riding = (self._riding & ~leaving)[:, list(kept)]
        self._before = self._before[:, list(kept)]
        self.riding = bool(self._riding.any())
        return [(place, branch) for branch, place in found.items()]
