"""`generate` for a batch whose rows come and go.

Rows of thinking end at very different times, and in a sweep one row becomes several. So the rows that have ended leave
the batch, and where a setting of a sweep decides otherwise than the row it rides on, the row is doubled: nothing is
computed twice, nothing is taken back, and the tokens are those of one call for each row, up to the rounding of a batch
of another size. Everything else is `generate`'s own: it prepares the call, and each step is made as it makes it.
"""

from __future__ import annotations

import copy
import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import torch
from transformers import GenerationMixin, LogitsProcessorList, StoppingCriteriaList
from transformers.generation.utils import ALL_CACHE_NAMES

from s1_hf.generation.cache_rows import take_rows
from s1_hf.generation.generate import processor_in
from s1_hf.generation.reports import report_of

if TYPE_CHECKING:
    from transformers import GenerationConfig, PreTrainedModel

    from s1_hf.forcing.budget import Budget
    from s1_hf.forcing.report import Report
    from s1_hf.generation.branches import Branch
    from s1_hf.generation.processor import BudgetForcingLogitsProcessor
    from s1_hf.generation.riders import Riders

SMALLEST = 8  # rows; a smaller batch is not thinned out
EVERY = 16  # steps between two looks for rows to thin out

_SAYS_LENGTH = "next_sequence_length" in inspect.signature(GenerationMixin.prepare_inputs_for_generation).parameters


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
class _Batch:
    """What is carried from step to step."""

    rows: list[Row]
    call: Call
    ids: torch.Tensor  # (batch_size, length)
    carried: dict[str, Any]  # for the model
    processors: LogitsProcessorList
    criteria: StoppingCriteriaList
    unfinished: torch.Tensor  # (batch_size,) bool
    has_cache: bool = False  # or the rows have to be read first


def decode(
    model: PreTrainedModel,
    inputs: dict[str, torch.Tensor],
    rows: Sequence[Row],
    call: Call,
    make_call: Callable[[Sequence[Row], int], Call],
    *,
    riders: Riders | None = None,
    thins: bool = True,
) -> Decoding:
    """Generate for a batch.

    Args:
        inputs (`dict`): `input_ids` and `attention_mask`, of shape `(batch_size, width)`, padded on the left.
        rows (`Sequence[Row]`): one per prompt.
        call ([`Call`]): for all of them.
        make_call (`Callable`): `(rows, steps)` to the call for rows that have drawn so many tokens.
        riders ([`Riders`], *optional*): settings that may leave the rows; their rows are then in the result too.
        thins (`bool`): whether rows that have ended may leave the batch.
    """
    decoding = Decoding(model, list(rows), call, make_call, riders, thins)

    def steps(model: Any, input_ids: Any, **prepared: Any) -> Any:  # as `generate` calls it
        return decoding.run(input_ids, **prepared)

    generate: Any = type(model).generate  # type: ignore[attr-defined]  # a folder may have replaced the model's own
    generate(model, **inputs, **call.arguments, custom_generate=steps)
    return decoding


class Decoding:
    """One batch while it is decoded, and what came of it.

    At most twice as many rows as there are prompts run together: if more would, those that have branched off run first,
    by themselves, while the others wait.

    Args:
        riders, thins: as in [`decode`].

    Attributes:
        ended (`list[Ended]`): the rows, in the order in which they ended.
        read_again (`int`): tokens that went through the model twice, because its cache could not follow the rows.
    """

    def __init__(
        self,
        model: PreTrainedModel,
        rows: list[Row],
        call: Call,
        make_call: Callable[[Sequence[Row], int], Call],
        riders: Riders | None,
        thins: bool,
    ) -> None:
        self._model: Any = model
        self._rows, self._call, self._make_call = rows, call, make_call
        self._riders, self._thins = riders, thins
        self._config: GenerationConfig
        self._width = 0  # of the prompts
        self._empty: dict[str, Any]  # caches as `generate` has made them
        self.ended: list[Ended] = []
        self.read_again = 0

    def run(
        self,
        input_ids: torch.Tensor,
        *,
        logits_processor: LogitsProcessorList,
        stopping_criteria: StoppingCriteriaList,
        generation_config: GenerationConfig,
        **carried: Any,
    ) -> torch.Tensor:
        """In place of `generate`'s own loop: arguments as it has prepared them."""
        self._config, self._width = generation_config, input_ids.shape[1]
        self._empty = {name: copy.deepcopy(carried[name]) for name in ALL_CACHE_NAMES if name in carried}
        unfinished = torch.ones(len(input_ids), dtype=torch.bool, device=input_ids.device)
        batch = _Batch(self._rows, self._call, input_ids, carried, logits_processor, stopping_criteria, unfinished)
        if self._riders is not None:
            self._riders.begin(self._call.processor, input_ids)
        self._run(batch)
        return input_ids

    def _run(self, batch: _Batch | None) -> None:
        """Until all rows of the batch, and those that branch off them, have ended."""
        while batch is not None:
            leaving = self._step(batch)
            length = batch.ids.shape[1]
            is_due = (length - self._width) % EVERY == 0 or length >= self._config.max_length
            if leaving is None and not (is_due or batch.ids.device.type == "cpu"):
                continue  # without a wait for the device
            left = int(batch.unfinished.sum())
            thins = self._thins and is_due and len(batch.rows) >= SMALLEST and left <= len(batch.rows) // 2
            if (leaving is not None and bool(leaving.any())) or left == 0 or thins:
                batch = self._changed(batch, leaving is not None)

    def _step(self, batch: _Batch) -> torch.Tensor | None:
        """One more token in every row, as `generate` makes it; returns which riders leave, see [`Riders.look`]."""
        # 1. The model.
        model, config = self._model, self._config
        if batch.has_cache or (batch.carried.get("use_cache") is False and batch.ids.shape[1] > self._width):
            length = {"next_sequence_length": 1 if batch.carried["use_cache"] else None} if _SAYS_LENGTH else {}
            inputs = model.prepare_inputs_for_generation(batch.ids, **length, **batch.carried)
            with model._optimize_model_for_decode():
                outputs = model(**inputs, return_dict=True)
        else:
            outputs = model._prefill(batch.ids, config, batch.carried)
        batch.carried = model._update_model_kwargs_for_generation(outputs, batch.carried)
        batch.has_cache = bool(batch.carried["use_cache"])
        # 2. A token; rows that have ended are padded.
        logits = outputs.logits[:, -1].to(copy=True, dtype=torch.float32, device=batch.ids.device)
        del outputs
        scores = batch.processors(batch.ids, logits)  # type: ignore[arg-type]
        tokens = scores.argmax(-1)  # when sampling the processor has drawn, and left nothing else possible
        if config._pad_token_tensor is not None:
            tokens = torch.where(batch.unfinished, tokens, config._pad_token_tensor.to(tokens.device))
        batch.ids = torch.cat([batch.ids, tokens[:, None]], dim=1)
        # 3. Who ends, and who leaves.
        running = batch.unfinished
        batch.unfinished = running & ~batch.criteria(batch.ids, None)
        if self._riders is None or not self._riders.riding or batch.rows[0].branch is not None:
            return None
        return self._riders.look(batch.call.processor, batch.ids, running)

    # -- where the batch changes --------------------------------------------------------------------------------

    def _changed(self, batch: _Batch, looked: bool) -> _Batch | None:
        """The batch without the rows that have ended, and with those that branch off; `None` if there is none left.

        Args:
            looked (`bool`): whether the riders have looked at the last step.
        """
        processor, steps = batch.call.processor, batch.ids.shape[1] - self._width
        # 1. The rows as they are.
        staying = batch.unfinished.nonzero()[:, 0].tolist()
        for i, (row, report) in enumerate(zip(batch.rows, processor.reports(batch.ids), strict=True)):
            row.forced += report.forced
            if i not in staying:
                ids = batch.ids[i, self._width :].tolist()[: len(row.forced)]
                self.ended.append(Ended(row, ids, replace(report, forced=row.forced)))
        # 2. Those that branch off: each is a row's double but for the last token.
        doubles: list[tuple[int, Row]] = []
        if looked and self._riders is not None:
            kept = [i for i in staying if batch.rows[i].branch is None]
            for i, branch in self._riders.leave(batch.rows, steps - 1, kept):
                forced = (*batch.rows[i].forced[: steps - 1], True)
                double = Row(branch.row, branch.budget, branch, forced)
                if batch.ids.shape[1] < self._config.max_length:
                    doubles.append((i, double))
                else:
                    ids = [*batch.ids[i, self._width : -1].tolist(), branch.token]
                    self.ended.append(Ended(double, ids, report_of(branch.state, forced)))
        if not staying and not doubles:
            return None
        return self._in_turn(batch, staying, doubles)

    def _in_turn(self, batch: _Batch, staying: list[int], doubles: list[tuple[int, Row]]) -> _Batch | None:
        """These rows, if they are not too many; else the branches run to their ends, and the others are left."""
        state = batch.call.processor.state_after(batch.ids)
        chosen = [(i, batch.rows[i]) for i in staying] + doubles
        room = len(self._rows)
        if len(chosen) <= 2 * room:
            return self._chosen(batch, chosen, state)
        branches = [(i, row) for i, row in chosen if row.branch is not None]
        for first in range(0, len(branches), room):
            self._run(self._chosen(batch, branches[first : first + room], state))
        others = [(i, row) for i, row in chosen if row.branch is None]
        return self._chosen(batch, others, state) if others else None

    def _chosen(self, batch: _Batch, chosen: list[tuple[int, Row]], state: torch.Tensor) -> _Batch:
        """A batch of rows of this one, each with the row that it is from now on."""
        places = torch.tensor([i for i, _ in chosen], device=batch.ids.device)
        rows = [row for _, row in chosen]
        carried, has_cache = take_rows(self._model, batch.carried, places, len(batch.rows))
        ids, state = batch.ids[places], state[:, places]
        for place, (i, row) in enumerate(chosen):
            if batch.rows[i] is not row:  # a new double
                assert row.branch is not None
                ids[place, -1] = row.branch.token
                state[:, place] = torch.tensor(row.branch.state, device=state.device)
        if not has_cache:
            carried |= copy.deepcopy(self._empty)
            mask = carried.get("attention_mask")
            self.read_again += ids.numel() if mask is None else int(mask.sum())
        call = self._make_call(rows, ids.shape[1] - self._width)
        call.processor.resume(state)
        return _Batch(
            rows=rows,
            call=call,
            ids=ids,
            carried=carried,
            processors=LogitsProcessorList(
                [call.processor if one is batch.call.processor else one for one in batch.processors]
            ),
            criteria=StoppingCriteriaList(
                [call.criterion if one is batch.call.criterion else one for one in batch.criteria]
            ),
            unfinished=torch.ones(len(rows), dtype=torch.bool, device=ids.device),
            has_cache=has_cache,
        )
