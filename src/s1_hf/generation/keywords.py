"""What `budget_forcing` and `generate` take besides their own arguments, for type checkers and editors.

At run time everything that `model.generate` takes works; what is not listed here can also go into a
`GenerationConfig`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypedDict

from transformers import LogitsProcessor, PreTrainedModel, StoppingCriteria

from s1_hf.forcing.keywords import BudgetKeywords, SharedKeywords


class DecodingKeywords(TypedDict, total=False):
    """What `generate` is most often given."""

    # Length.
    max_new_tokens: int | None
    max_length: int | None
    min_new_tokens: int | None
    min_length: int | None
    stop_strings: str | list[str] | None
    max_time: float | None
    # Decoding.
    do_sample: bool
    temperature: float | None
    top_k: int | None
    top_p: float | None
    min_p: float | None
    repetition_penalty: float | None
    no_repeat_ngram_size: int | None
    num_beams: int
    length_penalty: float
    early_stopping: bool | str
    num_return_sequences: int
    assistant_model: PreTrainedModel | None
    prompt_lookup_num_tokens: int | None
    # Processors and criteria of one's own.
    logits_processor: Sequence[LogitsProcessor] | None
    stopping_criteria: Sequence[StoppingCriteria] | None
    # Tokens.
    eos_token_id: int | list[int] | None
    pad_token_id: int | None
    bad_words_ids: list[list[int]] | None
    suppress_tokens: list[int] | None
    # Caches and outputs.
    use_cache: bool | None
    cache_implementation: str | None
    cache_config: Mapping[str, Any] | None
    past_key_values: Any
    return_dict_in_generate: bool
    output_scores: bool
    output_logits: bool | None
    output_attentions: bool
    output_hidden_states: bool


class GenerateKeywords(BudgetKeywords, DecodingKeywords, total=False):
    """The fields of [`Budget`], and what `generate` is most often given."""


class SweepKeywords(SharedKeywords, DecodingKeywords, total=False):
    """The fields of [`Budget`] that all settings of a sweep share, and what `generate` is most often given."""
