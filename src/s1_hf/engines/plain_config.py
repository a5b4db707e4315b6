"""What `generate` is told: everything, so that nothing is left to a model's own defaults but its ends of sequence."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from transformers import GenerationConfig

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

    from s1_hf.engines.request import Request


def plain_config(request: Request, tokenizer: PreTrainedTokenizerBase, ends: list[int]) -> GenerationConfig:
    """For a batch of requests like this one; see [`ends_of`]."""
    drawing: dict[str, Any] = {"do_sample": False}
    if request.sampling is not None:
        drawing = {"do_sample": True, **asdict(request.sampling)}
    return GenerationConfig(
        **drawing,
        repetition_penalty=request.repetition_penalty,
        max_new_tokens=request.max_new_tokens,
        eos_token_id=ends or None,
        pad_token_id=padding_of(tokenizer, ends),
    )


def ends_of(tokenizer: PreTrainedTokenizerBase, own: GenerationConfig | None = None) -> list[int]:
    """The ids that end a sequence: those of a model's `own` config, and the tokenizer's."""
    ids: list[Any] = []
    if own is not None and isinstance(own.eos_token_id, list):
        ids += own.eos_token_id
    elif own is not None:
        ids.append(own.eos_token_id)
    ids.append(tokenizer.eos_token_id)
    return list(dict.fromkeys(int(i) for i in ids if i is not None))


def padding_of(tokenizer: PreTrainedTokenizerBase, ends: Sequence[int]) -> int:
    """The tokenizer's own padding; without one any id does, because the attention mask hides it."""
    if tokenizer.pad_token_id is not None:
        return int(tokenizer.pad_token_id)
    return next(iter(ends), 0)


@contextmanager
def own_settings_only(model: PreTrainedModel, ends: list[int]) -> Iterator[None]:
    """While it lasts, `generate` fills nothing in from the model's own `generation_config`."""
    own = model.generation_config
    model.generation_config = GenerationConfig(eos_token_id=ends or None)
    try:
        yield
    finally:
        model.generation_config = own
