"""What a step of `generate` decides, with all that one call brings to it: limits, draws, and how it is run."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import torch

from s1_hf.forcing.decisions import advance, decide, may_skip
from s1_hf.generation.replay import Replayed

if TYPE_CHECKING:
    from s1_hf.forcing.decisions import ActingLimits, Decision, Rule
    from s1_hf.forcing.draws import Draws
    from s1_hf.forcing.loops import LoopGuard
    from s1_hf.forcing.tables import Tables
    from s1_hf.generation.record import Step
    from s1_hf.generation.sampling import Sampling

Numbers = Callable[[bool], torch.Tensor]
"""A number from 0 to 1 per row, of shape `(batch_size, 1)`; `True`: for a second draw in the same step."""


class Deciding:
    """Decides about the rows of one call of `generate`.

    Args:
        tables ([`Tables`]) and limits ([`ActingLimits`]): on the device of the rows.
        is_replayed (`bool`): whether all steps but the first are replayed as one CUDA graph.
    """

    def __init__(
        self,
        tables: Tables,
        limits: ActingLimits,
        rule: Rule,
        sampling: Sampling,
        draws: Draws,
        loop_guard: LoopGuard | None,
        is_replayed: bool,
    ) -> None:
        self._tables, self._limits, self._rule = tables, limits, rule
        self._sampling, self._draws, self._loop_guard = sampling, draws, loop_guard
        self._replayed = Replayed(self._advanced_and_decided) if is_replayed else None
        self._looks_at = 1 if loop_guard is None else loop_guard.width  # how many of the last tokens

    def __call__(self, step: Step, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        """New scores, of shape `(batch_size, vocab_size)`; what was decided is noted in `step`, that of `input_ids`."""

        def numbers(again: bool) -> torch.Tensor:
            return self._draws.numbers(len(input_ids), input_ids.shape[1], input_ids.device, again)

        if self._replayed is not None and step.before is not None:
            tail = input_ids[:, -self._looks_at :]
            tail = torch.nn.functional.pad(tail, (self._looks_at - tail.shape[1], 0), value=-1)
            drawn = [numbers(again) for again in self._draws_of_a_step()]
            scores, step.state, step.pick = self._replayed(step.before, tail, scores, *drawn)
        else:
            scores, step.state, step.pick = self._decided(step.state, input_ids, scores, numbers)
        return scores

    def _draws_of_a_step(self) -> tuple[bool, ...]:
        if self._rule != "sample":
            return ()
        return (False, True) if may_skip(self._tables, self._limits) else (False,)

    def _advanced_and_decided(
        self, before: torch.Tensor, ids: torch.Tensor, scores: torch.Tensor, *drawn: torch.Tensor
    ) -> Decision:
        state = advance(self._tables, before, ids[:, -1])
        return self._decided(state, ids, scores, drawn.__getitem__)

    def _decided(self, state: torch.Tensor, ids: torch.Tensor, scores: torch.Tensor, numbers: Numbers) -> Decision:
        def draw(allowed: torch.Tensor, again: bool) -> torch.Tensor:
            return self._sampling.draw(ids, allowed, numbers(again))

        sampled = draw if self._rule == "sample" else None
        return decide(self._tables, self._limits, state, ids, scores, self._rule, sampled, self._loop_guard)
