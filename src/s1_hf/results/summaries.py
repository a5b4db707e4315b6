"""Rows summarized for tables and figures: each setting's accuracy with its interval, each method's metrics."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import numpy as np

from s1_hf.forcing.budget import NAMES
from s1_hf.metrics import accuracy, bootstrap_interval, control, performance, scaling, wilson_interval
from s1_hf.results.rows import ENDED, Row
from s1_hf.visible import shortened

RESAMPLES = 2_000

_MOST_NAMED = 3


@dataclass(frozen=True)
class SettingSummary:
    """One setting of one method on one task.

    Args:
        method, setting, task (`str`): their names.
        problems, samples (`int`): number of problems, and of answers to each.
        thinking_tokens, total_tokens, tries, scorer_tokens (`float`): means, see [`Row`]. Thinking tokens are averaged
            over the answers that were found; 0 if none was.
        accuracy, low, high (`float`): percent, with a 95 % interval: Wilson's for one sample per problem, otherwise
            by bootstrap over problems (seed 0).
        ended (`Counter[str]`): how many times thinking ended in each way.
        ends_ignored (`float`): mean per answer.
        max_thinking_tokens, min_thinking_tokens (`int`, *optional*): the limits that the setting promises.
    """

    method: str
    setting: str
    task: str
    problems: int
    samples: int
    thinking_tokens: float
    total_tokens: float
    tries: float
    accuracy: float
    low: float
    high: float
    ended: Counter[str]
    ends_ignored: float
    max_thinking_tokens: int | None
    min_thinking_tokens: int | None
    scorer_tokens: float = 0.0

    @property
    def all_tokens(self) -> float:
        """Mean tokens of the model and of the one that scores."""
        return self.total_tokens + self.scorer_tokens


@dataclass(frozen=True)
class MethodSummary:
    """One row of the paper's table 3: the metrics of a method's settings.

    Args:
        control (`float`, *optional*): percent, equation 1, of the settings that promise a limit and in which any row
            started thinking; `None` if there are none.
        scaling (`float`, *optional*): percentage points per doubling of thinking tokens, equation 2; `None` if all
            settings think equally long, or one does not think at all.
        performance (`float`): percent, equation 3.
        settings (`int`): number of settings, |A|.
        never_started (`tuple[str, ...]`): settings that promise a limit, but have no Control, because no row of
            theirs started thinking.
    """

    method: str
    task: str
    control: float | None
    scaling: float | None
    performance: float
    settings: int
    never_started: tuple[str, ...] = ()

    @property
    def no_control(self) -> str:
        """Why some settings, or all, have no Control; empty if there is nothing to say."""
        if not self.never_started:
            return ""
        count = len(self.never_started)
        names = ", ".join(shortened(name, 40) for name in self.never_started[:_MOST_NAMED])
        names += f" and {count - _MOST_NAMED} more" if count > _MOST_NAMED else ""
        return (
            f"{shortened(self.method, 60)}: {names} {'has' if count == 1 else 'have'} no Control, "
            "because no answer started thinking, so that no limit acted. Likely the thinking format is another one "
            "(`s1-hf formats MODEL`), the chat template closes thinking, or the model has to be made to think "
            "(`--force-start`)."
        )


def summarize_settings(rows: Iterable[Row]) -> list[SettingSummary]:
    """One summary per task, method and setting, in order of first appearance.

    Raises:
        ValueError: a row appears twice, or the problems of a setting have different numbers of samples.
    """
    groups: dict[tuple[str, str, str], list[Row]] = {}
    for row in rows:
        groups.setdefault((row.task, row.method, row.setting), []).append(row)
    return [_summary(group) for group in groups.values()]


def setting_records(rows: Sequence[Row]) -> list[dict[str, Any]]:
    """Each setting as one flat record of numbers and texts: its names, its budget, what came of it.

    Returns:
        `list[dict]`: `task`, `method`, `setting`; the columns of the [`Budget`], null where rows do not say;
        `problems`, `samples`, `accuracy`, `low`, `high` (percent), `thinking_tokens`, `total_tokens`, `ends_ignored`
        (means), and `ended_natural` and so on: the share of the answers whose thinking ended so.

    Raises:
        ValueError: see [`summarize_settings`].
    """
    budgets: dict[tuple[str, str, str], dict[str, Any]] = {}
    for row in rows:
        known = row.num_ignores is not None
        columns = {name: getattr(row, name) if known else None for name in NAMES}
        budgets.setdefault((row.task, row.method, row.setting), columns)
    return [_record(one, budgets[one.task, one.method, one.setting]) for one in summarize_settings(rows)]


def _record(one: SettingSummary, budget: dict[str, Any]) -> dict[str, Any]:
    names = {"task": one.task, "method": one.method, "setting": one.setting}
    counted = ("problems", "samples", "accuracy", "low", "high", "thinking_tokens", "total_tokens", "ends_ignored")
    answers = one.problems * one.samples
    ended = {f"ended_{how}": one.ended[how] / answers for how in ENDED}
    return names | budget | {name: getattr(one, name) for name in counted} | ended


def summarize_methods(settings: Sequence[SettingSummary]) -> list[MethodSummary]:
    """One summary per task and method, over its settings; Control counts only settings that promise a limit."""
    first: dict[tuple[str, str], int] = {}
    for place, setting in enumerate(settings):
        first.setdefault((setting.task, setting.method), place)
    ordered = sorted(settings, key=lambda s: (s.task, first[s.task, s.method]))
    return [_of_method(list(group)) for _, group in groupby(ordered, key=lambda s: (s.task, s.method))]


def _summary(rows: list[Row]) -> SettingSummary:
    one = rows[0]
    least, most = one.promises
    right = _matrix(rows)
    low, high = wilson_interval(right[:, 0]) if right.shape[1] == 1 else _bootstrap(right)
    return SettingSummary(
        method=one.method,
        setting=one.setting,
        task=one.task,
        problems=right.shape[0],
        samples=right.shape[1],
        thinking_tokens=_mean([row.thinking_tokens for row in rows if row.ended != "not_found"]),
        total_tokens=float(np.mean([row.total_tokens for row in rows])),
        tries=float(np.mean([row.tries for row in rows])),
        accuracy=accuracy(right),
        low=low,
        high=high,
        ended=Counter(row.ended for row in rows),
        ends_ignored=float(np.mean([row.ends_ignored for row in rows])),
        max_thinking_tokens=most,
        min_thinking_tokens=least,
        scorer_tokens=float(np.mean([row.scorer_tokens for row in rows])),
    )


def _mean(values: Sequence[int]) -> float:
    return float(np.mean(values)) if values else 0.0


def _matrix(rows: list[Row]) -> np.ndarray[tuple[int, int], np.dtype[np.bool_]]:
    """`correct`, of shape (problems, samples)."""
    answers: dict[str, dict[int, bool]] = {}
    name = f"{rows[0].method}, {rows[0].setting}"
    for row in rows:
        if row.sample in answers.setdefault(row.problem, {}):
            raise ValueError(
                f"{name}: problem {row.problem!r} has sample {row.sample} twice. If the rows come from two runs, give "
                "one of them another `method` or `setting`."
            )
        answers[row.problem][row.sample] = row.correct
    counts = {len(samples) for samples in answers.values()}
    if len(counts) > 1:
        raise ValueError(
            f"{name}: its problems have from {min(counts)} to {max(counts)} samples, but each needs the same number. "
            "If a run was interrupted, rerun the same command to resume it."
        )
    return np.array([[samples[i] for i in sorted(samples)] for samples in answers.values()])


def _bootstrap(right: np.ndarray[tuple[int, int], np.dtype[np.bool_]]) -> tuple[float, float]:
    if len(right) < 2:
        return 0.0, 100.0
    return bootstrap_interval(right, resamples=RESAMPLES, rng=np.random.default_rng(0))


def _of_method(settings: list[SettingSummary]) -> MethodSummary:
    promised = [s for s in settings if (s.max_thinking_tokens, s.min_thinking_tokens) != (None, None)]
    idle = [s.setting for s in promised if _never_started(s)]
    promised = [s for s in promised if s.setting not in idle]
    x = [s.thinking_tokens for s in settings]
    return MethodSummary(
        method=settings[0].method,
        task=settings[0].task,
        control=_control(promised) if promised else None,
        scaling=scaling(x, [s.accuracy for s in settings]) if len(set(x)) > 1 and min(x) > 0 else None,
        performance=performance([s.accuracy for s in settings]),
        settings=len(settings),
        never_started=tuple(idle),
    )


def _never_started(setting: SettingSummary) -> bool:
    return "never_started" in setting.ended and set(setting.ended) <= {"never_started", "not_found"}


def _control(promised: list[SettingSummary]) -> float:
    return control(
        [s.thinking_tokens for s in promised],
        minimum=[s.min_thinking_tokens or 0 for s in promised],
        maximum=[math.inf if s.max_thinking_tokens is None else s.max_thinking_tokens for s in promised],
    )
