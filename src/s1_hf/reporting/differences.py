"""Which settings differ, problem by problem."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from s1_hf.metrics import accuracy, paired_bootstrap_interval, paired_test
from s1_hf.results.rows import Row
from s1_hf.results.summaries import RESAMPLES, SettingSummary

Answers = dict[str, dict[int, bool]]  # by problem and sample


@dataclass(frozen=True)
class Difference:
    """A setting's accuracy minus the reference's on the same problems, in percentage points.

    Args:
        low, high (`float`): 95 % interval by paired bootstrap over problems (seed 0).
        p (`float`): exact and two-sided, from [`paired_test`]; not corrected for multiple tests.
    """

    task: str
    method: str
    setting: str
    reference: str
    points: float
    low: float
    high: float
    p: float


def paired_differences(rows: Iterable[Row], settings: Sequence[SettingSummary]) -> list[Difference]:
    """Every setting against its task's reference: one sample without intervention, or else the task's first setting.

    Settings that cannot be paired are left out: other problems, another number of samples, fewer than two problems.
    """
    answers: dict[tuple[str, str, str], Answers] = {}
    for row in rows:
        of_setting = answers.setdefault((row.task, row.method, row.setting), {})
        of_setting.setdefault(row.problem, {})[row.sample] = row.correct
    found = []
    for task in dict.fromkeys(s.task for s in settings):
        own = [s for s in settings if s.task == task]
        base = next((s for s in own if _is_plain(s)), own[0])
        others = [s for s in own if s is not base]
        found += [d for s in others if (d := _difference(s, answers[_key(s)], base, answers[_key(base)]))]
    return found


def _key(setting: SettingSummary) -> tuple[str, str, str]:
    return setting.task, setting.method, setting.setting


def _is_plain(setting: SettingSummary) -> bool:
    promised = setting.max_thinking_tokens is not None or setting.min_thinking_tokens is not None
    return setting.tries == 1 and setting.ends_ignored == 0 and not promised


def _difference(setting: SettingSummary, a: Answers, base: SettingSummary, b: Answers) -> Difference | None:
    if a.keys() != b.keys() or setting.samples != base.samples or len(a) < 2:
        return None
    first, second = ([[right for _, right in sorted(one[p].items())] for p in a] for one in (a, b))
    low, high = paired_bootstrap_interval(first, second, resamples=RESAMPLES, rng=np.random.default_rng(0))
    return Difference(
        task=setting.task,
        method=setting.method,
        setting=setting.setting,
        reference=f"{base.method}, {base.setting}" if base.method != setting.method else base.setting,
        points=accuracy(first) - accuracy(second),
        low=low,
        high=high,
        p=paired_test(first, second),
    )
