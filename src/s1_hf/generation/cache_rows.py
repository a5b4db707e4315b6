"""Rows of a running batch, taken out of everything that `generate` carries from step to step: any kind of cache too.

Of every kind of cache only two things are asked, which beam search asks as well: that its rows can be put in another
order, where a row may come twice or not at all, and that what it holds is tensors. Nothing is taken back. Rows that
join others, whose last tokens then stand in other slots than before, are possible on the commonest caches only.
"""

from __future__ import annotations

import copy
import inspect
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import torch
from torch.nn.functional import pad
from transformers import Cache, DynamicCache, GenerationMixin
from transformers.cache_utils import DynamicLayer, DynamicSlidingWindowLayer
from transformers.generation.utils import ALL_CACHE_NAMES

if TYPE_CHECKING:
    from transformers import PretrainedConfig, PreTrainedModel

# Models whose own code lets the rows of a batch run into each other, and their padding into them (transformers 5.23).
_MIXES_ROWS = ("rwkv", "xlnet")

# Models that take positions, and look at slots nevertheless.
_COUNTS_SLOTS = ("git",)
_PREPARES = ("prepare_inputs_for_generation", "_prepare_position_ids_for_generation")

# What `generate` carries with one entry for each slot of a row.
_BY_SLOT = ("input_ids", "attention_mask", "position_ids", "token_type_ids", "mm_token_type_ids")


def follows_rows(config: PretrainedConfig) -> bool:
    """Whether each row of a batch is what it would be in another one."""
    return config.model_type not in _MIXES_ROWS


def check_rows(config: PretrainedConfig) -> None:
    """Raises a `ValueError` if rows of a batch of such a model cannot come and go, as they do in a sweep."""
    if not follows_rows(config):
        raise ValueError(
            f"A sweep has to run rows that do not depend on each other, but {config.model_type} of transformers mixes "
            "up the rows of a batch. Use `generate` (or `s1-hf eval` with `--batch-size 1`) for each setting."
        )


def take_rows(
    model: PreTrainedModel, carried: Mapping[str, Any], rows: torch.Tensor, batch_size: int
) -> tuple[dict[str, Any], bool]:
    """Some rows of the arguments that `generate` carries from one call of the model to the next.

    Args:
        carried (`dict`): for all rows; neither it nor its cache is changed.
        rows (`torch.LongTensor` of shape `(new_batch_size,)`): which, in which order; a row may come more than once.

    Returns:
        `tuple[dict, bool]`: for these rows, and whether their cache is among it. If not, they have to be read again:
        some models have caches of their own that say nothing about rows.
    """
    taken: dict[str, Any] = {}
    with_cache = True
    for name, value in carried.items():
        if name in ALL_CACHE_NAMES and value is not None:
            cache = rows_of_cache(model, value, rows)
            if cache is None:
                with_cache = False
            else:
                taken[name] = cache
        elif isinstance(value, torch.Tensor) and value.dim() >= 2:
            dim = value.dim() - 2 if name == "position_ids" else 0  # some models have positions of several kinds
            of_rows = value.shape[dim] == batch_size
            taken[name] = value.index_select(dim, rows.to(value.device)) if of_rows else value
        else:
            taken[name] = value
    if not with_cache:
        for name in (*ALL_CACHE_NAMES, "cache_position"):
            taken.pop(name, None)
    return taken, with_cache


def rows_of_cache(model: PreTrainedModel, cache: Any, rows: torch.Tensor) -> Cache | None:
    """A new cache with some rows of `cache`; `None` if that cannot be had."""
    if not isinstance(cache, Cache) or hasattr(model, "_setup_cache"):  # such models keep a part in their modules
        return None
    own: Cache = _twin(cache)
    if type(cache).reorder_cache is Cache.reorder_cache and "batch_select_indices" in vars(type(cache)):
        own.batch_select_indices(rows)  # a model's own class, whose rows are in more than its layers
    else:
        own.reorder_cache(rows)  # type: ignore[arg-type]
    return own


def _twin(value: Any) -> Any:
    """A copy of a cache down to its tensors, which are shared: taking rows replaces them in the copy only."""
    if isinstance(value, dict):
        return {key: _twin(part) for key, part in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)([_twin(part) for part in value])
    if isinstance(value, Cache) or hasattr(value, "reorder_cache"):
        new = copy.copy(value)
        for name, part in vars(value).items():
            setattr(new, name, _twin(part))
        return new
    return value


# -- rows that move to other slots -------------------------------------------------------------------------------------


def can_join(model: PreTrainedModel, carried: Mapping[str, Any]) -> bool:
    """Whether rows of other batches may join those that have `carried` this: [`fit_slots`] and [`join_rows`] work.

    The model has to take a row's positions from what it is given, and not from its slots or from what it remembers of
    the last prompts, so that it prepares its inputs as most models do; and every layer of its cache has to keep keys
    and values by slot, all or those of a window.
    """
    stock, own = GenerationMixin, type(model)
    cache = carried.get("past_key_values")
    tensors = {name for name, value in carried.items() if isinstance(value, torch.Tensor)}
    return (
        "position_ids" in inspect.signature(model.forward).parameters
        and model.config.model_type not in _COUNTS_SLOTS
        and all(getattr(own, name) is getattr(stock, name) for name in _PREPARES)
        and not any(hasattr(part, "rope_deltas") for part in model.modules())
        and tensors <= set(_BY_SLOT)
        and type(cache) is DynamicCache
        and not (cache.offloading or hasattr(model, "_setup_cache"))
        and all(type(layer) in (DynamicLayer, DynamicSlidingWindowLayer) for layer in cache.layers)
        and "chunked_attention" not in (getattr(model.config.get_text_config(), "layer_types", None) or ())
    )


def fit_slots(carried: Mapping[str, Any], width: int) -> dict[str, Any]:
    """The same rows with so many slots: more padding on the left, or less.

    Args:
        carried (`dict`): `input_ids` among it; its cache is changed. It holds all slots but the last.
    """
    new = {**carried}
    for name in _BY_SLOT:
        if new.get(name) is not None:
            new[name] = pad(new[name], (width - new[name].shape[-1], 0))
    for layer in new["past_key_values"].layers:
        held = width - 1
        if isinstance(layer, DynamicSlidingWindowLayer):
            layer.cumulative_length = held
            held = min(held, layer.sliding_window - 1)
        if layer.is_initialized:  # else it reads another layer's
            layer.keys, layer.values = (
                pad(states, (0, 0, held - states.shape[2], 0)) for states in (layer.keys, layer.values)
            )
    return new


def with_mask(carried: Mapping[str, Any]) -> dict[str, Any]:
    """The same with the attention mask that `generate` leaves out where nothing is padded."""
    mask = carried["attention_mask"]
    return {**carried, "attention_mask": torch.ones_like(carried["input_ids"]) if mask is None else mask}


def join_rows(one: Mapping[str, Any], other: Mapping[str, Any]) -> dict[str, Any]:
    """The rows of both, aligned at their last tokens; arguments as for [`fit_slots`]."""
    width = max(one["input_ids"].shape[1], other["input_ids"].shape[1])
    one, other = (fit_slots(with_mask(part), width) for part in (one, other))
    joined = {**one}
    for name in _BY_SLOT:
        if joined.get(name) is not None:
            joined[name] = torch.cat([one[name], other[name]], dim=-2)  # some models have positions of several kinds
    for layer, more in zip(joined["past_key_values"].layers, other["past_key_values"].layers, strict=True):
        if layer.is_initialized:
            layer.keys = torch.cat([layer.keys, more.keys])
            layer.values = torch.cat([layer.values, more.values])
    return joined
