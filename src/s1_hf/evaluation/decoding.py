"""`generate` for a batch whose rows end at very different times, as thinking does.

`generate` runs a batch until its last row ends, computing all rows that long. Here the batch is thinned out: when half
of its rows have ended, the others go on alone, in the running KV cache, from where budget forcing stood with them.
Nothing is computed twice, and the tokens are those of one call, up to the rounding of a smaller batch.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import torch
from transformers import DynamicCache, StoppingCriteria

from s1_hf.generation.criteria import BudgetedAnswerLength

if TYPE_CHECKING:
    from transformers import PreTrainedModel

    from s1_hf.forcing.report import Report
    from s1_hf.generation.processor import BudgetForcingLogitsProcessor
    from s1_hf.generation.sampling import RowSampler

SMALLEST = 8  # rows; a smaller batch is left as it is
EVERY = 16  # steps between two looks, each of which waits for the device


@dataclass(frozen=True)
class Call:
    """What one call of `generate` is made with.

    Args:
        arguments (`dict`): of [`budget_forcing`], with a `generation_config`.
        processor ([`BudgetForcingLogitsProcessor`]): the one among them.
        sampler ([`RowSampler`], *optional*): likewise.
        thinning ([`Thinning`]): likewise.
    """

    arguments: dict[str, Any]
    processor: BudgetForcingLogitsProcessor
    sampler: RowSampler | None
    thinning: Thinning


def decode(
    model: PreTrainedModel, inputs: dict[str, torch.Tensor], first: Call, later: Callable[[], Call]
) -> list[tuple[list[int], Report]]:
    """Generate for a batch.

    Args:
        inputs (`dict`): `input_ids` and `attention_mask`, of shape `(batch_size, width)`, padded on the left.
        first ([`Call`]): for the whole batch; its sampler has begun with the batch's rows.
        later (`Callable`): gives the call for rows that go on alone; not `first`, which reads its rows as prompts.

    Returns:
        `list[tuple[list[int], Report]]`: a row's generated ids, the end of sequence included, and its report.
    """
    ids, mask = inputs["input_ids"], inputs["attention_mask"]
    width, rows, call = ids.shape[1], list(range(len(ids))), first
    found: list[tuple[list[int], Report] | None] = [None] * len(rows)
    forced: list[tuple[bool, ...]] = [()] * len(rows)
    cache = None
    while True:
        outputs = _generate(model, call, ids, mask, cache, width)
        ids = outputs.sequences
        mask = torch.cat([mask, mask.new_ones(len(ids), ids.shape[1] - mask.shape[1])], dim=1)
        left = call.thinning.left
        for i, (row, report) in enumerate(zip(rows, call.processor.reports(ids), strict=True)):
            forced[row] += report.forced
            if i not in left:
                found[row] = ids[i, width:].tolist()[: len(forced[row])], replace(report, forced=forced[row])
        if not left:
            return [row for row in found if row is not None]
        state, chosen = call.processor.state_after(ids), torch.tensor(left, device=ids.device)
        cache, before, call = outputs.past_key_values, call.sampler, later()
        if isinstance(cache, DynamicCache):
            cache.batch_select_indices(chosen)
        else:  # some kinds of cache cannot be thinned out; the rows are then read again
            cache = None
        if call.sampler is not None and before is not None:
            call.sampler.take_over(before, left)
        call.processor.resume(state[:, chosen])
        ids, mask, rows = ids[chosen], mask[chosen], [rows[i] for i in left]


def _generate(model: PreTrainedModel, call: Call, ids: torch.Tensor, mask: torch.Tensor, cache: Any, width: int) -> Any:
    """`generate` from `ids` on, of which all behind `width` have been generated already."""
    config = copy.deepcopy(call.arguments["generation_config"])
    config.max_new_tokens -= ids.shape[1] - width
    config.return_dict_in_generate = True
    call.thinning.begin(width, width + call.arguments["generation_config"].max_new_tokens, len(ids))
    generate: Any = type(model).generate  # type: ignore[attr-defined]  # a folder may have replaced the model's own
    more = call.arguments | {"generation_config": config, "past_key_values": cache}
    return generate(model, input_ids=ids, attention_mask=mask, **more)


class Thinning(StoppingCriteria):
    """Stops the whole batch when at least half of its rows have ended; `left` then says which have not.

    To be put in front of the processor's own criteria. It needs what `budget_forcing` makes of them: see `attach`.
    """

    def __init__(self) -> None:
        self.left: list[int] = []
        self._width, self._limit, self._rows, self._steps = 0, 0, 0, 0

    def attach(self, processor: BudgetForcingLogitsProcessor, max_answer_tokens: int | None) -> None:
        """Say when rows end."""
        self._ends = processor.eos_token_ids
        self._long = BudgetedAnswerLength(max_answer_tokens, processor) if max_answer_tokens else None

    def begin(self, width: int, limit: int, rows: int) -> None:
        """The next call of `generate` has `rows` rows, whose prompts are `width` long and which end at `limit`."""
        self.left, self._width, self._limit, self._rows, self._steps = [], width, limit, rows, 0

    def __call__(self, input_ids: torch.LongTensor, scores: Any, **kwargs: Any) -> torch.BoolTensor:
        """All rows of `input_ids` or none: bool, of shape `(batch_size,)`."""
        self._steps += 1
        if self._rows >= SMALLEST and self._steps % EVERY == 0 and input_ids.shape[1] < self._limit:
            ends = torch.tensor(self._ends, device=input_ids.device)
            over = torch.isin(input_ids[:, self._width :], ends).any(1)
            if self._long is not None:
                over = over | self._long(input_ids, scores)
            left = (~over).nonzero()[:, 0].tolist()
            self.left = left if len(left) <= self._rows // 2 else []
        stop = bool(self.left)
        return torch.full((len(input_ids),), stop, dtype=torch.bool, device=input_ids.device)  # type: ignore[return-value]
