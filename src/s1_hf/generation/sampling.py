"""How `generate` samples: its warpers."""

from __future__ import annotations

import torch
from transformers import (
    GenerationConfig,
    LogitsProcessor,
    MinPLogitsWarper,
    TemperatureLogitsWarper,
    TopKLogitsWarper,
    TopPLogitsWarper,
)


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
