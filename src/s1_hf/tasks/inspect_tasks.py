"""Our tasks for inspect-ai: `inspect eval s1_hf/math500 --model ...`. Only this file knows it; it knows no lighteval.

| | |
|---|---|
| `s1_hf/aime24`, `s1_hf/math500`, ... | each of the package's tasks, with its own limit, greedy |
| `s1_hf/own -T file=my.jsonl` | a file of questions and answers, see [`s1_hf.tasks.own`] |
| `-T data_folder=FOLDER` | local copies of the data sets |
| `-T budget='{max_thinking_tokens: 500, num_ignores: 1}'` | for a server that `s1-hf serve` has started |
| `--epochs 8 --temperature 1` | several samples |

Against a server of ours:

    S1_API_KEY=KEY inspect eval s1_hf/math500 --model openai-api/s1/Qwen/Qwen3-8B \\
        --model-base-url http://gpu-box:8000/v1 -T budget='{max_thinking_tokens: 500}'
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from inspect_ai import Task, task
from inspect_ai.dataset import MemoryDataset, Sample
from inspect_ai.model import ChatMessageAssistant, ChatMessageSystem, ChatMessageUser, GenerateConfig
from inspect_ai.scorer import CORRECT, INCORRECT, Score, Scorer, accuracy, scorer, stderr
from inspect_ai.solver import generate

from s1_hf.forcing.budget import NAMES, Budget
from s1_hf.forcing.collect import check_spelling
from s1_hf.forcing.flat import flat
from s1_hf.grading import grade
from s1_hf.tasks.benchmarks import names
from s1_hf.tasks.own import OwnColumns
from s1_hf.tasks.problems import task_of

if TYPE_CHECKING:
    from inspect_ai.scorer import Target
    from inspect_ai.solver import TaskState

    from s1_hf.grading.extraction import AnswerKind
    from s1_hf.results.rows import Problem
    from s1_hf.tasks.task import Task as OurTask

_MESSAGES = {"system": ChatMessageSystem, "user": ChatMessageUser, "assistant": ChatMessageAssistant}


def inspect_task(ours: OurTask, budget: dict[str, Any] | None = None) -> Task:
    """A task of inspect-ai that asks and grades as ours does.

    Args:
        budget (`dict`, *optional*): fields of a [`Budget`], sent with every request as our servers read them.

    Raises:
        ValueError: the budget is none.
    """
    asked: dict[str, Any] = {}
    if budget is not None:
        check_spelling(set(budget) - set(NAMES))
        asked["extra_body"] = {"vllm_xargs": flat(Budget.from_dict(budget), budget)}
    return Task(
        dataset=MemoryDataset([_sample(problem) for problem in ours.problems], name=ours.name),
        solver=generate(),
        scorer=choice_scorer() if ours.kind == "choice" else math_scorer(),
        config=GenerateConfig(max_tokens=ours.max_new_tokens, temperature=0.0, **asked),
        epochs=ours.samples,
        name=ours.name.replace(":", "_"),
    )


@task
def own(
    file: str,
    question: str | None = None,
    answer: str | None = None,
    choices: str | None = None,
    kind: AnswerKind | None = None,
    budget: dict[str, Any] | None = None,
) -> Task:
    """A file of questions and answers; the columns are guessed where they are not named."""
    columns = OwnColumns(question=question, answer=answer, choices=choices, kind=kind)
    return inspect_task(task_of(file, columns=columns), budget)


def _named(name: str) -> Callable[..., Task]:
    def made(data_folder: str | None = None, budget: dict[str, Any] | None = None) -> Task:
        return inspect_task(task_of(name, data_folder), budget)

    return task(name=name.partition(":")[2])(made)


TASKS = {name: _named(name) for name, (_, samples) in names().items() if samples is None}
"""By their names here."""


def _sample(problem: Problem) -> Sample:
    prompt: Any = problem.prompt
    if not isinstance(prompt, str):
        prompt = [_MESSAGES[message["role"]](content=message["content"]) for message in prompt]
    return Sample(input=prompt, target=problem.gold, id=problem.id)


@scorer(metrics=[accuracy(), stderr()], name="s1_math")
def math_scorer() -> Scorer:
    """inspect-ai's scorer for a mathematical answer."""
    return _scorer("math")


@scorer(metrics=[accuracy(), stderr()], name="s1_choice")
def choice_scorer() -> Scorer:
    """inspect-ai's scorer for a letter from A to J."""
    return _scorer("choice")


def _scorer(kind: AnswerKind) -> Scorer:
    async def score(state: TaskState, target: Target) -> Score:
        graded = grade(state.output.completion, target.text, kind)
        return Score(
            value=CORRECT if graded.correct else INCORRECT,
            answer=graded.extracted,
            explanation=f"{graded.reason} (found by: {graded.method}; settled by: {graded.settled_by})",
        )

    return score
