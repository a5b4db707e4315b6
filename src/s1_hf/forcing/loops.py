"""Thinking that repeats itself: how it is recognised."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from s1_hf.forcing.values import is_count

if TYPE_CHECKING:
    import torch

MOST_TOKENS = 4096
"""How far back a guard may look; every step compares so many tokens with themselves, for every period."""


@dataclass(frozen=True, kw_only=True)
class LoopGuard:
    """Closes thinking that repeats itself: ignoring the end too often can drive a model into a loop (s1, section 4).

    Matches when the last `max(repeats * p, min_tokens)` thinking tokens have a period of `p` tokens, for some `p` up
    to `max_period`: each token equals the one `p` tokens before it. Does not match a loop with a longer period, or
    one whose text changes, such as a counter.

    A guard may look at no more than the last 4,096 tokens: `max_period * repeats` and `min_tokens` are at most that.

    Args:
        max_period (`int`, *optional*, defaults to 64): the longest period to look for, in tokens, at most 512; the cost
            of a step grows with its square.
        repeats (`int`, *optional*, defaults to 4): how many times the period must have occurred, at least 2.
        min_tokens (`int`, *optional*, defaults to 64): the shortest stretch that counts, so that `0000` is not a loop.

    Raises:
        ValueError: a value is not an integer in its range, or the guard would look too far back.
    """

    max_period: int = 64
    repeats: int = 4
    min_tokens: int = 64

    def __post_init__(self) -> None:
        bad = []
        for name, least in {"max_period": 1, "repeats": 2, "min_tokens": 2}.items():
            value = getattr(self, name)
            if not is_count(value) or value < least:
                bad.append(f"`{name}` has to be an integer of at least {least}, but is {value!r}.")
        if not bad and self.max_period > 512:
            bad = [f"`max_period` has to be at most 512, because a step costs as its square, but is {self.max_period}."]
        elif not bad and self.width > MOST_TOKENS:
            bad = [
                f"`max_period * repeats` and `min_tokens` have to be at most {MOST_TOKENS:,} tokens, but are "
                f"{self.max_period * self.repeats:,} and {self.min_tokens:,}."
            ]
        if bad:
            raise ValueError(" ".join(bad))

    @property
    def width(self) -> int:
        """How many of the last tokens it looks at."""
        return max(self.max_period * self.repeats, self.min_tokens)


def looping(input_ids: torch.Tensor, thinking: torch.Tensor, guard: LoopGuard) -> torch.Tensor:
    """Which rows repeat themselves, see [`LoopGuard`]; `bool` of shape `(batch_size,)`.

    Args:
        input_ids (`torch.LongTensor` of shape `(batch_size, sequence_length)`): all tokens so far.
        thinking (`torch.LongTensor` of shape `(batch_size,)`): thinking tokens so far.
    """
    import torch  # only here: the command line starts without it

    periods = torch.arange(1, guard.max_period + 1, device=input_ids.device)  # (P,)
    stretch = (periods * guard.repeats).clamp(min=guard.min_tokens)  # (P,): tokens that have to repeat
    width = guard.width
    padding = max(width - input_ids.shape[1], 0)
    tail = torch.nn.functional.pad(input_ids, (padding, 0), value=-1)[:, -width:]  # (batch_size, width)
    at = torch.arange(width, device=input_ids.device)
    before = (at - periods[:, None]).clamp(min=0)  # (P, width): the position one period earlier
    same = tail[:, None, :] == tail[:, before]  # (batch_size, P, width)
    outside = at < (width - stretch + periods)[:, None]  # (P, width): not part of the stretch
    return ((same | outside).all(-1) & (thinking[:, None] >= stretch)).any(-1)
