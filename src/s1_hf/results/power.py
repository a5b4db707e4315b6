"""What a run would have to be to show a gain, from a pilot's rows."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from s1_hf.metrics import problems_to_show
from s1_hf.results.differences import Answers, Name, answers_of, difference, matrix, named, reference_of, said, unpaired
from s1_hf.results.rows import Row
from s1_hf.results.summaries import SettingSummary, summarize_settings

SAMPLES = (1, 2, 4, 8, 16, 32, 64)
"""Of each problem, that are planned for."""

_VAGUE = 2.5
"""So many times as many problems as the pilot's own spread asks for may be needed, and the pilot is called small."""


@dataclass(frozen=True)
class Plan:
    """A run that shows the gain.

    Args:
        samples (`int`): answers to each problem, under both settings.
        problems (`int`): by the pilot's own spread.
        most (`int`): to be on the safe side, see [`s1_hf.metrics.Needed`].
        tokens (`int`): generated for `most` problems under both settings, as two separate runs.
        hours (`float`, *optional*): of one machine with the speed that was given.
        fits (`bool`): there are so many problems.
    """

    samples: int
    problems: int
    most: int
    tokens: int
    hours: float | None
    fits: bool


@dataclass(frozen=True)
class Outlook:
    """What it takes to show a gain of one setting over another.

    Args:
        problems, samples (`int`): of the pilot.
        points, low, high (`float`): the difference that the pilot saw, see [`Difference`]; no plan rests on it.
        plans (`list[Plan]`): by samples.
        cheapest (`Plan`, *optional*): with the fewest tokens of those that fit; `None` if none fits.
        unknown (`list[str]`): what the pilot cannot tell, in words.
    """

    task: str
    method: str
    setting: str
    reference: str
    problems: int
    samples: int
    points: float
    low: float
    high: float
    plans: list[Plan]
    cheapest: Plan | None
    unknown: list[str]


def outlooks(
    rows: Sequence[Row],
    gain: float,
    *,
    setting: str | None = None,
    reference: str | None = None,
    max_problems: int | None = None,
    tokens_per_second: float | None = None,
    power: float = 0.8,
    seed: int = 0,
) -> list[Outlook]:
    """For every setting, what would show that it gains so much over the reference; the cheapest first.

    Args:
        rows (`Sequence[Row]`): of a pilot, such as 30 problems under every setting in question.
        gain (`float`): percentage points that are worth showing.
        setting, reference (`str`, *optional*): as in [`compare`]; by default all settings, against one sample without
            intervention, or else the task's first setting.
        max_problems (`int`, *optional*): how many problems there are to run.
        tokens_per_second (`float`, *optional*): that one machine generates.
        power (`float`), seed (`int`): see [`problems_to_show`].

    Raises:
        ValueError: there is no such setting, or no two settings have the same problems and numbers of samples.
    """
    answers, settings = answers_of(rows), {(s.task, s.method, s.setting): s for s in summarize_settings(rows)}
    found = []
    for one, base in _pairs(answers, list(settings.values()), setting, reference):
        if unpaired(answers[one], answers[base]):
            continue
        a, b = matrix(answers[one]), matrix(answers[base])
        plans = []
        for samples in SAMPLES if a.shape[1] > 1 else (1,):
            rng = np.random.default_rng(seed)
            needed = problems_to_show(gain, a, b, samples=samples, power=power, rng=rng)
            tokens = needed.most * samples * (settings[one].total_tokens + settings[base].total_tokens)
            plan = Plan(samples, needed.problems, needed.most, round(tokens), None, True)
            if tokens_per_second:
                plan = replace(plan, hours=plan.tokens / tokens_per_second / 3600)
            plans.append(replace(plan, fits=max_problems is None or plan.most <= max_problems))
        found.append(_outlook(one, base, answers, plans, max_problems, gain, power, seed))
    if not found:
        raise ValueError("No two settings of the pilot have the same problems, at least two, and the same samples.")
    return sorted(found, key=lambda one: (one.cheapest is None, (one.cheapest or one.plans[0]).tokens))


def _pairs(
    answers: Iterable[Name], settings: Sequence[SettingSummary], setting: str | None, reference: str | None
) -> list[tuple[Name, Name]]:
    known = list(answers)
    wanted = None if setting is None else named(known, setting)
    against = None if reference is None else named(known, reference)
    pairs = []
    for task in dict.fromkeys(name[0] for name in known):
        base = reference_of([s for s in settings if s.task == task]) if against is None else (task, *against)
        own = [name for name in known if name[0] == task and name != base]
        pairs += [(name, base) for name in own if base in known and wanted in (None, name[1:])]
    return pairs


def _outlook(
    one: Name,
    base: Name,
    answers: dict[Name, Answers],
    plans: list[Plan],
    max_problems: int | None,
    gain: float,
    power: float,
    seed: int,
) -> Outlook:
    seen = difference(one, base, answers)
    fitting = [plan for plan in plans if plan.fits]
    a, b = matrix(answers[one]), matrix(answers[base])
    unknown = []
    if seen.samples == 1:
        unknown.append(
            "With one sample of each problem it cannot tell what more samples would bring (to greedy answers nothing)."
        )
    elif not fitting:
        least = problems_to_show(gain, a, b, samples=None, power=power, rng=np.random.default_rng(seed))
        unknown.append(
            f"No number of samples makes up for too few problems: it takes {least.problems:,}, to be safe "
            f"{least.most:,}, with any."
        )
    if not (a != b).any():
        unknown.append("No answer of it differs, so that the smaller number is the best case and not an estimate.")
    first = plans[0]
    if first.most > _VAGUE * first.problems:
        unknown.append(
            f"{seen.problems} problems tell little about the spread: hence {first.problems:,} to {first.most:,}."
        )
    return Outlook(
        *one,
        reference=said(base[1:]) if base[1] != one[1] else base[2],
        problems=seen.problems,
        samples=seen.samples,
        points=seen.points,
        low=seen.low,
        high=seen.high,
        plans=plans,
        cheapest=min(fitting, key=lambda plan: plan.tokens, default=None),
        unknown=unknown,
    )
