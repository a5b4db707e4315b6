"""Rows of a running batch: what holds for each of them, and what they carry from step to step."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import torch

from s1_hf.generation.cache_rows import fit_slots, join_rows, take_rows
from s1_hf.generation.confidences import NOTHING, Measured
from s1_hf.generation.generate import processor_in

if TYPE_CHECKING:
    from transformers import LogitsProcessorList, PreTrainedModel, StoppingCriteriaList

    from s1_hf.forcing.budget import Budget
    from s1_hf.forcing.report import Report
    from s1_hf.generation.branches import Branch
    from s1_hf.generation.confidences import Measuring
    from s1_hf.generation.pausing import Pausing
    from s1_hf.generation.processor import BudgetForcingLogitsProcessor


@dataclass(eq=False)
class Row:
    """A row of a running batch.

    Args:
        prompt (`int`): the index of its prompt.
        budget ([`Budget`]): what holds for it from here on.
        branch ([`Branch`], *optional*): where it has left the row that it came from.
        forced (`tuple[bool, ...]`): which of its tokens were forced, as far as it has been reported.
        measured ([`Measured`]): how sure the model was of them, if that is measured. Of a row that goes on from a pause
            these are the tokens since then.
    """

    prompt: int
    budget: Budget
    branch: Branch | None = None
    forced: tuple[bool, ...] = ()
    measured: Measured = NOTHING


@dataclass(frozen=True, eq=False)
class Ended:
    """A row that has ended, or paused.

    Args:
        ids (`list[int]`): generated, the end of sequence included.
        state (`tuple[int, ...]`, *optional*): of a row that has paused: where it stands.
        standing ([`Standing`], *optional*): of a row that has paused: what to go on from, if others can join it.
    """

    row: Row
    ids: list[int]
    report: Report
    state: tuple[int, ...] | None = None
    standing: Standing | None = None


@dataclass(frozen=True, eq=False)
class Call:
    """What budget forcing gives `generate` for the rows of a batch.

    Args:
        arguments (`dict`): of [`budget_forcing`].
        pausing ([`Pausing`], *optional*): the criterion among them that says which rows pause.
        measuring ([`Measuring`], *optional*): what measures the rows.
    """

    arguments: dict[str, Any]
    pausing: Pausing | None = None
    measuring: Measuring | None = None

    @property
    def processor(self) -> BudgetForcingLogitsProcessor:
        """The one among them."""
        return processor_in(self.arguments)

    @property
    def criterion(self) -> Any:
        """The one among them, around all others."""
        return self.arguments["stopping_criteria"][-1]

    def note_law(self, logits: torch.Tensor) -> None:
        """The law of the next token, raw, of shape `(batch_size, vocab_size)`, if that is measured."""
        if self.measuring is not None:
            self.measuring.note(logits)

    def hand_over(self, rows: Sequence[Row]) -> None:
        """What was measured, to the rows of the batch: a value for every step, for ended rows some too many."""
        if self.measuring is not None:
            for row, found in zip(rows, self.measuring.read(rows), strict=True):
                row.measured = found


@dataclass(frozen=True, eq=False)
class Twins:
    """Rows that have prompts in common, each of which is read once.

    Args:
        read (`torch.LongTensor` of shape `(prompts, length)`): the prompts.
        places (`torch.LongTensor` of shape `(batch_size,)`): of each row its prompt's place.
    """

    read: torch.Tensor
    places: torch.Tensor


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
        twins ([`Twins`], *optional*): rows with prompts in common, before these have been read.
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
    twins: Twins | None = None


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

    @classmethod
    def together(cls, model: PreTrainedModel, rows: Sequence[Row], held: Sequence[Standing]) -> Standing:
        """Rows that go on from single ones, which stay as they are: several may go on from the same."""
        of_each: dict[int, tuple[Standing, list[Row]]] = {}
        for row, one in zip(rows, held, strict=True):
            of_each.setdefault(id(one), (one, []))[1].append(row)
        parts = [one._copied(model, own) for one, own in of_each.values()]
        while len(parts) > 1:  # pairs, so that little is copied often
            pairs = [parts[i : i + 2] for i in range(0, len(parts), 2)]
            parts = [pair[0].beside(pair[1]) if len(pair) == 2 else pair[0] for pair in pairs]
        return parts[0]

    def _copied(self, model: PreTrainedModel, rows: list[Row]) -> Standing:
        """The only row, once for each of these."""
        places = torch.zeros(len(rows), dtype=torch.long, device=self.ids.device)
        carried, _ = take_rows(model, self.carried, places, 1)
        return replace(self, rows=rows, ids=self.ids[places], carried=carried, state=self.state[:, places])

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
