"""How `generate` samples, done once: its warpers and its draw."""

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

from s1_hf.forcing.decisions import possibly
from s1_hf.forcing.draws import drawn, exact_dtype

SPARE = 12
"""How many tokens beside a top-k are looked at for ties with its last one."""
FIRST_LOOK = 256
"""How many of the most likely tokens are looked at first where there is a top-p and no top-k."""


class Sampling:
    """Draws tokens from scores as `generate` does under a configuration: temperature, top-k, top-p, then min-p.

    Its warpers are the law. With a top-k or top-p few tokens are possible, though, and where it costs nothing to look
    at the scores, on CPUs, these few are sorted instead of the vocabulary. Where equally likely tokens stand on either
    side of a top-p, which of them it keeps is left to the sort, there as here.
    """

    def __init__(self, config: GenerationConfig | None) -> None:
        self._temperature, self._top_k, self._top_p, self._min_p = 1.0, 0, 1.0, 0.0
        if config is not None:
            self._temperature = 1.0 if config.temperature is None else config.temperature
            self._top_k = 50 if config.top_k is None else config.top_k  # `generate`'s own default
            self._top_p = 1.0 if config.top_p is None else config.top_p
            self._min_p = 0.0 if config.min_p is None else config.min_p
        self._warpers: list[LogitsProcessor] = []
        if self._temperature != 1.0:
            self._warpers.append(TemperatureLogitsWarper(self._temperature))
        if self._top_k:
            self._warpers.append(TopKLogitsWarper(self._top_k))
        if self._top_p < 1.0:
            self._warpers.append(TopPLogitsWarper(self._top_p))
        if self._min_p:
            self._warpers.append(MinPLogitsWarper(self._min_p))

    def law(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        """The log-probability with which [`Sampling.draw`] draws each token, of the shape of `scores`."""
        for warper in self._warpers:
            scores = warper(input_ids, scores)
        return scores.log_softmax(-1)

    def draw(self, input_ids: torch.Tensor, scores: torch.Tensor, number: torch.Tensor) -> torch.Tensor:
        """One token per row, of shape `(batch_size,)`.

        Args:
            scores (`torch.FloatTensor` of shape `(batch_size, vocab_size)`): not modified.
            number (`torch.Tensor` of shape `(batch_size, 1)`): from 0 to 1; the running sum of the tokens'
                probabilities, in the order of ids, passes it at the token drawn.
        """
        if scores.device.type == "cpu" and (self._top_k or self._top_p < 1.0):
            token = self._among_likeliest(scores, number)
            if token is not None:
                return token
        for warper in self._warpers:
            scores = warper(input_ids, scores)
        return drawn(scores.softmax(-1), number)[:, 0]

    def _among_likeliest(self, scores: torch.Tensor, number: torch.Tensor) -> torch.Tensor | None:
        """The same with a sort of the likeliest tokens alone; `None` if more of them are possible in some row."""
        size = scores.shape[1]
        count = min(self._top_k + SPARE if self._top_k else FIRST_LOOK, size)
        values, ids = scores.topk(count)  # (batch_size, count), the most likely first
        exact = (values.to(exact_dtype(scores.device)) - values[:, :1]) / self._temperature
        weights = exact.exp()
        # 1. The top-k, and what is as likely as its last token.
        total = weights.sum(1, keepdim=True)
        if self._top_k:
            least = values[:, min(self._top_k, count) - 1, None]
            if count < size and possibly((values[:, -1:] == least) & (least > -torch.inf)):
                return None
            weights = weights.masked_fill(values < least, 0.0)
            total = weights.sum(1, keepdim=True)
        elif count < size:
            shares = ((scores - values[:, :1]) / self._temperature).exp_()  # of the whole vocabulary
            total = shares.sum(1, keepdim=True).maximum(total)
            if possibly(weights.sum(1, keepdim=True) < self._top_p * total):
                return None
        # 2. The top-p: tokens with less than that before them, of equally likely ones those with lower ids.
        ids, by_id = ids.sort(1)
        weights = weights.gather(1, by_id)
        if self._top_p < 1.0:
            falling, order = weights.sort(stable=True, dim=1, descending=True)
            before = falling.cumsum(1) - falling
            falling = falling.masked_fill((before >= self._top_p * total) & (before > 0), 0.0)
            weights = weights.scatter(1, order, falling)
        # 3. The min-p: of the most likely token's probability.
        weights = weights.masked_fill(weights < self._min_p, 0.0)
        # 4. In the order of ids, as in a draw from the whole vocabulary.
        return ids.gather(1, drawn(weights, number))[:, 0]
