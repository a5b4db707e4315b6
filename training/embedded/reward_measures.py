"""What the embedded reward model is worth, on held-out problems: the figures of its card."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from s1_hf.metrics import bootstrap_interval
from s1_hf.scoring import Candidate, LampsOracle, RewardModel, aggregate

RESAMPLES = 2000
SIZES = (1, 2, 4, 8, 16)


class Scored(NamedTuple):
    """A sampled trace with its numbers: of each line and, last, of the answer."""

    problem: int
    given: str  # the answer
    generated: int  # tokens
    values: tuple[float, ...]
    right: tuple[bool, ...]  # of each line whether it and all before it are right; of the answer
    labels: tuple[int, ...]


def scored(attempts: Sequence[Any], model: RewardModel) -> tuple[list[Scored], Any]:
    """Traces with the reward model's numbers, and what these cost."""
    candidates = [Candidate(one.question, one.lines, one.answer) for one in attempts]
    values, cost = model.scores(candidates)
    right = LampsOracle().scores(candidates).values
    numbers = {question: i for i, question in enumerate(dict.fromkeys(one.question for one in attempts))}
    found = []
    for one, of_one, is_right in zip(attempts, values, right, strict=True):
        number = numbers[one.question]
        labels = tuple(int(label) for label in one.labels)
        found.append(Scored(number, one.answer, one.tokens, of_one, tuple(map(bool, is_right)), labels))
    return found, cost


def auc(values: np.ndarray, labels: np.ndarray) -> float:
    """The chance that a 1 has a higher value than a 0, ties counting half."""
    order = np.unique(values, return_inverse=True)[1]
    counts = np.bincount(order)
    ranks = (np.cumsum(counts) - (counts - 1) / 2)[order]
    ones = labels == 1
    n, m = int(ones.sum()), int((~ones).sum())
    return float((ranks[ones].sum() - n * (n + 1) / 2) / (n * m))


def accuracy_at_half(values: np.ndarray, labels: np.ndarray) -> float:
    return float(np.mean((values > 0.5) == (labels == 1)))


def with_interval(pairs: Sequence[tuple[int, float, int]], estimator: Callable[[np.ndarray, np.ndarray], float]) -> str:
    """`estimator` of values and labels, and its 95 % interval under resampling of the problems."""
    of_problem: dict[int, list[tuple[float, int]]] = {}
    for problem, value, label in pairs:
        of_problem.setdefault(problem, []).append((value, label))
    blocks = [np.array(rows) for rows in of_problem.values()]

    def of(chosen: Sequence[np.ndarray]) -> float:
        rows = np.concatenate(chosen)
        return estimator(rows[:, 0], rows[:, 1])

    rng = np.random.default_rng(0)
    drawn = [of([blocks[i] for i in rng.integers(len(blocks), size=len(blocks))]) for _ in range(RESAMPLES // 4)]
    low, high = np.quantile(drawn, [0.025, 0.975])
    return f"{of(blocks):.3f} [{low:.3f}, {high:.3f}]"


def tables(rows: Sequence[Scored]) -> list[str]:
    """AUC and accuracy, in Markdown."""
    value = [(one.problem, v, label) for one in rows for v, label in zip(one.values[:-1], one.labels[:-1], strict=True)]
    first_errors = []
    for one in rows:
        for n, v in enumerate(one.values[:-1]):
            if n == 0 or one.right[n - 1]:  # up to the first wrong line
                first_errors.append((one.problem, v, int(one.right[n])))
    answers = [(one.problem, one.values[-1], one.labels[-1]) for one in rows]
    found = ["| what | cases | share of 1 | AUC | accuracy at 0.5 |", "|---|---|---|---|---|"]
    for name, pairs in (
        ("a line: its label", value),
        ("a line behind right ones: is it right?", first_errors),
        ("an answer: is it right?", answers),
    ):
        share = np.mean([label for _, _, label in pairs])
        columns = f"{with_interval(pairs, auc)} | {with_interval(pairs, accuracy_at_half)}"
        found.append(f"| {name} | {len(pairs):,} | {share:.3f} | {columns} |")
    return found


def best_of_n(rows: Sequence[Scored]) -> list[str]:
    """Accuracy of N samples, in Markdown; the 16 samples of a problem are cut into 16 / N groups."""
    ways: dict[str, Callable[[Sequence[Scored]], bool]] = {
        "majority": _majority,
        "best by the answer's score": lambda group: _best(group, "last"),
        "best by the smallest score": lambda group: _best(group, "min"),
        "best by the mean score": lambda group: _best(group, "mean"),
        "vote weighted by the answer's score": _weighted,
        "oracle": lambda group: any(one.labels[-1] for one in group),
    }
    found = ["| N | generated tokens | " + " | ".join(ways) + " |", "|---" * (len(ways) + 2) + "|"]
    of_problem: dict[int, list[Scored]] = {}
    for one in rows:
        of_problem.setdefault(one.problem, []).append(one)
    whole = [samples for samples in of_problem.values() if len(samples) == max(SIZES)]
    for n in SIZES:
        columns = []
        for way in ways.values():
            right = np.array([[way(group) for group in _groups(samples, n)] for samples in whole], float)
            low, high = bootstrap_interval(right, rng=np.random.default_rng(0), resamples=RESAMPLES)
            columns.append(f"{100 * right.mean():.1f} [{low:.1f}, {high:.1f}]")
        tokens = n * np.mean([one.generated for samples in whole for one in samples])
        found.append(f"| {n} | {tokens:.0f} | " + " | ".join(columns) + " |")
    return found


def _groups(samples: Sequence[Scored], n: int) -> list[Sequence[Scored]]:
    return [samples[i : i + n] for i in range(0, len(samples), n)]


def _majority(group: Sequence[Scored]) -> bool:
    given = [one.given for one in group]
    elected = max(group, key=lambda one: given.count(one.given))  # the first of equals
    return bool(elected.labels[-1])


def _weighted(group: Sequence[Scored]) -> bool:
    weights: dict[str, float] = {}
    for one in group:
        weights[one.given] = weights.get(one.given, 0.0) + one.values[-1]
    return bool(max(group, key=lambda one: weights[one.given]).labels[-1])


def _best(group: Sequence[Scored], how: Any) -> bool:
    return bool(max(group, key=lambda one: aggregate(one.values, how)).labels[-1])
