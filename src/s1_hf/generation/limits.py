"""The budget of every row of one call: what was given, fitted to the batch and to the room there is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from s1_hf.forcing.decisions import Limits, limits_for
from s1_hf.generation.auto import AutomaticCap
from s1_hf.generation.cautions import check_room, warn_about_closed_prompts
from s1_hf.generation.config import room_after, rows_per_prompt

if TYPE_CHECKING:
    import torch
    from transformers import GenerationConfig

    from s1_hf.forcing.automaton import Automaton
    from s1_hf.forcing.budget import Budget


class RowBudgets:
    """Makes [`Limits`] of a budget, for the rows that a call of `generate` comes with.

    Args:
        config ([`GenerationConfig`], *optional*): what `generate` will do.

    Raises:
        ValueError: an automatic cap has no room.
    """

    def __init__(self, automaton: Automaton, budget: Budget, config: GenerationConfig | None) -> None:
        self._automaton, self._budget, self._config = automaton, budget, config
        self._auto = None
        if budget.max_thinking_tokens == "auto":
            self._auto = AutomaticCap(automaton, config, budget)

    def limits(
        self, state: torch.Tensor, prompt_length: int, rows: Sequence[Sequence[int]], is_quiet: bool = False
    ) -> Limits:
        """The limits of rows whose prompts, padded to `prompt_length`, have led to `state`, of shape `(7, batch_size)`.

        Args:
            rows (`Sequence[Sequence[int]]`): the prompts, looked at only if budgets were given per prompt.
            is_quiet (`bool`): whether what cannot act was seen to before.

        Raises:
            ValueError: the budgets do not fit the batch, a minimum does not fit, or `"auto"` finds too little room.
        """
        prompts = self._budget.num_prompts or 1
        if self._budget.num_prompts:
            check_repeated(rows, prompts, rows_per_prompt(self._config))
        limits = limits_for(self._budget, prompts, state.shape[1] // prompts)
        if self._auto is not None:
            limits = self._auto.limits(limits, self._automaton.tables, state, prompt_length)
        elif not is_quiet:
            check_room(self._automaton, limits, state, room_after(prompt_length, self._config))
        if not is_quiet:
            warn_about_closed_prompts(self._automaton, limits, state)
        return limits


def check_repeated(rows: Sequence[Sequence[int]], prompts: int, rows_per_prompt: int) -> None:
    """Raises a `ValueError` if budgets for `prompts` prompts do not fit the rows of a batch.

    Trainers repeat prompts themselves, `generate` does it for `num_return_sequences` and `num_beams`: a prompt's rows
    stand side by side.
    """
    copies, left = divmod(len(rows), prompts)
    fits = left == 0 and copies >= 1
    if fits and copies > rows_per_prompt:
        for first in range(0, len(rows), copies):
            fits = fits and all(row == rows[first] for row in rows[first : first + copies])
    if not fits or copies % rows_per_prompt:
        raise ValueError(
            f"Budgets given per prompt have to fit the batch: {prompts} budgets were given, but the batch has "
            f"{len(rows)} rows, which are not each prompt repeated side by side. Give one budget for each row, "
            f"{len(rows)} in all, or one for all of them; `num_return_sequences` and `num_beams` come from "
            "`generation_config`."
        )
