"""The context of a model: how many tokens prompt and output may have together, and what does not fit."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from s1_hf.forcing.values import is_count, shown
from s1_hf.generation.config import rows_per_prompt

if TYPE_CHECKING:
    import torch
    from transformers import GenerationConfig, PretrainedConfig

_STRETCHED = ("linear", "dynamic", "yarn")
"""Kinds of scaled rotary positions that are switched on beside a `max_position_embeddings` that stays as it was."""


def context_of(config: PretrainedConfig) -> int | None:
    """How many positions a model was made for, if its configuration says so; models without positions do not.

    Where a model card's scaling of rotary positions was added (YaRN's, for example), these are as many times as many.
    Families that are scaled from the start (Llama 3.1, Phi, Gemma 3) have that in `max_position_embeddings` already.

    Example:

    ```python
    >>> from transformers import Qwen3Config
    >>> from s1_hf.generation.context import context_of
    >>> context_of(Qwen3Config(max_position_embeddings=40960))
    40960
    >>> yarn = {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 32768}
    >>> context_of(Qwen3Config(max_position_embeddings=32768, rope_parameters=yarn))
    131072

    ```
    """
    text = config.get_text_config(decoder=True)
    own = getattr(text, "max_position_embeddings", None)
    if own is None or own < 1:  # -1: XLNet's "any"
        return None
    scaling = getattr(text, "rope_parameters", None) or {}
    if scaling.get("rope_type") not in _STRETCHED:  # Gemma 3 has one kind for each kind of layer
        return int(own)
    original = scaling.get("original_max_position_embeddings") or own
    return int(max(own, original * (scaling.get("factor") or 1)))


def known_context_of(config: PretrainedConfig) -> int:
    """The same; raises a `ValueError` if the configuration does not say."""
    context = context_of(config)
    if context is None:
        raise ValueError("`max_new_tokens` has to be given: this model's configuration does not say its context size.")
    return context


def check_fits(
    length: int,
    new: int | None,
    context: int | None,
    *,
    prompt: str = "The prompt",
    name: str = "max_new_tokens",
) -> None:
    """Raises a `ValueError` if a prompt of `length` tokens and `new` ones do not fit into the context.

    Args:
        new (`int`, *optional*): `None`: as many as fit, which has to be one at least.
        context (`int`, *optional*): `None`: unknown, so that everything fits.
        prompt, name (`str`): for the message: which prompt, and what asks for the new tokens.
    """
    if context is None or length + (new or 1) <= context:
        return
    room = context - length
    if new is None or room < 1:
        raise ValueError(
            f"{prompt} has to fit into the model's context of {context:,} tokens, with room for what is to be "
            f"generated, but has {length:,}. Shorten it."
        )
    raise ValueError(
        f"{prompt} of {length:,} tokens and `{name}` of {new:,} have to fit into the model's context of {context:,}, "
        f"but are {length + new - context:,} too many. Lower `{name}` to {room:,}, or leave it out: then as many "
        "tokens may be generated as fit."
    )


class Context:
    """Refuses prompts that do not fit into the model's context with what is to be generated, before the model is run
    wherever they are known by then.

    Args:
        size (`int`, *optional*): positions that the model has; `None`: unknown, so that everything fits.
        config ([`GenerationConfig`], *optional*): what `generate` will do; without one, one new token has to fit.
        pad (`int`, *optional*): the id that stands on the left of shorter prompts.

    Raises:
        ValueError: what may be generated leaves no room for a prompt.
    """

    def __init__(self, size: int | None, config: GenerationConfig | None, pad: int | None) -> None:
        self._size, self._pad = size, pad
        self._new = None if config is None else config.max_new_tokens
        if self._new is not None and (not is_count(self._new) or self._new < 1):
            raise ValueError(f"`max_new_tokens` has to be a whole number above 0, but is {shown(self._new)}.")
        self._copies = rows_per_prompt(config)
        if size is None or config is None:
            return
        if self._new is not None and self._new >= size:
            raise ValueError(
                f"`max_new_tokens` has to leave room for the prompt in the model's context of {size:,}, but is "
                f"{self._new:,}. Lower it, or leave it out: then as many tokens may be generated as fit."
            )
        # A `max_length` that is within the context keeps everything within it: `generate` sees to that.
        if self._new is None and config.max_length is not None and config.max_length > size:
            raise ValueError(
                f"`max_length` has to be at most the model's context of {size:,}, but is {config.max_length:,}. Lower "
                "it, or leave it out: then as many tokens may be generated as fit."
            )

    def check(self, prompts: Sequence[Sequence[int]]) -> None:
        """Prompts as ids; raises a `ValueError` that names the longest if that does not fit."""
        self._check_lengths([len(prompt) for prompt in prompts])

    def check_rows(self, input_ids: torch.Tensor) -> None:
        """The same for the rows of a batch, `(batch_size, width)`; padding on the left does not count."""
        width = input_ids.shape[1]
        if self._size is not None and width + (self._new or 1) > self._size:  # else nothing is looked at
            is_token = input_ids.cpu() != (-1 if self._pad is None else self._pad)
            lengths = (width - is_token.int().argmax(dim=1)).tolist()
            self._check_lengths(lengths[:: self._copies])

    def _check_lengths(self, lengths: Sequence[int]) -> None:
        longest = max(range(len(lengths)), key=lengths.__getitem__)
        prompt = f"Prompt {longest}" if len(lengths) > 1 else "The prompt"
        check_fits(lengths[longest], self._new, self._size, prompt=prompt)
