r"""With what probability each token of a budgeted row was drawn, and where that is the model's own law.

Let `pi` be the softmax of the model's scores over the temperature: what trainers mean by a token's log-probability.
Under budget forcing a place of a row is one of these, where `mu` is the probability of what happened there:

1. *Forced* (`start`, a cut, the rest of a Wait, of `close`, of the answer prefix): one token, `mu = 1`, no gradient.
2. *Plain*: a token `v`; ids outside the tokenizer and tokens that would complete a delimiter are banned. With these as
   `B`, `mu = pi(v) / (1 - pi(B))`; the gradient of its logarithm is that of `log pi(v)`, less that of `log(1 - pi(B))`.
3. *Right after a Wait*: as 2, and the ends are in `B` (no empty rounds).
4. *An end would be honoured*: a token `v`, `mu = pi(v)`; or an end, whichever of the ends `E` it is, `mu = pi(E)`, and
   the first token of `close` is emitted. The gradient is that of `log pi` of this token, if it is all of `E`.
5. *An end would become a Wait*, below the minimum too: a token `v`, `mu = pi(v)`; or an end, `mu = pi(E)`, and the
   Wait's first token is emitted, whose `log pi` has nothing to do with it.
6. *An end would give way to the next-best token* (a minimum without a Wait): a token `v` that is no end, drawn at once
   or after an end: `mu = pi(v) + pi(E) pi(v) / (1 - pi(E)) = pi(v) / (1 - pi(E))`; then as 2 with `E` for `B`.

The policy gradient of an expected reward `E[R]` under budgets is `E[R * sum over places of grad log mu]`: given what
precedes it, each place adds a term whose mean, without `R`, is zero. A trainer adds the gradient of `log pi` of the
emitted token instead. This is the right term where the share of `pi` that the rules have moved, the *moved share*

    m = pi(B) + pi(of those ends that are not emitted as themselves),

is nothing. Where it is not, the trainer's term is wrong in two ways: its mean is no longer zero, and where an end has
become a Wait it teaches a word that the model did not choose. So these places are left out of the loss, together with
the forced ones: what is drawn there then counts as a part of the environment, and the gradient with regard to
everything else stays exact. Whether a place is left out depends on `m` alone, and so on what precedes it, never on what
was drawn there: a choice by the outcome would bias what is kept. (The one exception is a Wait in a place with
`m <= tolerance`, at most that rare: its token is left out as well.) With `m <= tolerance`, what is neglected in a place
is at most `2 * tolerance * |advantage|`: the sum, over the vocabulary, of the absolute derivatives of `log(1 - m)` by
the scores is `2m`.

An off-policy weight `pi / mu` is no way out: `mu` gives no probability to what is banned, where `pi` gives it some.

*An end that was honoured stays in the loss*, though reports call the delimiter forced: it is the model that ended. A
mask made of the report's `forced` alone would never teach when to stop.

Of top-k, top-p and min-p nothing is said here, because trainers compute `log pi` without them: they are in the
log-probabilities, as in those of vLLM (`processed_logprobs`), and not in `m`.
"""

from __future__ import annotations

from typing import NamedTuple

import torch

from s1_hf.generation.sampling import Sampling
from s1_hf.rl.places import HONOURED, NOTHING, SKIPPED, Flat, Places

TOLERANCE = 0.01
"""The share of probability that may have been moved at a place in the loss."""

AT_ONCE = 2**24
"""Scores that are looked at together."""


class Law(NamedTuple):
    """Of every place of some rows, tensors of shape `(rows, length)`; what is said of padding means nothing.

    Args:
        logprobs (`torch.FloatTensor`): the log-probability with which what stands there was drawn; 0 where forced.
        moved (`torch.FloatTensor`): the share of the model's probability that the rules had moved, 0 where forced.
        kept (`torch.BoolTensor`): whether the place belongs in the loss.
    """

    logprobs: torch.Tensor
    moved: torch.Tensor
    kept: torch.Tensor


def law_of(
    places: Places, scores: torch.Tensor, sampling: Sampling, temperature: float, tolerance: float = TOLERANCE
) -> Law:
    """The law of rows, from a model's scores.

    Args:
        scores (`torch.FloatTensor` of shape `(rows, length, vocab_size)`): the model's, of each token of the rows.
        sampling ([`Sampling`]): how tokens were drawn.
        temperature (`float`): the one of it, by which trainers divide.
        tolerance (`float`, *optional*, defaults to 0.01): the largest moved share of a place in the loss.
    """
    rows, length, size = scores.shape
    flat = places.on(scores.device)
    at_once = max(AT_ONCE // size, 1)
    logprobs, moved = [], []
    for begin in range(0, rows * length, at_once):
        part = flat.part(begin, begin + at_once)
        own = scores.reshape(-1, size)[begin : begin + at_once].float()  # (n, vocab_size)
        banned = _banned(part, size)
        ends = _ends(part, size) & ~banned
        moved.append(_moved(part, own / temperature, banned, ends))
        logprobs.append(_logprobs(part, own.masked_fill(banned, -torch.inf), ends, sampling))
    fixed = places.fixed.to(scores.device)
    share = torch.cat(moved).view(rows, length).masked_fill(fixed, 0.0)
    kept = ~fixed & (share <= tolerance) & places.as_itself.to(scores.device)
    return Law(torch.cat(logprobs).view(rows, length).masked_fill(fixed, 0.0), share, kept)


def _banned(at: Flat, size: int) -> torch.Tensor:
    """What may not come, whatever the model wants; `(n, vocab_size)`."""
    banned = torch.zeros(len(at.ids), size, dtype=torch.bool, device=at.ids.device)
    banned[:, at.tables.num_ids :] = True
    banned[:, at.tables.unused_ids] = True
    banned[:, at.tables.banned_ids] |= at.tables.bans[at.cells]
    return banned


def _ends(at: Flat, size: int) -> torch.Tensor:
    """What would be an attempt to end; `(n, vocab_size)`."""
    ends = torch.zeros(len(at.ids), size, dtype=torch.bool, device=at.ids.device)
    ends[:, at.tables.ends] = at.tables.ends_in[at.cells] & (at.after_end != NOTHING)[:, None]
    return ends


def _moved(at: Flat, own: torch.Tensor, banned: torch.Tensor, ends: torch.Tensor) -> torch.Tensor:
    """The moved share of each place, `(n,)`; `own` are the model's scores over the temperature."""
    shifted = banned | ends
    emitted = at.closes_with.clamp(min=0)[:, None]  # an honoured end that is this one stays what it is
    stays = ends.gather(1, emitted) & (at.after_end == HONOURED)[:, None]
    shifted.scatter_(1, emitted, shifted.gather(1, emitted) & ~stays)
    return (own.softmax(-1) * shifted).sum(-1)


def _logprobs(at: Flat, allowed: torch.Tensor, ends: torch.Tensor, sampling: Sampling) -> torch.Tensor:
    """The log-probability of what happened in each place, `(n,)`."""
    ids = at.ids[:, None]
    law = sampling.law(ids, allowed)  # (n, vocab_size)
    of_ends = law.masked_fill(~ends, -torch.inf).logsumexp(-1)
    of_token = law.gather(1, ids)[:, 0]
    skips = at.after_end == SKIPPED
    if skips.any():  # drawn at once, or after an end was drawn and skipped
        second = sampling.law(ids, allowed.masked_fill(ends, -torch.inf)).gather(1, ids)[:, 0]
        of_token = torch.where(skips, torch.logaddexp(of_token, of_ends + second), of_token)
    return torch.where(at.ended, of_ends, of_token)
