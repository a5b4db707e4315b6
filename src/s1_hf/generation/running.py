"""Rows of a running batch: what holds for each of them, and what they carry from step to step."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import torch

from s1_hf.generation.cache_rows import fit_slots, join_rows, take_rows
from s1_hf.generation.generate import processor_in

if TYPE_CHECKING:
    from transformers import LogitsProcessorList, PreTrainedModel, StoppingCriteriaList

    from s1_hf.forcing.budget import Budget
    from s1_hf.forcing.report import Report
    from s1_hf.generation.branches import Branch
    from s1_hf.generation.processor import BudgetForcingLogitsProcessor


@dataclass(eq=False)
class Row:
    """A row of a running batch.

    Args:
        prompt (`int`): the index of its prompt.
        budget ([`Budget`]): what holds for it from here on.
        branch ([`Branch`], *optional*): where it has left the row that it came from.
        forced (`tuple[bool, ...]`): which of its tokens were forced, as far as it has been reported.
    """

    prompt: int
    budget: Budget
    branch: Branch | None = None
    forced: tuple[bool, ...] = ()


@dataclass(frozen=True, eq=False)
class Ended:
    """A row that has ended: its generated ids, the end of sequence included, and its report."""

    row: Row
    ids: list[int]
    report: Report


@dataclass(frozen=True, eq=False)
class Call:
    """What budget forcing gives `generate` for the rows of a batch.

    Args:
        arguments (`dict`): of [`budget_forcing`].
    """

    arguments: dict[str, Any]

    @property
    def processor(self) -> BudgetForcingLogitsProcessor:
        """The one among them."""
        return processor_in(self.arguments)

    @property
    def criterion(self) -> Any:
        """The one among them, around all others."""
        return self.arguments["stopping_criteria"][-1]


@dataclass(eq=False)
class Batch:
    """Rows while steps are made.

    Args:
        ids (`torch.LongTensor` of shape `(batch_size, length)`): prompts and what was generated, padded on the left.
        carried (`dict`): for the model.
        start (`int`): the length with which the batch began.
        limits (`list[int]`): the length at which each row has as many tokens as it may have.
        unfinished (`torch.BoolTensor` of shape `(batch_size,)`): which rows go on.
        is_read (`bool`): whether the model has seen the prompts.
        has_cache (`bool`): and has them in a cache.
    """

    rows: list[Row]
    call: Call
    ids: torch.Tensor
    carried: dict[str, Any]
    processors: LogitsProcessorList
    criteria: StoppingCriteriaList
    start: int
    limits: list[int]
    unfinished: torch.Tensor
    is_read: bool = False
    has_cache: bool = False


@dataclass(frozen=True, eq=False)
class Standing:
    """Rows between two steps.

    Args:
        ids, carried, has_cache: as in [`Batch`].
        state (`torch.LongTensor` of shape `(7, batch_size)`): of budget forcing.
    """

    rows: list[Row]
    ids: torch.Tensor
    carried: dict[str, Any]
    state: torch.Tensor
    has_cache: bool

    @classmethod
    def of(
        cls, model: PreTrainedModel, batch: Batch, chosen: Sequence[tuple[int, Row]], state: torch.Tensor
    ) -> Standing:
        """Rows of a batch, each by its place there with the row that it is from now on.

        Args:
            state (`torch.LongTensor` of shape `(7, batch_size)`): of the whole batch.
        """
        places = torch.tensor([i for i, _ in chosen], device=batch.ids.device)
        carried, has_cache = take_rows(model, batch.carried, places, len(batch.rows))
        ids, state = batch.ids[places], state[:, places]
        for place, (i, row) in enumerate(chosen):
            if batch.rows[i] is not row:  # a new double
                assert row.branch is not None
                ids[place, -1] = row.branch.token
                state[:, place] = torch.tensor(row.branch.state, device=state.device)
        return cls([row for _, row in chosen], ids, carried, state, has_cache)

    def cut(self) -> Standing:
        """Without the padding that all rows have in common, so that no memory is held for it."""
        mask = self.carried["attention_mask"]
        if mask is None:
            return self
        width = mask.shape[1] - int(mask.any(0).int().argmax())
        return self._with(fit_slots({"input_ids": self.ids} | self.carried, width))

    def beside(self, other: Standing) -> Standing:
        """The rows of both, aligned at their last tokens."""
        both = join_rows({"input_ids": self.ids} | self.carried, {"input_ids": other.ids} | other.carried)
        return replace(self._with(both), rows=self.rows + other.rows, state=torch.cat([self.state, other.state], dim=1))

    def _with(self, carried: dict[str, Any]) -> Standing:
        if bool(carried["attention_mask"].all()):
            carried["attention_mask"] = None  # as `generate` does: attention is faster without one
        return replace(self, ids=carried.pop("input_ids"), carried=carried)
