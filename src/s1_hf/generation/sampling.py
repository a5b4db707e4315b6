"""How `generate` samples: its warpers, and rows that are drawn by seeds of their own."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from transformers import (
    GenerationConfig,
    LogitsProcessor,
    MinPLogitsWarper,
    TemperatureLogitsWarper,
    TopKLogitsWarper,
    TopPLogitsWarper,
)

from s1_hf.forcing.draws import FOR_TOKEN

if TYPE_CHECKING:
    from s1_hf.forcing.draws import SeededDraws


class Warpers:
    """What `generate` will do to the scores after budget forcing, in its order; nothing without sampling."""

    def __init__(self, config: GenerationConfig | None) -> None:
        self._warpers: list[LogitsProcessor] = []
        if config is None or not config.do_sample:
            return
        top_k = 50 if config.top_k is None else config.top_k  # `generate`'s own default
        if config.temperature not in (None, 1.0):
            self._warpers.append(TemperatureLogitsWarper(config.temperature))
        if top_k != 0:
            self._warpers.append(TopKLogitsWarper(top_k))
        if config.top_p is not None and config.top_p < 1.0:
            self._warpers.append(TopPLogitsWarper(config.top_p))
        if config.min_p is not None:
            self._warpers.append(MinPLogitsWarper(config.min_p))

    def probabilities(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        """The distribution that tokens are drawn from, of the shape of `scores`, `(batch_size, vocab_size)`."""
        for warper in self._warpers:
            scores = warper(input_ids, scores)
        return scores.softmax(-1)


class RowSampler(LogitsProcessor):
    """Draws the next token of each row with the row's own numbers; has to stand after budget forcing.

    `generate` draws all rows from one global stream, so that what a sample becomes would depend on the rows beside
    it. The law here is that of `generate`: the same warpers, then one draw; only the token drawn stays possible.

    Args:
        draws ([`SeededDraws`]): the same that budget forcing asks about ends.
    """

    def __init__(self, warpers: Warpers, draws: SeededDraws) -> None:
        self._warpers, self._draws = warpers, draws

    def __call__(self, input_ids: torch.LongTensor, scores: torch.FloatTensor) -> torch.FloatTensor:
        """
        Args:
            scores (`torch.FloatTensor` of shape `(batch_size, vocab_size)`): of the next token; not modified.

        Returns:
            `torch.FloatTensor` of the same shape: 0 for the token drawn in each row, `-inf` for all others.
        """
        probabilities = self._warpers.probabilities(input_ids, scores)
        tokens = self._draws.draw(probabilities, input_ids.shape[1], FOR_TOKEN)
        return torch.full_like(scores, -torch.inf).scatter_(1, tokens[:, None], 0.0)  # type: ignore[return-value]
