"""Rewards of the literature, as TRL's `GRPOTrainer` calls them, on what a rollout under budgets hands on.

Lengths are thinking tokens, and a row's budget is its `max_thinking_tokens`. The papers count all generated tokens, and
tell the model its budget in the prompt; neither is done here.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from s1_hf.forcing.report import EndedName, Report
from s1_hf.forcing.values import is_number
from s1_hf.generation.chats import Completion
from s1_hf.grading import grade

Reward = Callable[..., list[float]]


def correct(
    *,
    solution: Sequence[Any] | None = None,
    thinking: Sequence[str],
    final_answer: Sequence[str],
    ended: Sequence[EndedName],
    kind: Sequence[Any] | None = None,
    **others: Any,
) -> list[float]:
    """1 if the answer is right, else 0, by the rules of [`s1_hf.grading.grade`].

    Thinking that was never closed has no answer, whatever it contains.

    Args:
        solution: the data's right answers; `kind` (*optional*): `"math"`, or `"choice"`.
        thinking, final_answer, ended: as the rollout hands them on.

    Raises:
        ValueError: the data have no right answers, or not in every row.

    Example:

    ```python
    >>> from s1_hf.rl.rewards import correct
    >>> correct(solution=[51, 51], thinking=["", ""], final_answer=["Answer: 51", "51"], ended=["cut", "unfinished"])
    [1.0, 0.0]

    ```
    """
    if solution is None:
        raise ValueError("Rewards need the right answers, in a column `solution` of the data, which has none.")
    kinds = kind if kind is not None else ["math"] * len(solution)
    rewards = []
    for gold, of_kind, thought, answer, how in zip(solution, kinds, thinking, final_answer, ended, strict=True):
        if gold is None or gold != gold:  # NaN
            raise ValueError(f"`solution` has to be the right answer in every row, but is {gold!r}: leave the row out.")
        completion = Completion(thought, answer, "", (), (), Report(0, how, 0, (), 0))
        rewards.append(float(grade(completion, gold, of_kind).correct))
    return rewards


@dataclass(frozen=True)
class L1Exact:
    """L1-Exact (https://arxiv.org/abs/2503.04697, equation 1): `I(right) - alpha * |budget - n|`.

    From `1 - alpha * |budget - n|` for a right answer down; below 0 for a wrong one. For thinking of just `n` tokens.

    Args:
        alpha (`float`, *optional*, defaults to 0.0003): the price of a token; the paper's.
    """

    alpha: float = 0.0003

    def __post_init__(self) -> None:
        _check_alpha(self.alpha)

    def __call__(
        self, *, thinking_tokens: Sequence[int], max_thinking_tokens: Sequence[int | None], **others: Any
    ) -> list[float]:
        """One reward for each completion."""
        rewards = []
        right = correct(**others)
        for is_right, n, budget in zip(right, thinking_tokens, _caps(max_thinking_tokens, self), strict=True):
            rewards.append(is_right - self.alpha * abs(budget - n))
        return rewards


@dataclass(frozen=True)
class L1Max:
    """L1-Max (https://arxiv.org/abs/2503.04697, equation 2): `I(right) * clip(alpha * (budget - n) + delta, 0, 1)`.

    0 for a wrong answer; for a right one `delta` at the budget, more below it, less above. Under a cap, `n` is never
    above the budget.

    Args:
        alpha (`float`, *optional*, defaults to 0.0003): what a token saved is worth; the paper's.
        delta (`float`, *optional*, defaults to 0.5): what a right answer at the budget is worth; the paper's.
    """

    alpha: float = 0.0003
    delta: float = 0.5

    def __post_init__(self) -> None:
        _check_alpha(self.alpha)
        if not is_number(self.delta) or not 0 <= self.delta <= 1:
            raise ValueError(f"`delta` has to be a number from 0 to 1, but is {self.delta!r}.")

    def __call__(
        self, *, thinking_tokens: Sequence[int], max_thinking_tokens: Sequence[int | None], **others: Any
    ) -> list[float]:
        """One reward for each completion."""
        rewards = []
        right = correct(**others)
        for is_right, n, budget in zip(right, thinking_tokens, _caps(max_thinking_tokens, self), strict=True):
            rewards.append(is_right * min(max(self.alpha * (budget - n) + self.delta, 0.0), 1.0))
        return rewards


@dataclass(frozen=True)
class WithinBudget:
    """DAPO's soft punishment of overlong answers (https://arxiv.org/abs/2503.14476, equation 13), for thinking under a
    cap: 0 up to `budget - window` thinking tokens, then falling in a line to -1 at the budget, and -1 for thinking that
    was cut. It asks the model to end by itself; add it to [`correct`].

    Args:
        window (`float`, *optional*, defaults to 0.2): as a share of the budget, above 0 and at most 1; the paper's is
            4,096 of 20,480 tokens.
    """

    window: float = 0.2

    def __post_init__(self) -> None:
        if not is_number(self.window) or not 0 < self.window <= 1:
            raise ValueError(f"`window` has to be a number above 0 and at most 1, but is {self.window!r}.")

    def __call__(
        self,
        *,
        thinking_tokens: Sequence[int],
        max_thinking_tokens: Sequence[int | None],
        ended: Sequence[str],
        **others: Any,
    ) -> list[float]:
        """One reward for each completion."""
        rewards = []
        for n, budget, how in zip(thinking_tokens, _caps(max_thinking_tokens, self), ended, strict=True):
            width = self.window * budget
            over = (n - (budget - width)) / width if width else 1.0
            rewards.append(-1.0 if how == "cut" else -min(max(over, 0.0), 1.0))
        return rewards


def _check_alpha(alpha: object) -> None:
    if not is_number(alpha) or not alpha > 0:  # type: ignore[operator]
        raise ValueError(f"`alpha` has to be a number above 0, but is {alpha!r}.")


def _caps(given: Sequence[int | None], reward: object) -> list[int]:
    if any(cap is None for cap in given):
        raise ValueError(
            f"{type(reward).__name__} needs a budget: give the rollout a `max_thinking_tokens`, or take another reward."
        )
    return [cap for cap in given if cap is not None]


REWARDS: dict[str, Reward] = {
    "correct": correct, "l1_exact": L1Exact(), "l1_max": L1Max(), "within_budget": WithinBudget(),
}  # fmt: skip
"""By the names that recipes have for them."""
