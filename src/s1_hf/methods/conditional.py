"""Conditional length control: the prompt says how long to think (s1, https://arxiv.org/abs/2501.19393, section 3.2).

The words are those of the paper's evaluation, after the question and a blank line: `QUERY_TEMPLATE` in its tasks
`aime`, `openai_math` and `gpqa`, chosen there by the environment variables PROMPTTOKEN, PROMPTSTEP, PROMPTSHORT and
PROMPTLONG (read in copies of https://github.com/simplescaling/s1).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

from s1_hf.forcing.budget import NO_INTERVENTION, Budget
from s1_hf.methods.method import Method, check_counts
from s1_hf.methods.steps import DELIMITER, Countdown, OwnSteps, check_delimiter, step_format
from s1_hf.results.rows import row_of

if TYPE_CHECKING:
    from s1_hf.engines.request import Steering
    from s1_hf.generation.chats import Prompt
    from s1_hf.methods.bench import Bench
    from s1_hf.results.rows import Problem, Row

TOKENS = "Think for up to {} tokens."
STEPS = "Think for up to {} steps."
SHORT = "Answer after a short amount of thinking. Do not spend excessive time double-checking your work."
LONG = (
    "Answer after a long amount of thinking. If you feel like you are finished early, spend the extra time trying to "
    "double-check your work until you are absolutely sure that you have the correct answer."
)
TOKENS_PER_STEP = 100
"""What the paper's table 3 takes a step for, where it counts which settings keep to their steps."""


def instructed(prompt: Prompt, instruction: str) -> Prompt:
    """`prompt` with an instruction after its last user message and a blank line.

    Raises:
        ValueError: there is no user message, or its content is no text.

    Example:

    ```python
    >>> from s1_hf.methods import instructed
    >>> instructed([{"role": "user", "content": "1+1?"}], "Think for up to 64 tokens.")
    [{'role': 'user', 'content': '1+1?\\n\\nThink for up to 64 tokens.'}]

    ```
    """
    if isinstance(prompt, str):
        return f"{prompt}\n\n{instruction}"
    chat = [dict(message) for message in prompt]
    last = next((message for message in reversed(chat) if message.get("role") == "user"), None)
    if last is None or not isinstance(last.get("content"), str):
        raise ValueError(f"An instruction has to stand after a user message of text, but the chat is {prompt!r:.200}.")
    last["content"] = f"{last['content']}\n\n{instruction}"
    return chat


def _asked(instruction: str, problem: Problem) -> Prompt:
    return instructed(problem.prompt, instruction)


@dataclass(frozen=True)
class TokenConditional(Method):
    """The prompt names a number of tokens; with `forced` also with a cap at it, from the same trace.

    Each setting promises its budget.

    Args:
        budgets (`Sequence[int]`): tokens; the paper's are 1024, 2048, 4096, 8192 and 16384.
        forced (`bool`, defaults to `False`): give also the rows of "token-conditional control + budget forcing".
    """

    budgets: Sequence[int]
    forced: bool = False

    def __post_init__(self) -> None:
        check_counts("budgets", self.budgets)

    @property
    def names(self) -> list[str]:
        name = "token-conditional control"
        return [name, f"{name} + budget forcing"] if self.forced else [name]

    def check(self, bench: Bench) -> None:
        for budget in self.budgets:
            bench.check(bench.problems, self._points(budget), prompt=partial(_asked, TOKENS.format(budget)))

    def grid(self) -> list[Budget]:
        points: list[Budget] = []
        for budget in self.budgets:
            points += self._points(budget)
        return points

    def rows(self, bench: Bench, problems: Sequence[Problem]) -> list[Row]:
        rows = []
        for budget in self.budgets:
            points = self._points(budget)
            names = dict(zip(points, self.names, strict=True))
            prompt = partial(_asked, TOKENS.format(budget))
            for point, problem, request, done in bench.answers(problems, points, prompt=prompt):
                row = row_of(
                    done, problem, bench.runner.tokenizer,
                    request=request, method=names[point], setting=f"{budget} tokens", promised_max_tokens=budget,
                )  # fmt: skip
                rows.append(row)
        return rows

    def _points(self, budget: int) -> list[Budget]:
        return [NO_INTERVENTION, Budget(max_thinking_tokens=budget)] if self.forced else [NO_INTERVENTION]


@dataclass(frozen=True)
class StepConditional(Method):
    """The prompt names a number of steps; with `forced` also with the count of steps put in and held to.

    The paper trained a model of its own for this, on traces in which a delimiter that counts down stands before each
    step, such as `<|im_start|>64 steps left`. Any model can be asked; without `forced` nothing but the prompt is done,
    and a delimiter that the model writes itself is thinking. Forced, see [`StepCountdown`]. Each setting promises
    [`TOKENS_PER_STEP`] tokens a step, as in the paper's table 3. Delimiters count as thinking tokens.

    Args:
        steps (`Sequence[int]`): the paper's are 16, 32, 64, 128 and 256.
        forced (`bool`, defaults to `False`): give also the rows of "step-conditional control + budget forcing".
        delimiter (`str`): stands before each step, with `{steps}` for the steps left.

    Raises:
        ValueError: there are no steps, or the delimiter has no `{steps}` or other braces.
    """

    steps: Sequence[int]
    forced: bool = False
    delimiter: str = DELIMITER

    def __post_init__(self) -> None:
        check_counts("steps", self.steps)
        parts = self.delimiter.split("{steps}") if isinstance(self.delimiter, str) else []
        if len(parts) != 2 or set("{}") & set("".join(parts)):
            raise ValueError(
                f"`delimiter` has to be a text with one '{{steps}}' and no other braces, but is {self.delimiter!r}."
            )

    @property
    def names(self) -> list[str]:
        name = "step-conditional control"
        return [name, f"{name} + budget forcing"] if self.forced else [name]

    def check(self, bench: Bench) -> None:
        fmt = step_format(bench.runner.tokenizer, bench.thinking_format, self.delimiter)
        check_delimiter(bench.runner.tokenizer, fmt, self.delimiter)
        for steps in self.steps:
            for steering in self._steerings(bench, steps).values():
                bench.check(bench.problems, prompt=partial(_asked, STEPS.format(steps)), steering=steering)

    def rows(self, bench: Bench, problems: Sequence[Problem]) -> list[Row]:
        rows = []
        for steps in self.steps:
            prompt = partial(_asked, STEPS.format(steps))
            for name, steering in self._steerings(bench, steps).items():
                for _, problem, request, done in bench.answers(problems, prompt=prompt, steering=steering):
                    row = row_of(
                        done, problem, bench.runner.tokenizer,
                        request=request, method=name, setting=f"{steps} steps",
                        promised_max_tokens=steps * TOKENS_PER_STEP,
                    )  # fmt: skip
                    rows.append(row)
        return rows

    def _steerings(self, bench: Bench, steps: int) -> dict[str, Steering | None]:
        """By the `method` of the rows."""
        plain = bench.thinking_format
        own: Steering | None = OwnSteps(self.delimiter)
        if step_format(bench.runner.tokenizer, plain, self.delimiter) == plain:
            own = None  # nothing has to be told apart
        return dict(zip(self.names, [own, Countdown(steps, self.delimiter)], strict=False))


@dataclass(frozen=True)
class ClassConditional(Method):
    """The prompt asks for short or for long thinking, in the paper's words.

    Beside them every problem is answered without any instruction, under the method "no intervention", because that
    says what is promised: short thinking at most as long as its mean over the task, rounded down to whole tokens, and
    long thinking at least as long, rounded up.
    """

    @property
    def names(self) -> list[str]:
        return ["class-conditional control", "no intervention"]

    def check(self, bench: Bench) -> None:
        for prompt in self._prompts().values():
            bench.check(bench.problems, prompt=prompt)

    def rows(self, bench: Bench, problems: Sequence[Problem]) -> list[Row]:
        rows = []
        for (name, setting), prompt in self._prompts().items():
            for _, problem, request, done in bench.answers(problems, prompt=prompt):
                row = row_of(done, problem, bench.runner.tokenizer, request=request, method=name, setting=setting)
                rows.append(row)
        return rows

    def finish(self, rows: list[Row]) -> list[Row]:
        """With the promises, which are known when all problems have been answered."""
        promises = {}
        for task in {row.task for row in rows}:
            promises[task] = _promises([row for row in rows if row.task == task])
        return [replace(row, **promises[row.task].get(row.setting, {})) for row in rows]

    def _prompts(self) -> dict[tuple[str, str], Callable[[Problem], Prompt]]:
        """What is asked, by the `method` and the `setting` of the rows."""
        method, plain = self.names
        return {
            (method, "short"): partial(_asked, SHORT),
            (method, "long"): partial(_asked, LONG),
            (plain, plain): lambda problem: problem.prompt,
        }


def _promises(rows: list[Row]) -> dict[str, dict[str, Any]]:
    """Of a task's settings, by its rows without instruction."""
    lengths = [row.thinking_tokens for row in rows if row.setting == NO_INTERVENTION.name]
    mean = sum(lengths) / len(lengths)
    return {"short": {"promised_max_tokens": math.floor(mean)}, "long": {"promised_min_tokens": math.ceil(mean)}}
