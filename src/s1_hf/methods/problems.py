"""The problems of a task, as methods take them."""

from __future__ import annotations

from pathlib import Path

from s1_hf._lazy import require
from s1_hf.forcing.budget import is_count
from s1_hf.results.rows import Problem

EMBEDDED = "s1:embedded"


def problems_of(task: str, data_folder: str | Path | None = None, max_samples: int | None = None) -> list[Problem]:
    """The problems of one of the package's tasks, asked as in the paper, in the order of the data.

    `s1:embedded` needs nothing but the package; the others need the extra `eval` and, for the Hub, the network.

    Args:
        task (`str`): such as `"s1:aime24"`; see [`s1_hf.tasks`].
        data_folder (`str` or `Path`, *optional*): local copies of the data sets, see [`s1_hf.tasks.tasks_table`].
        max_samples (`int`, *optional*): only the first so many. Of `s1:embedded` these are a fair sample.

    Raises:
        ValueError: there is no such task, or no such data in the folder. ModuleNotFoundError: the extra is missing.

    Example:

    ```python
    >>> from s1_hf.methods import problems_of
    >>> problem, = problems_of("s1:embedded", max_samples=1)
    >>> problem.prompt[:28], problem.gold, problem.kind
    ('Lamp A flashes at second 4 a', '36', 'math')

    ```
    """
    if max_samples is not None and (not is_count(max_samples) or max_samples < 1):
        raise ValueError(f"`max_samples` has to be an integer of at least 1, but is {max_samples!r}.")
    if task == EMBEDDED:
        from s1_hf.embedded.problems import held_out, held_out_sample

        drawn = held_out_sample(len(held_out()), seed=0)[:max_samples]
        return [Problem(str(i), p.question, str(p.answer), EMBEDDED) for i, p in enumerate(drawn)]
    return _of_benchmark(task, data_folder, max_samples)


def _of_benchmark(task: str, data_folder: str | Path | None, max_samples: int | None) -> list[Problem]:
    require("lighteval.tasks.lighteval_task", "eval")
    from datasets import load_dataset

    from s1_hf.tasks.table import BENCHMARKS, PREFIX, _located

    names = [f"{PREFIX}:{benchmark.name}" for benchmark in BENCHMARKS]
    if task not in names:
        raise ValueError(f"`task` has to be one of {', '.join([*names, EMBEDDED])}, but is {task!r}.")
    benchmark = _located(data_folder)[names.index(task)]
    source = benchmark.source
    rows = load_dataset(source.repo, source.subset, split=source.split, revision=source.revision)
    rows = rows if max_samples is None else rows.select(range(min(max_samples, len(rows))))
    items = map(benchmark.item, rows)
    return [Problem(str(i), item.question, item.answer, task, benchmark.kind) for i, item in enumerate(items)]
