"""A table of efforts from a sweep over caps: the smallest caps that keep so much of the accuracy without a cap."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from s1_hf.forcing.budget import NO_INTERVENTION, Budget, without_idle
from s1_hf.forcing.effort import Effort
from s1_hf.metrics import accuracy, problems_needed, retention, retention_interval, retention_test
from s1_hf.results.rows import Row
from s1_hf.results.summaries import RESAMPLES

LEVEL = 0.95
"""With this probability a proposed cap keeps what it claims."""

Answers = np.ndarray[tuple[int, int], np.dtype[np.bool_]]


@dataclass(frozen=True)
class CapSummary:
    """What a cap does.

    Args:
        max_thinking_tokens (`int`): the cap.
        thinking_tokens (`float`): the mean.
        accuracy (`float`): percent.
        kept, low, high (`float`): the accuracy in percent of that without a cap, with its 90 % interval, see
            [`s1_hf.metrics.retention_interval`]: each end is a bound at 95 %. The high end may be infinite.
        cut (`float`): percent of the answers whose thinking was cut.
    """

    max_thinking_tokens: int
    thinking_tokens: float
    accuracy: float
    kept: float
    low: float
    high: float
    cut: float


@dataclass(frozen=True)
class Claim:
    """What an effort is to keep, and the cap that was found to keep it.

    Args:
        name (`str`): of the effort.
        keeps (`float`): percent of the accuracy without a cap.
        max_thinking_tokens (`int`, *optional*): the cap; `None` if the data show none.
        why (`str`): in words what the data show, and what is missing.
    """

    name: str
    keeps: float
    max_thinking_tokens: int | None
    why: str


@dataclass(frozen=True)
class Proposal:
    """What a sweep says about efforts.

    Args:
        problems, samples (`int`): number of problems, and of answers to each.
        thinking_tokens, accuracy (`float`): without a cap, in tokens and percent.
        caps (`list[CapSummary]`): from the largest to the smallest.
        claims (`list[Claim]`): one for each effort that was asked for.
    """

    problems: int
    samples: int
    thinking_tokens: float
    accuracy: float
    caps: list[CapSummary]
    claims: list[Claim]

    def effort(self, budget: Budget = NO_INTERVENTION) -> Effort:
        """The table: `none`, what was shown, and `max`; `budget` is what all of them share."""
        (nothing,) = without_idle([replace(budget, max_thinking_tokens=0)], of_request=True)
        table = {"none": nothing}
        for claim in self.claims:
            if claim.max_thinking_tokens is not None:
                table[claim.name] = replace(budget, max_thinking_tokens=claim.max_thinking_tokens)
        return Effort(table | {"max": replace(budget, max_thinking_tokens="auto")})


def propose(rows: Iterable[Row], keeps: Mapping[str, float], seed: int = 0) -> Proposal:
    """The smallest caps that keep so much of the accuracy without a cap.

    Caps are tried from the largest to the smallest, each by [`s1_hf.metrics.retention_test`] at 5 %, until the first
    one that fails; the last one before it is proposed. So looking at many caps costs no confidence: a cap is proposed
    that keeps less than it claims only if the first such cap on the way down, whichever that is, passed its test, which
    has a probability of 5 % (a fixed sequence of tests; each claim by itself, not all of them together). Accuracy need
    not rise with the cap for that.

    Args:
        rows (`Iterable[Row]`): of one method, under several caps and under no cap, with the same problems and the same
            number of samples. Problems of several tasks count alike.
        keeps (`dict`): by the effort's name, percent of the accuracy.
        seed (`int`): for what is drawn.

    Raises:
        ValueError: the rows lack one of these, or no problem is solved without a cap.
    """
    by_cap = _by_cap(rows)
    free = by_cap.pop(None, None)
    if free is None or not by_cap:
        raise ValueError("The rows have to be of several caps and of no cap ('none'), all with the same problems.")
    right = {cap: _matrix(own, list(free)) for cap, own in by_cap.items()}
    reference = _matrix(free, list(free))
    if not reference.any():
        raise ValueError(
            f"No cap can be proposed: without one, none of the {len(reference):,} problems is solved, so that there is "
            "no accuracy to keep. Use easier problems, or a larger `max_new_tokens`."
        )
    caps = []
    for cap in sorted(by_cap, reverse=True):
        low, high = retention_interval(right[cap], reference, resamples=RESAMPLES, rng=np.random.default_rng(seed))
        caps.append(
            CapSummary(
                max_thinking_tokens=cap,
                thinking_tokens=_thinking(by_cap[cap]),
                accuracy=accuracy(right[cap]),
                kept=retention(right[cap], reference),
                low=low,
                high=high,
                cut=100 * float(np.mean([row.ended == "cut" for row in _every(by_cap[cap])])),
            )
        )
    return Proposal(
        problems=len(reference),
        samples=reference.shape[1],
        thinking_tokens=_thinking(free),
        accuracy=accuracy(reference),
        caps=caps,
        claims=[_claim(name, percent, caps, right, reference, seed) for name, percent in keeps.items()],
    )


def smallest_keeping(
    right: Mapping[int, Answers], reference: Answers, percent: float, seed: int = 0, resamples: int = 10_000
) -> int | None:
    """The smallest cap that is shown to keep so much, as all larger ones are; `None` if the largest is not.

    Args:
        right (`dict`): the answers under each cap, of shape (problems, samples).
        reference: those without a cap.
    """
    found = None
    for cap in sorted(right, reverse=True):
        rng = np.random.default_rng(seed)
        if retention_test(right[cap], reference, kept=percent, resamples=resamples, rng=rng) > 1 - LEVEL:
            break
        found = cap
    return found


def _claim(
    name: str,
    percent: float,
    caps: Sequence[CapSummary],
    right: Mapping[int, Answers],
    reference: Answers,
    seed: int,
) -> Claim:
    cap = smallest_keeping(right, reference, percent, seed)
    largest = caps[0]
    if cap is not None:
        (found,) = (one for one in caps if one.max_thinking_tokens == cap)
        why = f"at least {percent:g} % with 95 % confidence; {found.kept:.1f} % on these problems"
        if cap == caps[-1].max_thinking_tokens:
            why += "; the smallest cap that was tried, so a smaller one may do"
        return Claim(name, percent, cap, why)
    kept = f"the largest cap, {largest.max_thinking_tokens:,}, keeps {largest.kept:.1f} %"
    needed = problems_needed(right[largest.max_thinking_tokens], reference, kept=percent, level=LEVEL)
    if math.isinf(needed):
        return Claim(name, percent, None, f"not shown: {kept}. Try larger caps.")
    return Claim(
        name,
        percent,
        None,
        f"not shown: {kept}, but {largest.low:.1f} % is all that {len(reference):,} problems show with 95 % "
        f"confidence. It takes about {_rounded(needed):,}.",
    )


def _rounded(number: float) -> int:
    """To two digits, upwards."""
    unit = 10 ** max(0, len(str(int(number))) - 2)
    return math.ceil(number / unit) * unit


_Problems = dict[tuple[str, str], list[Row]]


def _by_cap(rows: Iterable[Row]) -> dict[Any, _Problems]:
    """The rows of each problem under each cap."""
    found: dict[Any, _Problems] = {}
    for row in rows:
        found.setdefault(row.max_thinking_tokens, {}).setdefault((row.task, row.problem), []).append(row)
    return found


def _matrix(problems: _Problems, order: Sequence[tuple[str, str]]) -> Answers:
    """Whether each answer is right, of shape (problems, samples)."""
    if problems.keys() != set(order) or len({len(own) for own in problems.values()}) > 1:
        raise ValueError(
            "Every cap needs the same problems, and every problem the same number of samples. Tasks with different "
            "numbers of samples have to be swept by themselves."
        )
    return np.array([[row.correct for row in problems[problem]] for problem in order])


def _every(problems: _Problems) -> list[Row]:
    return [row for own in problems.values() for row in own]


def _thinking(problems: _Problems) -> float:
    return float(np.mean([row.thinking_tokens for row in _every(problems)]))
