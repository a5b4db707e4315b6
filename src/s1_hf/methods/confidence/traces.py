"""What was measured of one sample, and the numbers that DeepConf (https://arxiv.org/abs/2508.15260) makes of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import TYPE_CHECKING, Literal

import numpy as np

from s1_hf.forcing.confidence import SCALE, Runs, in_parts, thinking_runs, window_sums

if TYPE_CHECKING:
    from s1_hf.forcing.automaton import Automaton
    from s1_hf.generation.chats import Completion

Measure = Literal["average", "lowest", "bottom", "tail"]


@dataclass(frozen=True)
class Trace:
    """The confidences of a sample.

    Args:
        values (`tuple[int, ...]`): of every token that was generated, in ten-thousandths of a nat.
        runs ([`Runs`]): where its thinking stands.
    """

    values: tuple[int, ...]
    runs: Runs

    def until(self, token: int) -> Trace:
        """The same as far as the token at this index, which is the last one."""
        runs = Runs(self.runs.lengths[: token + 1], self.runs.certain[: token + 1])
        return Trace(self.values[: token + 1], runs)


def trace_of(completion: Completion, automaton: Automaton, prompt: Sequence[int]) -> Trace:
    """The trace of a completion that was measured from its beginning."""
    assert completion.confidences is not None
    values = tuple(in_parts(completion.confidences))
    return Trace(values, thinking_runs(automaton, prompt, completion.token_ids, completion.report.thinking_tokens))


def groups(trace: Trace, window: int) -> list[float]:
    """Group confidences: the means of every `window` tokens in a row, in nats; of a trace with fewer there is one."""
    everything = Runs(list(range(1, len(trace.values) + 1)), [True] * len(trace.values))
    found = [total / window / SCALE for _, total in window_sums(trace.values, everything, window)]
    return found or [average(trace)]


def average(trace: Trace) -> float:
    """The mean over all of its tokens, in nats; without a single one 0."""
    return fmean(trace.values or [0]) / SCALE


def measure(trace: Trace, name: Measure, window: int) -> float:
    """How sure the model was of a sample, in nats.

    Args:
        name (`str`): `"average"` of all tokens; `"lowest"`: of the least sure group; `"bottom"`: the mean of the least
            sure tenth of the groups, at least one; `"tail"`: of the last `window` tokens.
        window (`int`): tokens of a group.

    Example:

    ```python
    >>> from s1_hf.forcing.confidence import Runs
    >>> from s1_hf.methods.confidence.traces import Trace, measure
    >>> trace = Trace((40_000, 20_000, 10_000, 30_000), Runs([1, 2, 3, 4], [True] * 4))
    >>> [measure(trace, name, window=2) for name in ("average", "lowest", "bottom", "tail")]
    [2.5, 1.5, 1.5, 2.0]

    ```
    """
    if name == "average":
        return average(trace)
    if name == "tail":
        return fmean(trace.values[-window:] or [0]) / SCALE
    of_groups = sorted(groups(trace, window))
    if name == "lowest":
        return of_groups[0]
    return fmean(of_groups[: max(len(of_groups) // 10, 1)])


def threshold(values: Sequence[float], top: float) -> float:
    """What the `top` percent of `values` reach: their `100 - top` percentile, between two of them if need be."""
    return float(np.percentile(values, 100 - top))


def reaches(value: float, least: float) -> bool:
    """Whether it is not below, up to the rounding of a percentile."""
    return value >= least - 1e-9
