"""The problems of a task, as methods take them."""

from __future__ import annotations

from pathlib import Path

from s1_hf._lazy import require
from s1_hf.embedded.problems import held_out, held_out_sample
from s1_hf.forcing.values import is_count
from s1_hf.results.rows import Problem
from s1_hf.tasks.benchmarks import BENCHMARKS, EMBEDDED, PREFIX, located


def problems_of(task: str, data_folder: str | Path | None = None, max_samples: int | None = None) -> list[Problem]:
    """The problems of one of the package's tasks, asked as in the paper, in the order of the data.

    `s1:embedded` needs nothing but the package; the others need the extra `data` and, for the Hub, the network.

    Args:
        task (`str`): such as `"s1:aime24"`; see [`s1_hf.tasks`].
        data_folder (`str` or `Path`, *optional*): local copies of the data sets, see [`s1_hf.tasks.tasks_table`].
        max_samples (`int`, *optional*): only the first so many. Of `s1:embedded` these are a fair sample.

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
    embedded = f"{PREFIX}:{EMBEDDED.name}"
    if task == embedded:  # drawn here, which needs no library that reads files
        drawn = held_out_sample(len(held_out()), seed=0)[:max_samples]
        return [Problem(str(i), p.question, str(p.answer), task, EMBEDDED.kind) for i, p in enumerate(drawn)]
    names = [f"{PREFIX}:{benchmark.name}" for benchmark in BENCHMARKS]
    if task not in names:
        raise ValueError(f"`task` has to be one of {', '.join([*names, embedded])}, but is {task!r}.")
    datasets = require("datasets", "data")
    benchmark = located(data_folder)[names.index(task)]
    source = benchmark.source
    rows = datasets.load_dataset(source.repo, source.subset, split=source.split, revision=source.revision)
    if max_samples is not None:
        rows = rows.select(range(min(max_samples, len(rows))))
    problems = []
    for i, row in enumerate(rows):
        item = benchmark.item(row)
        problems.append(Problem(str(i), item.question, item.answer, task, benchmark.kind))
    return problems
