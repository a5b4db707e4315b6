"""What a generation config says about a call of `generate`."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from transformers import GenerationConfig

from s1_hf.forcing.values import plain
from s1_hf.forcing.vocabulary import Vocabulary

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

    from s1_hf.forcing.decisions import Rule
    from s1_hf.forcing.formats import ThinkingFormat


def check_generation_config(config: object) -> None:
    """Raises a `TypeError` unless it is a generation config, or `None`."""
    if config is not None and not isinstance(config, GenerationConfig):
        raise TypeError(
            f"`generation_config` has to be a GenerationConfig, such as `model.generation_config`, but is {config!r}."
        )


def merged_config(model: PreTrainedModel, given: GenerationConfig | None, settings: dict[str, Any]) -> GenerationConfig:
    """What `generate` will make of a configuration and single settings, of which it wants one or the other."""
    prepare: Any = model._prepare_generation_config
    if given is None:
        return prepare(None, **settings)[0]
    merged = copy.deepcopy(given)
    merged.update(**settings)
    return prepare(merged)[0]


def as_drawn(config: GenerationConfig, rule: Rule) -> dict[str, Any]:
    """What makes `generate` take the only token that is possible, where `config` asks for sampling and it was drawn.

    Without sampling there is no second pass of warpers and no second draw; but `generate` refuses several sequences per
    prompt then, so that these are sampled, from one token each.
    """
    if rule != "sample":
        return {}
    several = rows_per_prompt(config) > 1
    top_k = 0 if several else 50  # what is off under sampling, and what is not warned about without it
    return {"do_sample": several, "temperature": 1.0, "top_k": top_k, "top_p": 1.0, "min_p": None}


class DrawnConfig(GenerationConfig):
    """A configuration of a call whose tokens are drawn by our processor: `generate` merges into it what stands beside
    it, and settings of sampling would have no effect there."""

    def update(self, defaults_only: bool = False, allow_custom_entries: bool = False, **kwargs: Any) -> dict[str, Any]:
        """As in [`GenerationConfig`].

        Raises:
            ValueError: a setting of sampling is to be changed.
        """
        late = [] if defaults_only else [name for name in _SAMPLING if name in kwargs]
        if late:
            raise ValueError(
                f"`{late[0]}` has to be given to `budget_forcing`, whose processor draws the tokens, and not to "
                "`generate` beside its arguments. Call `budget_forcing` again."
            )
        return super().update(defaults_only, allow_custom_entries, **kwargs)


_SAMPLING = ("do_sample", "temperature", "top_k", "top_p", "min_p")


def inside(given: GenerationConfig, arguments: Mapping[str, Any], is_drawn: bool) -> dict[str, Any]:
    """`arguments` of `generate` with the settings among them inside a copy of the configuration that was given."""
    merged = copy.deepcopy(given)
    others = merged.update(**arguments)
    if is_drawn:
        merged.__class__ = DrawnConfig
    return others | {"generation_config": merged}


def missing_ids(config: GenerationConfig, tokenizer: PreTrainedTokenizerBase) -> list[str]:
    """Names of the ids that a configuration lacks and its tokenizer has."""
    names = ("eos_token_id", "pad_token_id")
    return [name for name in names if getattr(config, name) is None and getattr(tokenizer, name) is not None]


def rows_per_prompt(config: GenerationConfig | None) -> int:
    """How many rows `generate` makes of a prompt."""
    return max(config.num_beams or 1, config.num_return_sequences or 1) if config else 1


def room_after(prompt_length: int, config: GenerationConfig | None) -> int | None:
    """How many tokens may be generated after a prompt of that length, as far as the configuration says."""
    if config is None:
        return None
    if config.max_new_tokens is not None:
        return config.max_new_tokens
    if config.max_length in (None, 20):  # old models save `generate`'s former default
        return None
    return config.max_length - prompt_length


def eos_ids(config: GenerationConfig | None, tokenizer: PreTrainedTokenizerBase) -> list[int]:
    """Ids at which `generate` stops a row."""
    eos = plain(config.eos_token_id if config and config.eos_token_id is not None else tokenizer.eos_token_id)
    known = range(len(Vocabulary.of(tokenizer).texts))
    ids = eos if isinstance(eos, (list, tuple)) else [eos]
    return [int(i) for i in ids if i is not None and i in known]


def unannounced_ends(tokenizer: PreTrainedTokenizerBase, format: ThinkingFormat) -> list[int]:
    """Ids at which `generate` probably stops a row, where nobody said how it will be called."""
    ids = [tokenizer.eos_token_id, tokenizer.pad_token_id, *format.handovers]
    return list(dict.fromkeys(i for i in ids if i is not None and i != tokenizer.unk_token_id))


def pad_id(config: GenerationConfig | None, tokenizer: PreTrainedTokenizerBase) -> int | None:
    """What `generate` fills finished rows with."""
    return config.pad_token_id if config and config.pad_token_id is not None else tokenizer.pad_token_id


def has_length_limit(kwargs: Mapping[str, Any], given: GenerationConfig | None, saved: GenerationConfig) -> bool:
    """Whether a limit was given, and not left to `generate`'s default of 20 tokens, which old models save."""
    limits = [kwargs.get("max_length"), kwargs.get("max_new_tokens"), saved.max_new_tokens]
    if given is not None:
        limits.append(given.max_new_tokens)
        if given.max_length != GenerationConfig().max_length:
            limits.append(given.max_length)
    return any(limit is not None for limit in limits) or saved.max_length not in (None, 20)
