"""Automatic caps: how much thinking `max_thinking_tokens="auto"` allows."""

from __future__ import annotations

from typing import TYPE_CHECKING

from s1_hf.forcing.decisions import Field, Limits

if TYPE_CHECKING:
    import torch
    from transformers import GenerationConfig

    from s1_hf.forcing.automaton import Automaton
    from s1_hf.forcing.budget import Budget
    from s1_hf.forcing.tables import Tables


class AutomaticCap:
    """Caps that leave room for delimiters, answer prefix and a reserve of answer tokens.

    Args:
        config ([`GenerationConfig`]): whose length limit is shared out.
        budget ([`Budget`]): how many tokens to leave for the answer, and what share of the rest is for thinking.

    Raises:
        ValueError: no length limit is known, or it leaves no room.
    """

    def __init__(self, automaton: Automaton, config: GenerationConfig | None, budget: Budget) -> None:
        if config is None or (config.max_new_tokens is None and config.max_length is None):
            raise ValueError(
                '`max_thinking_tokens="auto"` has to know how much may be generated: give a `generation_config` with '
                "`max_new_tokens` or `max_length`, or use `budget_forcing(model, tokenizer, ...)`."
            )
        self._config, self._reserve, self._share = config, budget.answer_reserve, budget.thinking_share
        self._start = len(automaton.format.start)
        self._needed = self._start + automaton.max_closing + self._reserve
        self._message = len(automaton.message_ids)
        if config.max_new_tokens is not None:
            self._room(prompt_length=0)

    def limits(self, limits: Limits, tables: Tables, state: torch.Tensor, prompt_length: int) -> Limits:
        """`limits` with a cap for each row of a batch whose prompts, padded to `prompt_length`, have led to `state`."""
        is_open = tables.thinking(state[Field.CELL])  # (batch_size,): such a row needs no opening delimiter any more
        most = state[Field.THINKING] + self._room(prompt_length) + is_open * self._start
        if self._share < 1:
            most = self._share_of(most)
        least = limits.min_thinking_tokens
        if bool((least > most).any()):
            raise ValueError(
                f"`min_thinking_tokens` has to be at most what is left for thinking, but is {int(least.max())} and "
                f"'auto' leaves {int(most.min())}. Raise `max_new_tokens` (`max_tokens` of vLLM and servers)."
            )
        return limits._replace(max_thinking_tokens=most)

    def _share_of(self, most: torch.Tensor) -> torch.Tensor:
        """The part of each cap that is for thinking; a stop message has to fit into it."""
        parts = [round(self._share * cap) for cap in most.tolist()]  # exact, which a GPU's floats may not be
        if min(parts) < self._message:
            raise ValueError(
                f"`thinking_share` has to leave room for `cut_text`, {self._message} tokens, whose tokens are thinking "
                f"tokens, but leaves {min(parts)}. Raise it or `max_new_tokens` (`max_tokens` of vLLM and "
                "servers), or shorten the text."
            )
        return most.new_tensor(parts)

    def _room(self, prompt_length: int) -> int:
        """Thinking tokens that are allowed after a prompt of `prompt_length` that has not opened thinking."""
        room = self._config.max_new_tokens
        if room is None:
            room = self._config.max_length - prompt_length
        needed = self._needed + self._message
        if room < needed:
            raise ValueError(
                f'`max_thinking_tokens="auto"` has to leave room for delimiters, forced texts and {self._reserve} '
                f"tokens of answer, {needed} in all, but only {room} tokens may be generated. Raise `max_new_tokens` "
                "(`max_tokens` of vLLM and servers), or set `max_thinking_tokens` to a number."
            )
        return int(room - self._needed)
