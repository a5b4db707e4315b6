"""Draws tokens as vLLM does, with numbers that belong to rows: temperature, then min-p, then top-k, then top-p.

vLLM never shows its own random numbers to a logits processor, so the token is drawn here, and only it is left possible.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import torch

from s1_hf.forcing.draws import drawn, exact_dtype

if TYPE_CHECKING:
    from s1_hf.vllm.settings import RequestSettings

FIRST_LOOK = 256
"""How many of the most likely tokens are sorted first where there is a top-p and no top-k; on CPUs."""


class Warping(NamedTuple):
    """How the rows of a batch are sampled."""

    temperature: torch.Tensor  # (batch_size, 1)
    min_p: torch.Tensor | None  # (batch_size, 1); None: no row has one
    top_k: torch.Tensor | None  # (batch_size, 1)
    top_p: torch.Tensor | None  # (batch_size, 1)
    most_k: int  # the largest top-k; 0: a row has none, so that any token may be taken

    @classmethod
    def of(cls, rows: Sequence[RequestSettings], device: torch.device) -> Warping:
        """That of some requests."""

        def column(values: list[float], off: float) -> torch.Tensor | None:
            if all(value == off for value in values):
                return None
            return torch.tensor(values, device=device)[:, None]

        ks = [row.top_k for row in rows]
        temperatures = torch.tensor([row.temperature for row in rows], device=device)
        return cls(
            temperature=temperatures[:, None],
            min_p=column([row.min_p for row in rows], 0.0),
            top_k=column([float(k) if k else torch.inf for k in ks], torch.inf),
            top_p=column([row.top_p for row in rows], 1.0),
            most_k=max(ks) if all(ks) else 0,
        )


def draw(scores: torch.Tensor, warping: Warping, uniform: torch.Tensor) -> torch.Tensor:
    """One token for each row, of shape `(batch_size,)`.

    Args:
        scores (`torch.FloatTensor` of shape `(batch_size, vocab_size)`): not modified.
        uniform (`torch.Tensor` of shape `(batch_size, 1)`): numbers from 0 to 1.
    """
    size = scores.shape[1]
    if warping.top_k is None and warping.top_p is None:
        return drawn(_weights(scores, warping), uniform)[:, 0]
    if warping.most_k:
        return _among_likeliest(scores, warping, uniform, min(warping.most_k, size), None)
    # There is a top-p, or a top-k in some rows only. Most often few tokens hold all that a top-p leaves; to ask
    # whether they do would make other devices wait.
    if scores.device.type == "cpu" and warping.top_k is None and size > 4 * FIRST_LOOK:
        assert warping.top_p is not None
        total = _weights(scores, warping).sum(1, keepdim=True)
        values, _ = scores.topk(FIRST_LOOK)
        held = _of_sorted(values, warping).sum(1, keepdim=True)
        if bool((held >= warping.top_p * total).all()):
            return _among_likeliest(scores, warping, uniform, FIRST_LOOK, total)
    return _among_likeliest(scores, warping, uniform, size, None)


def _among_likeliest(
    scores: torch.Tensor, warping: Warping, uniform: torch.Tensor, count: int, total: torch.Tensor | None
) -> torch.Tensor:
    """Among the `count` most likely tokens; `total`: the weight of all tokens, if it is more than theirs."""
    values, ids = scores.topk(count)  # (batch_size, count), the most likely first
    weights = _of_sorted(values, warping)
    if warping.top_k is not None:
        rank = torch.arange(count, device=scores.device)
        weights = weights.masked_fill(rank >= warping.top_k, 0.0)
    if warping.top_p is not None:
        total = weights.sum(1, keepdim=True) if total is None else total
        before = weights.cumsum(1) - weights  # of the tokens that are more likely
        weights = weights.masked_fill((before >= warping.top_p * total) & (before > 0), 0.0)
    # In the order of ids, as a draw from the whole vocabulary would be.
    ids, order = ids.sort(1)
    return ids.gather(1, drawn(weights.gather(1, order), uniform))[:, 0]


def _weights(scores: torch.Tensor, warping: Warping) -> torch.Tensor:
    """What the probabilities are proportional to, with min-p; the most likely token has 1. A new tensor."""
    weights = scores / warping.temperature
    weights = weights.sub_(weights.amax(1, keepdim=True)).exp_()
    if warping.min_p is not None:
        weights.masked_fill_(weights < warping.min_p, 0.0)
    return weights


def _of_sorted(values: torch.Tensor, warping: Warping) -> torch.Tensor:
    """The same for scores whose first is the highest; in float64, as their sums decide what top-p leaves."""
    values = values.to(exact_dtype(values.device))
    weights = ((values - values[:, :1]) / warping.temperature).exp()
    if warping.min_p is not None:
        weights = weights.masked_fill(weights < warping.min_p, 0.0)
    return weights
