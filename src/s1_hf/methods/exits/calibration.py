"""A threshold for stopping early that loses few right answers, chosen on held-out problems, with a guarantee."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from s1_hf.methods.exits.early import check_measured, check_rules, exited
from s1_hf.metrics.inputs import fraction
from s1_hf.metrics.intervals import largest_share

if TYPE_CHECKING:
    from s1_hf.grading.extraction import AnswerKind
    from s1_hf.methods.exits.rules import Rule
    from s1_hf.methods.exits.trials import Trial


@dataclass(frozen=True)
class Tested:
    """A rule on held-out problems.

    Args:
        lost (`int`): of how many the exit gave up a right answer: it is wrong, and that of the whole thinking is right.
        problems (`int`): on which it was tested.
        bound (`float`): the share that it loses is at most this, with probability `1 - delta` (Clopper and Pearson).
        saved (`float`): the share of all tokens that it saves; below 0, its trials cost more than the exits save.
    """

    rule: Rule
    lost: int
    problems: int
    bound: float
    saved: float


@dataclass(frozen=True)
class Calibration:
    """What [`calibrated`] has found.

    Args:
        rule ([`Rule`], *optional*): the loosest one that may be used; `None`: none may, so do not exit early.
        tested (`list[Tested]`): in their order, up to the first that failed.
        alpha, delta (`float`): what holds of `rule`.
    """

    rule: Rule | None
    tested: list[Tested]
    alpha: float
    delta: float

    @property
    def verdict(self) -> str:
        """In words."""
        last = self.tested[-1]
        if self.rule is None:
            return (
                f"Do not exit early: even {last.rule.name} may lose {100 * last.bound:.1f} % of the problems (it lost "
                f"{last.lost} of {last.problems}), more than {100 * self.alpha:g} %. Calibrate on more problems, or "
                "allow more."
            )
        return (
            f"{self.rule.name}: with probability {1 - self.delta:g} it loses a right answer to at most "
            f"{100 * self.alpha:g} % of the problems."
        )


def calibrated(
    trials: Sequence[Sequence[Trial]],
    rules: Sequence[Rule],
    kind: AnswerKind = "math",
    *,
    alpha: float = 0.05,
    delta: float = 0.05,
) -> Calibration:
    """The loosest of several rules that loses few right answers, by fixed-sequence testing on held-out problems.

    A rule loses a problem whose answer at the exit is wrong, and that of the whole thinking is right. Its risk r is the
    share of problems that it loses, among all of the kind that these were drawn from. The chosen rule has r <= alpha
    with probability at least `1 - delta`, over the draw of the problems.

    Rules are tested from the strictest on. Of n problems a rule with r > alpha loses k or fewer with a probability
    below P(Bin(n, alpha) <= k); it passes if that is at most `delta`, which is the same as Clopper's and Pearson's
    upper bound being at most alpha. The first that fails ends it, and the one before is chosen. Proof: let the first
    rule in the order with r > alpha be number j, which does not depend on the problems drawn. To choose a rule with
    r > alpha, number j has to pass, and that happens with a probability of at most `delta`. Nothing is asked of how
    risks grow from rule to rule, and there is no price for testing many. To take the loosest rule whose *observed*
    share is at most alpha has no such guarantee: about half of the time a rule at the border looks good.

    Args:
        trials (`Sequence[Sequence[Trial]]`): of each problem, see [`trials_of`]; the last is of the whole thinking.
        rules (`Sequence[Rule]`): from strict to loose, such as `[Confident(t) for t in (0.99, 0.95, 0.9)]`; chosen
            without a look at these problems.
        kind (`str`): of the answers.
        alpha (`float`, defaults to 0.05): the largest share of problems that may be lost.
        delta (`float`, defaults to 0.05): with which probability it may be more.

    Raises:
        ValueError: a problem is there twice (several samples of one are not independent), or an argument is out of
            range.

    Example:

    59 problems without a loss are the fewest that can show at most 5 % with 95 %:

    ```python
    >>> from s1_hf.methods import Stable, Trial, calibrated
    >>> from s1_hf.results.rows import Row
    >>> def trials_of_one(i):
    ...     rows = [Row("m", "s", "t", str(i), 0, n, 2, True, "cut", extracted="7") for n in (16, 32, 48)]
    ...     return [Trial(row, 20, row is rows[-1]) for row in rows]
    >>> calibrated([trials_of_one(i) for i in range(59)], [Stable(3), Stable(2)]).verdict
    'stable 2: with probability 0.95 it loses a right answer to at most 5 % of the problems.'
    >>> calibrated([trials_of_one(i) for i in range(58)], [Stable(3), Stable(2)]).rule is None
    True

    ```
    """
    check_rules(rules)
    fraction(alpha=alpha)
    fraction(delta=delta)
    _check_problems(trials)
    check_measured(trials, rules)
    whole = [one[-1].row for one in trials]
    most = sum(row.total_tokens for row in whole)
    chosen, tested = None, []
    for rule in rules:
        exits = [exited(one, rule, kind) for one in trials]
        lost = sum(full.correct and not row.correct for full, row in zip(whole, exits, strict=True))
        saved = 1 - sum(row.total_tokens for row in exits) / most if most else 0.0
        bound = largest_share(lost, len(trials), level=1 - delta)
        tested.append(Tested(rule, lost, len(trials), bound, saved))
        if bound > alpha:
            break
        chosen = rule
    return Calibration(chosen, tested, alpha, delta)


def _check_problems(trials: Sequence[Sequence[Trial]]) -> None:
    names = [(one[-1].row.task, one[-1].row.problem) for one in trials]
    if not names:
        raise ValueError("`trials` has to hold those of at least one problem, but is empty.")
    twice = sorted({name for name in names if names.count(name) > 1}) if len(set(names)) < len(names) else []
    if twice:
        raise ValueError(
            f"`trials` has to hold each problem once, because samples of one are not independent, but has {twice[:3]} "
            "more than once. Take one sample of each."
        )
