"""The paper's main result on the embedded toy: accuracy over thinking tokens, by caps and by ignored ends.

Straight runs, one a setting. Printing and progress are the command line's (`s1_hf.cli`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from s1_hf.embedded.problems import Problem, extract_answer
from s1_hf.generation import Completion, generate
from s1_hf.metrics import accuracy, wilson_interval
from s1_hf.plots import ScalingPoint

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

# Twice the mean at six Waits, and more than any answer: the few rows that run on are counted as they are.
LENGTHS: dict[str, Any] = {"max_new_tokens": 400, "max_answer_tokens": 16}


@dataclass(frozen=True)
class Setting:
    """A budget, with the name it has in tables and figures."""

    label: str
    kind: Literal["cap", "none", "ignore"]
    budget: dict[str, Any]


SETTINGS = (
    *(Setting(f"cap {n}", "cap", {"max_thinking_tokens": n}) for n in (16, 32, 48)),
    Setting("no intervention", "none", {}),
    *(Setting(f"Wait x{n}", "ignore", {"num_ignores": n}) for n in (1, 2, 4, 6)),
)


@dataclass(frozen=True)
class Result:
    """One setting on all problems; `completions[i]` belongs to `problems[i]`."""

    setting: Setting
    problems: Sequence[Problem]
    completions: Sequence[Completion]

    @property
    def correct(self) -> list[bool]:
        """Whether each answer is right; text inside the thinking is never graded."""
        pairs = zip(self.problems, self.completions, strict=True)
        return [extract_answer(c.answer) == p.answer for p, c in pairs]

    @property
    def thinking_tokens(self) -> float:
        """Mean over the problems."""
        return sum(c.report.thinking_tokens for c in self.completions) / len(self.completions)

    @property
    def ended(self) -> Counter[str]:
        """How often thinking ended in which way."""
        return Counter(c.report.ended for c in self.completions)

    @property
    def point(self) -> ScalingPoint:
        """For the figure: accuracy in percent with a 95 % Wilson interval."""
        low, high = wilson_interval(self.correct)
        label = self.setting.label.replace("no intervention", "").replace("Wait ", "")
        return ScalingPoint(
            self.thinking_tokens,
            accuracy(self.correct),
            low,
            high,
            self.setting.kind,
            label.replace("cap ", ""),
        )


def evaluate(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    problems: Sequence[Problem],
    setting: Setting,
    batch_size: int = 256,
    progress: Callable[[int], Any] = lambda done: None,
) -> Result:
    """Run one setting greedily; `progress` is told the number of problems done after each batch."""
    completions: list[Completion] = []
    for i in range(0, len(problems), batch_size):
        batch = [p.question for p in problems[i : i + batch_size]]
        completions += generate(model, tokenizer, batch, **LENGTHS, **setting.budget)
        progress(len(batch))
    return Result(setting, problems, completions)


def draw_problems(count: int, seed: int) -> list[Problem]:
    """`count` held-out problems; none of them was in any training."""
    from s1_hf.embedded.problems import held_out, held_out_sample

    most = len(held_out())
    if not 1 <= count <= most:
        raise ValueError(f"`problems` has to be from 1 to {most}, the held-out problems that exist, but is {count}.")
    return held_out_sample(count, seed)


def showcase(results: Sequence[Result]) -> tuple[Problem, Completion]:
    """A transcript worth reading: one where a Wait turned a wrong answer into a right one, if there is any."""
    plain = next(r for r in results if r.setting.kind == "none")
    waited = [r for r in results if r.setting.kind == "ignore"]
    for result in waited[:2]:
        for i, (before, after) in enumerate(zip(plain.correct, result.correct, strict=True)):
            if after and not before:
                return result.problems[i], result.completions[i]
    return waited[0].problems[0], waited[0].completions[0]
