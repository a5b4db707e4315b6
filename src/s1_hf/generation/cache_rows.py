"""Rows of a running batch, taken out of everything that `generate` carries from step to step: any kind of cache too.

Of every kind of cache only two things are asked, which beam search asks as well: that its rows can be put in another
order, where a row may come twice or not at all, and that what it holds is tensors. Nothing is taken back.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import torch
from transformers import Cache
from transformers.generation.utils import ALL_CACHE_NAMES

if TYPE_CHECKING:
    from transformers import PretrainedConfig, PreTrainedModel

# Models whose own code lets the rows of a batch run into each other, and their padding into them (transformers 5.23).
_MIXES_ROWS = ("rwkv", "xlnet")


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
