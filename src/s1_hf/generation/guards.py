"""Misuse that would otherwise go unnoticed: refused, with what to do."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import torch
from transformers import GenerationConfig, GenerationMixin

from s1_hf.forcing.decisions import Field, Rule
from s1_hf.forcing.tables import Tables

if TYPE_CHECKING:
    from collections.abc import Callable

    from s1_hf.forcing.budget import Budget
    from s1_hf.forcing.formats import ThinkingFormat
    from s1_hf.generation.record import RecordedSteps

# Decoding modes of `generate` in which the scores are not final, with the values that switch them off.
_OFF: dict[str, Any] = {
    "num_beam_groups": 1,
    "penalty_alpha": None,
    "dola_layers": None,
    "watermarking_config": None,
}
_OFF_WHEN_SAMPLING: dict[str, Any] = {"typical_p": 1.0, "epsilon_cutoff": 0.0, "eta_cutoff": 0.0, "top_h": None}


def decoding_rule(config: GenerationConfig | None) -> Rule:
    """How `generate` chooses tokens under `config`; raises a `ValueError` for a mode that is not supported."""
    if config is None:
        return "unknown"
    off = _OFF | (_OFF_WHEN_SAMPLING if config.do_sample else {})
    bad = []
    for name, value in off.items():
        given = getattr(config, name, None)
        if given not in (None, value):
            bad.append(f"{name}={given!r}")
    if bad:
        raise ValueError(
            "Budget forcing is exact for greedy decoding, beam search, and sampling with temperature, top_k, top_p and "
            f"min_p; {', '.join(bad)} is not supported. Unset it."
        )
    if (config.num_beams or 1) > 1:
        return "beam"
    return "sample" if config.do_sample else "greedy"


def check_generate_arguments(kwargs: Mapping[str, Any]) -> None:
    """Raises a `ValueError` for arguments of `generate` that budget forcing cannot be exact with."""
    constrained = [name for name in ("constraints", "force_words_ids") if kwargs.get(name) is not None]
    if constrained:
        raise ValueError(f"Constrained beam search ({', '.join(constrained)}) is not supported. Leave it out.")
    if kwargs.get("custom_generate") is not None:
        raise ValueError("Budget forcing does not know what `custom_generate` does with the scores. Leave it out.")
    if kwargs.get("cache_implementation") == "paged" or kwargs.get("continuous_batching"):
        raise ValueError(
            "Budget forcing has to see whole sequences, which continuous batching does not hand over (transformers "
            "builds its processors from the generation config only). Use `generate` without it."
        )


def check_model(model: Any) -> None:
    """Raises a `TypeError` or `ValueError` for what cannot be budget forced."""
    adapted = isinstance(getattr(model, "base_model", None), torch.nn.Module) and hasattr(model, "generate")  # PEFT
    if not (isinstance(model, GenerationMixin) or adapted):
        raise TypeError(
            f"`model` has to be a transformers model that can generate, but is {type(model).__name__}. Load it with "
            "`AutoModelForCausalLM.from_pretrained(...)`."
        )
    if model.config.is_encoder_decoder:
        raise ValueError(
            f"`model` has to be decoder-only, but {type(model).__name__} is an encoder-decoder model: its thinking is "
            "not in the prompt that budget forcing reads."
        )


def check_call(input_ids: torch.Tensor, scores: torch.Tensor) -> None:
    """Raises a `ValueError` if a processor was not called with whole sequences."""
    if input_ids.dim() != 2 or scores.dim() != 2 or input_ids.shape[0] != scores.shape[0]:
        raise ValueError(
            "Budget forcing has to see whole sequences: `input_ids` of shape (batch_size, sequence_length) and "
            f"`scores` of shape (batch_size, vocab_size), but got {tuple(input_ids.shape)} and "
            f"{tuple(scores.shape)}. Continuous batching (`generate_batch`) hands over only each request's last token "
            "and is not supported; use `generate`."
        )
    if input_ids.shape[1] == 0:
        raise ValueError(
            "Budget forcing has to see the prompt's token ids, but `input_ids` is empty. Pass `input_ids` to "
            "`generate`, also beside `inputs_embeds`."
        )


def check_message_fits(budget: Budget, message_length: int) -> None:
    """Raises a `ValueError` if a cap is too small for the stop message, `message_length` tokens long."""
    caps = budget.column("max_thinking_tokens", budget.num_prompts or 1)
    if min(caps) < message_length:
        raise ValueError(
            f"`max_thinking_tokens` has to be at least the length of `cut_text`, {message_length} tokens, whose tokens "
            f"are thinking tokens, but is {min(caps)}. Raise it, or shorten the text."
        )


def check_can_ignore(format: ThinkingFormat, budget: Budget) -> None:
    """Raises a `ValueError` if ends have to be ignored that are known only once they have been written."""
    if format.plain and budget.ignores_ends:
        raise ValueError(
            f"`num_ignores` and `min_thinking_tokens` have to be 0 with the closing delimiter {format.close_text!r}, "
            f"which is {len(format.close)} plain tokens of this tokenizer: that the model ends its thinking is known "
            "only after it has written them. `max_thinking_tokens` works. To ignore ends, use a tokenizer that has the "
            "delimiter as one token."
        )


class ThreadGuard:
    """Refuses two threads that use one processor at once."""

    def __init__(self) -> None:
        self._last = -1  # the thread that called last
        self._seen: dict[int, torch.Tensor] = {}  # by thread: the hashes of the rows it came with

    def check(self, continues: Callable[[torch.Tensor], bool]) -> None:
        """A call by this thread.

        Args:
            continues (`Callable`): whether this call continues rows with the given hashes.

        Raises:
            RuntimeError: the call continues one that another thread has interrupted by a call of its own.
        """
        thread = threading.get_ident()
        if thread != self._last and thread in self._seen and continues(self._seen[thread]):
            raise RuntimeError(
                "The processor has to be used by one call of `generate` at a time, but two threads use it at once. "
                "Make one for each call."
            )
        self._last = thread

    def note(self, hashes: torch.Tensor) -> None:
        """The rows that this thread's call has come with."""
        self._seen[self._last] = hashes


def check_followed(
    tables: Tables, rule: Rule, trace: RecordedSteps, row: int, taken: torch.Tensor, forced: torch.Tensor
) -> None:
    """Checks that `generate` took the tokens that were forced in one row, and decoded as it was said to.

    Args:
        taken, forced (`torch.LongTensor` of shape `(generated tokens,)`): what was generated, and what was forced, -1
            where the model was to choose.

    Raises:
        RuntimeError: it did not.
    """
    if bool(((forced >= 0) & (forced != taken)).any()):
        raise RuntimeError(
            f"Row {row} does not have the tokens that were forced: something after this processor changed them. "
            "Put it last in `logits_processor`."
        )
    pick = trace.picks[: len(taken), row]
    thinking = tables.thinking(trace.states[: len(taken), Field.CELL, row])
    skipped = tables.is_end(pick)
    if rule in ("greedy", "sample") and bool((thinking & ~skipped & (taken != pick)).any()):
        raise RuntimeError(
            f"Row {row} does not have the tokens that were picked, so that end attempts were not seen where they "
            "happened. Give the processor the `generation_config` that `generate` uses, or take all arguments from "
            "`budget_forcing(model, tokenizer, ...)`; and put it last in `logits_processor`."
        )


def takes_picks(tables: Tables, state: torch.Tensor, pick: torch.Tensor, tokens: torch.Tensor) -> bool:
    """Whether all thinking rows that were free to do so took the token that was looked at; waits for the device."""
    thinking = tables.thinking(state[Field.CELL])
    return not bool((thinking & ~tables.is_end(pick) & (pick != tokens)).any())
