"""Tasks to rows and numbers, by no host but this package: under one budget, or under a grid of them in one pass."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from s1_hf.engines.endpoint_engine import EndpointEngine
from s1_hf.engines.engine import Finished, under
from s1_hf.evaluation.model import ModelOnTasks
from s1_hf.evaluation.scores import scores_of
from s1_hf.forcing.budget import Budget, check_effect
from s1_hf.generation.grids import chosen_settings
from s1_hf.results.rows import Row, promises_of, row_of

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

    from s1_hf.engines.progress import Progress
    from s1_hf.engines.request import Request
    from s1_hf.evaluation.settings import Settings
    from s1_hf.generation.chats import Completion
    from s1_hf.generation.sweep import Cost
    from s1_hf.results.rows import Problem
    from s1_hf.tasks.task import Task

METHOD = "budget forcing"
TRANSCRIPTS = 50  # problems of a task whose rows carry what was generated

Grid = Sequence[Budget] | Callable[[int], Sequence[Budget]]
"""Budgets, or a function that makes them of the largest cap that leaves room for an answer to every problem."""


@dataclass(frozen=True)
class Evaluated:
    """What an evaluation leaves.

    Args:
        settings (`list[Budget]`): under which every problem was answered.
        rows (`list[Row]`): every answer under every setting.
        results (`list[dict]`): of each setting, by task, the numbers of [`scores_of`]; lighteval's own results with it
            as the host.
        cost ([`Cost`], *optional*): of a grid, what this call has generated; none if all of it was on the disk.
        engine (`dict`): its identity: weights, format.
        revisions (`dict`): of each task's data, where it is known.
        ungraded (`list[str]`): tasks without rows, because no metric of theirs calls a single sample right or wrong.
        endpoint (`dict`, *optional*): of a server as the engine, what was asked of it by this call, see [`Spent`].
    """

    settings: list[Budget]
    rows: list[Row]
    results: list[dict[str, Any]]
    cost: Cost | None = None
    engine: dict[str, Any] | None = None
    revisions: dict[str, str | None] | None = None
    ungraded: Sequence[str] = ()
    endpoint: dict[str, Any] | None = None


def evaluate(
    settings: Settings,
    tasks: Sequence[Task],
    *,
    grid: Grid | None = None,
    transcripts: bool = True,
    progress: Callable[[Progress], None] | None = None,
) -> Evaluated | None:
    """Answer the problems of tasks under a budget, or under each of a grid, and grade the answers.

    Everything is checked before the weights are read. Killed at any moment and called again, it resumes where it
    stopped; see `s1_hf.engines.ledger`. A grid is generated in one pass: see [`s1_hf.sweep`].

    Args:
        settings ([`Settings`]): model, budget and decoding; with a grid, its own caps and ignores are not used.
        tasks (`Sequence[Task]`): with different names; see [`s1_hf.tasks.problems.task_of`].
        grid ([`Grid`], *optional*): caps and ignores, all else being the same.
        transcripts (`bool`, defaults to `True`): keep all that was generated, of the first 50 problems of a task.
        progress (`Callable`, *optional*): see [`ModelOnTasks`].

    Returns:
        [`Evaluated`]; with several processes, only on the main one.

    Raises:
        ValueError: a budget does not fit a task or the model. OSError: there is no such model, or another process
            evaluates these weights into the same `cache_dir`.

    Example:

    ```python
    >>> from tempfile import TemporaryDirectory
    >>> from s1_hf import Budget
    >>> from s1_hf.evaluation import Settings
    >>> from s1_hf.evaluation.bench import evaluate
    >>> from s1_hf.tasks.problems import task_of
    >>> task = task_of("s1:embedded").drawn(4)
    >>> with TemporaryDirectory() as folder:
    ...     settings = Settings(model="embedded", budget=Budget(max_thinking_tokens=16), cache_dir=folder)
    ...     found = evaluate(settings, [task])
    >>> found.results[0]["s1:embedded"]["ended_cut"], len(found.rows)
    (1.0, 4)

    ```
    """
    return Plan.of(settings, tasks, grid=grid, progress=progress).run(transcripts)


@dataclass(frozen=True)
class Plan:
    """What will be asked, checked; no weights are read yet."""

    model: ModelOnTasks
    tasks: Sequence[Task]
    budgets: list[Budget]
    is_grid: bool

    @classmethod
    def of(
        cls,
        settings: Settings,
        tasks: Sequence[Task],
        *,
        grid: Grid | None = None,
        progress: Callable[[Progress], None] | None = None,
    ) -> Plan:
        """Arguments and errors as of [`evaluate`]."""
        _check_names(tasks)
        if grid is None:
            check_effect([settings.budget])
        elif not callable(grid):
            settings = settings.under(chosen_settings(grid)[0].shared())
        model = ModelOnTasks(settings, progress=progress)
        budgets = [settings.budget]
        if grid is not None:
            budgets = chosen_settings(grid(model.room_for_thinking(tasks)) if callable(grid) else grid)
        for budget in budgets:
            model.under(budget).check(tasks)
        return cls(model, tasks, budgets, grid is not None)

    def run(self, transcripts: bool = True) -> Evaluated | None:
        """See [`evaluate`]."""
        # 1. The answers.
        requests, cost = self.model.requests(self.tasks), None
        if self.is_grid:
            done, cost = self.model.sweep(requests, self.budgets)
        else:
            done = self.model.complete(requests)
            self.model.engine.forget_weights()
        if not self.model.launch.is_main:
            return None
        # 2. What they come to.
        rows: list[Row] = []
        results = []
        for budget in self.budgets:
            asked = [under(request, budget) for request in requests]
            answers = iter([Finished(request, done[request.key]) for request in asked])
            scores = {}
            for task in self.tasks:
                of_task = list(_rows(task, answers, self.model, TRANSCRIPTS if transcripts else 0))
                scores[task.name] = scores_of(task, of_task)
                rows += of_task
            results.append(scores)
        engine, spent = self.model.engine, None
        if isinstance(engine, EndpointEngine):
            spent = asdict(engine.spent) | {"is_exact": engine.is_exact}
        return Evaluated(self.budgets, rows, results, cost, engine=engine.identity, endpoint=spent)


def _check_names(tasks: Sequence[Task]) -> None:
    names = [task.name for task in tasks]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice or not names:
        said = f"but {', '.join(twice)} comes twice" if twice else "and there has to be one at least"
        raise ValueError(f"Tasks have to have different names, {said}.")


def _rows(task: Task, answers: Iterator[Finished], model: ModelOnTasks, transcripts: int) -> Iterator[Row]:
    """One for each sample of each problem, whose answers come next; so many problems with all that was generated."""
    for number, problem in enumerate(task.problems):
        for _ in range(task.samples or 1):
            request, completion = next(answers)
            yield budget_row(completion, problem, request, model.tokenizer, with_transcript=number < transcripts)


def budget_row(
    completion: Completion, problem: Problem, request: Request, tokenizer: PreTrainedTokenizerBase, **more: Any
) -> Row:
    """The row of an answer under a request's budget; `more` goes to [`row_of`]."""
    budget = request.budget
    more |= {"method": METHOD, "setting": budget.name, **promises_of(budget)}
    return row_of(completion, problem, tokenizer, request=request, **more)
