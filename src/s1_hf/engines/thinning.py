"""`generate` for a batch whose rows end at very different times, as thinking does.

`generate` runs a batch until its last row ends, computing all rows that long. Here the batch is thinned out: when half
of its rows have ended, the others continue by themselves, in the running KV cache, from where budget forcing stood with
them. Nothing is computed twice, and the tokens are those of one call, up to the rounding of a smaller batch.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import torch
from transformers import DynamicCache, StoppingCriteria

from s1_hf.forcing.decisions import Field

if TYPE_CHECKING:
    from transformers import GenerationConfig, PreTrainedModel

    from s1_hf.forcing.report import Report
    from s1_hf.generation.processor import BudgetForcingLogitsProcessor

SMALLEST = 8  # rows; a smaller batch is left as it is
EVERY = 16  # steps between two looks, each of which waits for the device


@dataclass(frozen=True)
class Call:
    """What one call of `generate` is made with.

    Args:
        arguments (`dict`): of [`budget_forcing`], with a `generation_config`.
        processor ([`BudgetForcingLogitsProcessor`]): the one among them.
        thinning ([`Thinning`], *optional*): the criterion among them; without it the batch stays together.
    """

    arguments: dict[str, Any]
    processor: BudgetForcingLogitsProcessor
    thinning: Thinning | None

    @property
    def config(self) -> GenerationConfig:
        """The `generation_config` among them."""
        config: GenerationConfig = self.arguments["generation_config"]
        return config


def decode(
    model: PreTrainedModel,
    inputs: dict[str, torch.Tensor],
    make_call: Callable[[Sequence[int], int], Call],
) -> list[tuple[list[int], Report]]:
    """Generate for a batch.

    Args:
        inputs (`dict`): `input_ids` and `attention_mask`, of shape `(batch_size, width)`, padded on the left.
        make_call (`Callable`): `(rows, steps)` to the call for those rows of the batch that continue after so many
            tokens; the first is for all of them after none.

    Returns:
        `list[tuple[list[int], Report]]`: each row's generated ids, the end of sequence included, and its report.
    """
    ids, mask = inputs["input_ids"], inputs["attention_mask"]
    width, rows = ids.shape[1], list(range(len(ids)))
    found: dict[int, tuple[list[int], Report]] = {}
    forced: list[tuple[bool, ...]] = [()] * len(rows)
    call, cache = make_call(rows, 0), None
    while True:
        # 1. Generate until all rows have ended, or half of them.
        outputs = _generate(model, call, ids, mask, cache, width)
        ids = outputs.sequences
        new_slots = ids.shape[1] - mask.shape[1]
        mask = torch.cat([mask, mask.new_ones(len(ids), new_slots)], dim=1)
        left = call.thinning.left if call.thinning else []  # positions in `rows`

        # 2. What is finished.
        for i, (row, report) in enumerate(zip(rows, call.processor.reports(ids), strict=True)):
            forced[row] += report.forced
            if i not in left:
                whole = replace(report, forced=forced[row])
                found[row] = ids[i, width:].tolist()[: len(forced[row])], whole
        if not left:
            return [found[row] for row in range(len(forced))]

        # 3. The others continue, in their part of the cache and from their states.
        state = call.processor.state_after(ids)
        chosen = torch.tensor(left, device=ids.device)
        cache = outputs.past_key_values
        if isinstance(cache, DynamicCache):
            cache.batch_select_indices(chosen)
        else:  # some kinds of cache cannot be thinned out; the rows are then read again
            cache = None
        rows, ids, mask = [rows[i] for i in left], ids[chosen], mask[chosen]
        call = make_call(rows, ids.shape[1] - width)
        call.processor.resume(state[:, chosen])


def _generate(model: PreTrainedModel, call: Call, ids: torch.Tensor, mask: torch.Tensor, cache: Any, width: int) -> Any:
    """`generate` from `ids` on, of which everything after `width` has been generated already."""
    config = copy.deepcopy(call.config)
    config.max_new_tokens -= ids.shape[1] - width
    config.return_dict_in_generate = True
    if call.thinning is not None:
        call.thinning.begin(width, width + call.config.max_new_tokens, len(ids))
    generate: Any = type(model).generate  # type: ignore[attr-defined]  # a folder may have replaced the model's own
    more = call.arguments | {"generation_config": config, "past_key_values": cache}
    return generate(model, input_ids=ids, attention_mask=mask, **more)


class Thinning(StoppingCriteria):
    """Stops the whole batch when at least half of its rows have ended; `left` then says which have not.

    It has to know the criteria that end single rows, and when `budget_forcing` is done with them: see `attach`.
    """

    def __init__(self) -> None:
        self.left: list[int] = []
        self._width, self._limit, self._rows, self._steps = 0, 0, 0, 0

    def attach(self, processor: BudgetForcingLogitsProcessor, others: Sequence[StoppingCriteria]) -> None:
        """Rows end at the processor's ends of sequence, or where one of `others` says so."""
        self._ends, self._others = processor.eos_token_ids, list(others)

    def begin(self, width: int, limit: int, rows: int) -> None:
        """The next call of `generate` has `rows` rows, whose prompts are `width` long and which end at `limit`."""
        self.left, self._width, self._limit, self._rows, self._steps = [], width, limit, rows, 0

    def __call__(self, input_ids: torch.LongTensor, scores: Any, **kwargs: Any) -> torch.BoolTensor:
        """All rows of `input_ids` or none: bool, of shape `(batch_size,)`."""
        self._steps += 1
        if self._rows >= SMALLEST and self._steps % EVERY == 0 and input_ids.shape[1] < self._limit:
            ends = torch.tensor(self._ends, device=input_ids.device)
            over = torch.isin(input_ids[:, self._width :], ends).any(1)
            for criterion in self._others:
                over = over | criterion(input_ids, scores)
            left = (~over).nonzero()[:, 0].tolist()
            self.left = left if len(left) <= self._rows // 2 else []
        stop = bool(self.left)
        return torch.full((len(input_ids),), stop, dtype=torch.bool, device=input_ids.device)  # type: ignore[return-value]


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
