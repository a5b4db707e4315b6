"""A call of `generate` as it prepares it itself, up to where it would decode."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import torch
from transformers import LogitsProcessorList, MaxLengthCriteria, StoppingCriteriaList
from transformers.generation.utils import ALL_CACHE_NAMES

from s1_hf.generation.chats import left_padded
from s1_hf.generation.running import Batch, Call, Row, Twins

if TYPE_CHECKING:
    from transformers import GenerationConfig, PreTrainedModel


@dataclass(frozen=True, eq=False)
class Prepared:
    """What `generate` has made of a call's prompts and arguments.

    Args:
        call ([`Call`]): whose processor and criterion are among these.
        ids (`torch.LongTensor` of shape `(batch_size, length)`): the prompts, padded on the left.
        carried (`dict`): for the model.
        empty (`dict`): caches that hold nothing yet.
        most (`int`): tokens that a row may get.
        twins ([`Twins`], *optional*): of rows that have prompts in common. `carried` is then without repetitions.
    """

    call: Call
    ids: torch.Tensor
    carried: dict[str, Any]
    config: GenerationConfig
    processors: LogitsProcessorList
    criteria: StoppingCriteriaList
    empty: dict[str, Any]
    most: int
    twins: Twins | None = None

    @classmethod
    def of(cls, model: PreTrainedModel, call: Call, prompts: Sequence[list[int]]) -> Prepared:
        """Nothing is computed by the model."""
        config = call.processor.generation_config
        assert config is not None
        inputs = left_padded(list(prompts), config.pad_token_id or 0)
        inputs = {name: tensor.to(model.device) for name, tensor in inputs.items()}
        begun = []

        def keep(model: Any, input_ids: torch.Tensor, **prepared: Any) -> torch.Tensor:  # as `generate` calls it
            begun.append((input_ids, prepared))
            return input_ids

        own: Any = type(model)
        own.generate(model, **inputs, **call.arguments, custom_generate=keep)  # a folder may have replaced the model's
        (ids, carried) = begun[0]
        config, criteria = carried.pop("generation_config"), carried.pop("stopping_criteria")
        return cls(
            call=call,
            ids=ids,
            config=config,
            processors=carried.pop("logits_processor"),
            criteria=StoppingCriteriaList([one for one in criteria if not isinstance(one, MaxLengthCriteria)]),
            carried=carried,
            empty={name: copy.deepcopy(carried[name]) for name in ALL_CACHE_NAMES if name in carried},
            most=config.max_length - ids.shape[1],  # each row has a length of its own, from its first token on
        )

    def repeated(self, places: Sequence[int]) -> Prepared:
        """The same for more rows, each with the prompt at its place among these."""
        twins = Twins(self.ids, torch.tensor(places, device=self.ids.device))
        return replace(self, ids=self.ids[twins.places], twins=twins)

    def batch(self, rows: list[Row], call: Call, ids: torch.Tensor, carried: dict[str, Any]) -> Batch:
        """Rows that go on as `call` says, which takes the place of the prepared one."""
        processor, criterion = self.call.processor, self.call.criterion
        return Batch(
            rows=rows,
            call=call,
            ids=ids,
            carried=carried,
            processors=LogitsProcessorList([call.processor if one is processor else one for one in self.processors]),
            criteria=StoppingCriteriaList([call.criterion if one is criterion else one for one in self.criteria]),
            start=ids.shape[1],
            limits=[ids.shape[1] + self.most - len(row.forced) for row in rows],
            unfinished=torch.ones(len(rows), dtype=torch.bool, device=ids.device),
        )
