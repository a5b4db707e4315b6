"""Which settings differ, problem by problem."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from s1_hf.metrics import accuracy, paired_bootstrap_interval, paired_test
from s1_hf.results.rows import Row
from s1_hf.results.summaries import RESAMPLES, SettingSummary
from s1_hf.visible import shortened

Answers = dict[str, dict[int, bool]]  # by problem and sample
Name = tuple[str, str, str]  # of a setting: task, method, setting

MOST_COMPARED = 8
"""Settings of a task of which every two are compared: 28 pairs."""


@dataclass(frozen=True)
class Difference:
    """A setting's accuracy minus the reference's on the same problems, in percentage points.

    Args:
        low, high (`float`): 95 % interval by paired bootstrap over problems (seed 0).
        p (`float`): exact and two-sided, from [`paired_test`]; not corrected for multiple tests.
        problems, samples (`int`): of each setting.
    """

    task: str
    method: str
    setting: str
    reference: str
    points: float
    low: float
    high: float
    p: float
    problems: int
    samples: int


def paired_differences(rows: Iterable[Row], settings: Sequence[SettingSummary]) -> list[Difference]:
    """Every setting against its task's reference: one sample without intervention, or else the task's first setting.

    Of a task with at most `MOST_COMPARED` settings the other pairs follow, the later setting against the earlier.
    Settings that cannot be paired are left out: other problems, another number of samples, fewer than two problems.
    """
    answers = answers_of(rows)
    found = []
    for task in dict.fromkeys(s.task for s in settings):
        own = [s for s in settings if s.task == task]
        base = reference_of(own)
        others = [name for s in own if (name := _name(s)) != base]
        pairs = [(other, base) for other in others]
        if len(own) <= MOST_COMPARED:
            pairs += [(later, earlier) for earlier, later in combinations(others, 2)]
        found += [difference(*pair, answers) for pair in pairs if not unpaired(*(answers[name] for name in pair))]
    return found


def compare(rows: Iterable[Row], setting: str, reference: str) -> list[Difference]:
    """One setting against another one, on every task that has both.

    Args:
        setting, reference (`str`): such as `"2 ignores"`; where several methods have such a setting, with the method:
            `"budget forcing, 2 ignores"`. A method with one setting may also be named alone.

    Raises:
        ValueError: there is no such setting, or several; the two are the same, have no task in common, or cannot be
            paired: other problems, another number of samples, fewer than two problems.
    """
    answers = answers_of(rows)
    first, second = named(answers, setting), named(answers, reference)
    if first == second:
        raise ValueError(f"Two settings have to be compared, but both are {said(first)}.")
    tasks = [task for task, *name in answers if (task, *first) in answers and tuple(name) == second]
    if not tasks:
        raise ValueError(f"{said(first)} and {said(second)} have to have a task in common, but have none.")
    found = []
    for task in tasks:
        one, other = (task, *first), (task, *second)
        if why := unpaired(answers[one], answers[other]):
            where = f"{shortened(task, 60)}: " if task else ""
            raise ValueError(f"{where}{said(first)} and {said(second)} cannot be compared problem by problem: {why}")
        found.append(difference(one, other, answers))
    return found


def answers_of(rows: Iterable[Row]) -> dict[Name, Answers]:
    """Whether each answer is right, by setting, problem and sample."""
    answers: dict[Name, Answers] = {}
    for row in rows:
        of_setting = answers.setdefault((row.task, row.method, row.setting), {})
        of_setting.setdefault(row.problem, {})[row.sample] = row.correct
    return answers


def named(answers: Iterable[Name], wanted: str) -> tuple[str, str]:
    """The method and setting that somebody names, see [`compare`].

    Raises:
        ValueError: there is none, or there are several.
    """
    known = list(dict.fromkeys((method, setting) for _, method, setting in answers))
    spelt = [name for name in known if said(name) == wanted]
    fitting = spelt or [name for name in known if wanted == name[1]] or [name for name in known if wanted == name[0]]
    if len(fitting) == 1:
        return fitting[0]
    names = [said(name) for name in fitting or known]
    if fitting:
        raise ValueError(f"{shortened(wanted, 60)!r} has to name one setting, but names {_some(names)}. Give it whole.")
    near = get_close_matches(wanted, [*names, *(setting for _, setting in known)], n=1)
    hint = f" Did you mean {shortened(near[0], 60)!r}?" if near else ""
    raise ValueError(f"There is no setting {shortened(wanted, 60)!r}.{hint} There are {_some(names)}.")


def said(name: tuple[str, str]) -> str:
    """A setting with its method."""
    return f"{name[0]}, {name[1]}"


def _some(names: Sequence[str]) -> str:
    more = f" and {len(names) - 10} more" if len(names) > 10 else ""
    return "; ".join(shortened(name, 80) for name in names[:10]) + more


def reference_of(settings: Sequence[SettingSummary]) -> Name:
    """Of a task's settings one sample without intervention, or else the first."""
    return _name(next((s for s in settings if _is_plain(s)), settings[0]))


def matrix(answers: Answers) -> NDArray[np.bool_]:
    """Of shape (problems, samples), problems in the order of their names; all have as many samples."""
    return np.array([[right for _, right in sorted(answers[problem].items())] for problem in sorted(answers)])


def _name(setting: SettingSummary) -> Name:
    return setting.task, setting.method, setting.setting


def _is_plain(setting: SettingSummary) -> bool:
    promised = setting.max_thinking_tokens is not None or setting.min_thinking_tokens is not None
    return setting.tries == 1 and setting.ends_ignored == 0 and not promised


def unpaired(a: Answers, b: Answers) -> str:
    """Why two settings cannot be compared problem by problem; empty if they can."""
    if a.keys() != b.keys():
        only = [len(a.keys() - b.keys()), len(b.keys() - a.keys())]
        return (
            f"{only[0]:,} problems have answers only of the first, and {only[1]:,} only of the second. Run both on the "
            "same problems."
        )
    samples = {len(samples) for answers in (a, b) for samples in answers.values()}
    if len(samples) > 1:
        return f"their problems have from {min(samples)} to {max(samples)} samples, but each needs the same number."
    return "" if len(a) > 1 else "there is one problem, and it takes two or more."


def difference(setting: Name, base: Name, answers: Mapping[Name, Answers]) -> Difference:
    """One setting against another one with which it can be paired."""
    first, second = matrix(answers[setting]), matrix(answers[base])
    low, high = paired_bootstrap_interval(first, second, resamples=RESAMPLES, rng=np.random.default_rng(0))
    return Difference(
        *setting,
        reference=said(base[1:]) if base[1] != setting[1] else base[2],
        points=accuracy(first) - accuracy(second),
        low=low,
        high=high,
        p=paired_test(first, second),
        problems=len(first),
        samples=first.shape[1],
    )
