"""How sure the model is of each token: the confidence of DeepConf (https://arxiv.org/abs/2508.15260).

It is kept in whole ten-thousandths, so that what is decided by it while a row is written is decided again by what was
kept of it, whatever the machine.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import torch

from s1_hf.forcing.prompts import start_of
from s1_hf.forcing.report import Ended
from s1_hf.forcing.tables import after_effect
from s1_hf.forcing.values import is_count, is_number

if TYPE_CHECKING:
    from s1_hf.forcing.automaton import Automaton

SCALE = 10_000
"""Parts of a nat in which confidences are kept."""

IMPOSSIBLE = -10_000.0
"""Tokens with a smaller log-probability than this are impossible: those that a model itself has masked."""

NO_LAW = -1
"""In place of a confidence: the logits are no law, because one is NaN or infinite."""


@dataclass(frozen=True)
class Confidence:
    """How sure the model is of its tokens, measured while they are written.

    The confidence of a token is `-(1/k) * sum(log p)` over the k most likely tokens of the law that it was taken from:
    in nats, at least 0, and the larger the surer. The law is the model's own, of its raw logits: before temperature,
    top-k, penalties and forcing. A forced token is measured too: it tells what the model would have written there.
    Impossible tokens, those below `IMPOSSIBLE`, are left out, of the sum and of k.

    With `top=1` it is `-log p` of the most likely token, so that `exp(-mean)` over an answer is DEER's confidence
    (https://arxiv.org/abs/2504.15895); this one is the larger the less sure. With `top=None` it is self-certainty
    (https://arxiv.org/abs/2502.18581) plus the logarithm of the vocabulary's size.

    Args:
        top (`int`, *optional*, defaults to 20): k; `None` is the whole vocabulary.
        window (`int`, *optional*): tokens of a group, for `below`.
        below (`float`, *optional*): a row is given up while it thinks, as by `give_up_after`, once the mean over its
            last `window` tokens is below this, in nats. All of them have to be thinking, in one block. It is not looked
            at in the midst of what may be a delimiter.

    Raises:
        ValueError: a value is out of its range, or `window` and `below` are not given together.

    Example:

    ```python
    >>> import torch
    >>> from s1_hf.forcing.confidence import Confidence, measured
    >>> logits = torch.tensor([[0.7, 0.2, 0.1]]).log()
    >>> [measured(logits, top).item() for top in (1, 2, None)]  # ten-thousandths of -log 0.7, and of the means
    [3567, 9831, 14229]
    >>> Confidence(window=2048, below=12.5).least
    256000000

    ```
    """

    top: int | None = 20
    window: int | None = None
    below: float | None = None

    def __post_init__(self) -> None:
        bad = []
        for name in ("top", "window"):
            value = getattr(self, name)
            if value is not None and (not is_count(value) or value < 1):
                bad.append(f"`{name}` has to be an integer of at least 1, or None, but is {value!r}.")
        if self.below is not None and (not is_number(self.below) or not math.isfinite(self.below)):
            bad.append(f"`below` has to be a number, in nats, or None, but is {self.below!r}.")
        if (self.window is None) != (self.below is None):
            bad.append(
                "`window` and `below` have to be given together, such as `window=2048, below=12.5`, but are "
                f"{self.window!r} and {self.below!r}."
            )
        if bad:
            raise ValueError(" ".join(bad))

    @property
    def least(self) -> int:
        """The smallest sum of a window, in ten-thousandths, with which a row goes on."""
        assert self.below is not None and self.window is not None
        return math.ceil(self.below * self.window * SCALE - 1e-3)  # a mean of such numbers is no hair above itself


def measured(logits: torch.Tensor, top: int | None) -> torch.Tensor:
    """The confidence of each row's next token, in ten-thousandths; int64, of shape `(batch_size,)`.

    Nothing waits for the device.

    Args:
        logits (`torch.FloatTensor` of shape `(batch_size, vocab_size)`): raw, in float32; not modified.
        top (`int`, *optional*): how many of the most likely tokens; `None` is all.
    """
    total = logits.logsumexp(-1, keepdim=True)
    if top is not None and top < logits.shape[-1]:
        logits = logits.topk(top, dim=-1, sorted=False).values
    log_p = logits - total
    impossible = log_p < IMPOSSIBLE
    count = log_p.shape[-1] - impossible.sum(-1)
    confidence = -(log_p.masked_fill_(impossible, 0.0).sum(-1) / count)
    found = (confidence * SCALE).round().clamp(min=0)
    return found.where(total[:, 0].isfinite(), NO_LAW).long()


def as_confidences(values: Sequence[int]) -> tuple[float, ...]:
    """Ten-thousandths as nats.

    Raises:
        ValueError: at some token the model's logits were no law.
    """
    if min(values, default=0) < 0:
        raise ValueError(
            f"The model's logits are NaN or infinite at its generated token {list(values).index(NO_LAW)}, so that it "
            "has no confidence there. Are its weights damaged, or does its dtype overflow? bfloat16 and float32 have "
            "more room than float16."
        )
    return tuple(value / SCALE for value in values)


def in_parts(confidences: Sequence[float]) -> list[int]:
    """Nats as ten-thousandths, as they were measured."""
    return [round(confidence * SCALE) for confidence in confidences]


class Runs(NamedTuple):
    """Where thinking stands among the generated tokens of a row.

    Args:
        lengths (`list[int]`): how many thinking tokens in a row end with each token; 0 where it is none.
        certain (`list[bool]`): whether that was known at once; not in the midst of what may be a delimiter.
    """

    lengths: list[int]
    certain: list[bool]


def thinking_runs(automaton: Automaton, prompt: Sequence[int], ids: Sequence[int], thinking_tokens: int) -> Runs:
    """Where thinking stands, as it was known while the row was written.

    Args:
        prompt, ids (`Sequence[int]`): what was asked, and all that was generated.
        thinking_tokens (`int`): of its report: what follows them, such as a newline before a cut, is no thinking.
    """
    runs = Runs([], [])
    run = 0
    state = start_of(automaton, prompt)
    for i, token in enumerate(ids):
        before, state = state, after_effect(state, automaton.effect_of(token, state.cell))
        thinks = before.thinking_tokens < state.thinking_tokens <= thinking_tokens
        run = run + 1 if thinks and state.ended == Ended.UNFINISHED else 0
        if state.ended != Ended.UNFINISHED:  # what was pending has turned out to be the closing delimiter
            for back in range(max(i - before.pending, 0), i):
                runs.lengths[back] = 0
        runs.lengths.append(run)
        runs.certain.append(state.pending == 0)
    return runs


def losing_token(confidence: Confidence, measured: Sequence[int], runs: Runs) -> int | None:
    """With which token a row is given up, by its index; `None`: with none.

    Args:
        measured (`Sequence[int]`): of each token, in ten-thousandths.
        runs ([`Runs`]): of all tokens.
    """
    window = confidence.window
    assert window is not None
    for i, total in window_sums(measured, runs, window):
        if total < confidence.least:
            return i
    return None


def window_sums(measured: Sequence[int], runs: Runs, window: int) -> Iterator[tuple[int, int]]:
    """Of every window that was looked at: its last token's index, and its sum in ten-thousandths."""
    total = 0
    for i, value in enumerate(measured):
        total += value - (measured[i - window] if i >= window else 0)
        if runs.lengths[i] >= window and runs.certain[i]:
            yield i, total
