"""The problems of a task: of the package's own, or of a file."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

from s1_hf._lazy import require
from s1_hf.embedded.problems import held_out, held_out_sample
from s1_hf.forcing.values import is_count
from s1_hf.results.rows import Problem
from s1_hf.tasks.benchmarks import EMBEDDED, Benchmark, located, names
from s1_hf.tasks.errors import TaskError, clear_errors, unknown_task
from s1_hf.tasks.local import commit_of
from s1_hf.tasks.own import OwnColumns, is_file, task_of_file
from s1_hf.tasks.task import Task


def problems_of(
    task: str,
    data_folder: str | Path | None = None,
    max_samples: int | None = None,
    columns: OwnColumns | None = None,
) -> list[Problem]:
    """The problems of one of the package's tasks, asked as in the paper, or of a file, in the order of the data.

    `s1:embedded` needs nothing but the package; the others need the extra `data` and, for the Hub, the network.

    Args:
        task (`str`): such as `"s1:aime24"`, see [`s1_hf.tasks`]; or a file, see [`s1_hf.tasks.own.task_of_file`].
        data_folder (`str` or `Path`, *optional*): local copies of the data sets, see [`s1_hf.tasks.tasks_table`].
        max_samples (`int`, *optional*): only the first so many. Of `s1:embedded` these are a fair sample.
        columns ([`OwnColumns`], *optional*): of a file; by default they are guessed.

    Raises:
        ValueError: there is no such task, or no such data in the folder. ModuleNotFoundError: the extra is missing.

    Example:

    ```python
    >>> from s1_hf.tasks.problems import problems_of
    >>> problem, = problems_of("s1:embedded", max_samples=1)
    >>> problem.prompt[:28], problem.gold, problem.kind
    ('Lamp A flashes at second 4 a', '36', 'math')

    ```
    """
    if max_samples is not None and (not is_count(max_samples) or max_samples < 1):
        raise ValueError(f"`max_samples` has to be an integer of at least 1, but is {max_samples!r}.")
    return list(task_of(task, data_folder, columns).problems)[:max_samples]


def task_of(
    name: str,
    data_folder: str | Path | None = None,
    columns: OwnColumns | None = None,
    samples: int | None = None,
) -> Task:
    """One of the package's tasks, or that of a file, with all its problems; see [`problems_of`].

    Args:
        samples (`int`, *optional*): of a file, answers to each question.
    """
    if is_file(name):
        return task_of_file(name, columns, samples)
    if name not in names():
        raise TaskError(unknown_task(name))
    benchmark, samples = names()[name]
    if benchmark is EMBEDDED:  # drawn here, which needs no library that reads files
        drawn = held_out_sample(len(held_out()), seed=0)
        problems = [Problem(str(i), p.question, str(p.answer), name, EMBEDDED.kind) for i, p in enumerate(drawn)]
        return Task(name, problems, samples, EMBEDDED.max_new_tokens, {"data": "shipped with the package"})
    (benchmark,) = (one for one in located(data_folder) if one.name == benchmark.name)
    with clear_errors():
        problems, source = _read(benchmark, name)
    return Task(name, problems, samples, benchmark.max_new_tokens, source)


def _read(benchmark: Benchmark, name: str) -> tuple[list[Problem], dict[str, Any]]:
    datasets = require("datasets", "data")
    source = benchmark.source
    rows = datasets.load_dataset(source.repo, source.subset, split=source.split, revision=source.revision)
    problems = []
    for i, row in enumerate(rows):
        item = benchmark.item(row)
        problems.append(Problem(str(i), item.question, item.answer, name, benchmark.kind))
    return problems, asdict(source) | {"revision": commit_of(rows) or source.revision}


def names_in(text: str) -> list[str]:
    """The names of tasks that a command was given, separated by commas, each once; `s1` stands for all `s1:...`.

    As for lighteval, `|0` may follow a name (no shots).
    """
    found: list[str] = []
    for word in text.split(","):
        name = word.strip().removesuffix("|0")
        found += [own for own in names() if own.partition(":")[0] == name] or [name]
    return list(dict.fromkeys(found))


def is_ours(name: str) -> bool:
    """Whether a name is meant for a task of this package, known or misspelt, or a file."""
    return is_file(name) or name.partition(":")[0] in {own.partition(":")[0] for own in names()}
