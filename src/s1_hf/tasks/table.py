"""The benchmarks as lighteval's configurations."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from inspect_ai.dataset import Sample
from lighteval.tasks.lighteval_task import LightevalTaskConfig
from lighteval.tasks.registry import Registry
from lighteval.tasks.requests import Doc

from s1_hf.tasks.benchmarks import EMBEDDED, Benchmark, located, names
from s1_hf.tasks.inspect_tasks import choice_scorer, math_scorer
from s1_hf.tasks.items import LETTERS, Item, Row
from s1_hf.tasks.scoring import accuracy_metric, votes_metric

if TYPE_CHECKING:
    from s1_hf.grading.extraction import AnswerKind


def tasks_table(data_folder: str | Path | None = None) -> list[LightevalTaskConfig]:
    """All tasks, reading the Hugging Face Hub or a local folder.

    Args:
        data_folder (`str` or `Path`, *optional*): the folder with the data sets, each in a folder of its own with the
            hub's name: `aime24_nofigures`, `aime24_figures`, `aime25_nofigures`, `aime25_figures`, `openaimath`,
            `gpqa`, `MMLU-Pro`, `SuperGPQA`. In it, either what

                hf download simplescaling/aime24_nofigures --repo-type dataset --local-dir FOLDER/aime24_nofigures

            leaves there, or one file of any name (`.jsonl`, `.parquet`, `.csv`) with the hub's columns. Only the tasks
            that are run need theirs; none is then looked for on the hub.

    Returns:
        A table as lighteval's `--custom-tasks` wants it. With the stock command and a folder of your own, a file of two
        lines does:

            from s1_hf.tasks import tasks_table
            TASKS_TABLE = tasks_table(data_folder="/data/benchmarks")

    Raises:
        ValueError: `data_folder` holds none of the data sets, or one of them cannot be used.
    """
    benchmarks = {benchmark.name: benchmark for benchmark in (*located(data_folder), EMBEDDED)}
    # Each number of samples has a prefix of its own: lighteval averages all tasks under one prefix, and fills the
    # metrics that a task does not have with zeros, in that task's own results too.
    return [_config(name, benchmarks[benchmark.name], samples) for name, (benchmark, samples) in names().items()]


def table_with(custom_tasks: str | None, data_folder: str | Path | None = None) -> list[LightevalTaskConfig]:
    """Our tasks, and beside them those of a module or file with a `TASKS_TABLE`, which come first where names agree."""
    table = tasks_table(data_folder)
    if custom_tasks is not None:
        table = [*getattr(Registry.create_custom_tasks_module(custom_tasks), "TASKS_TABLE", []), *table]
    return list({task.name: task for task in reversed(table)}.values())


def _config(name: str, benchmark: Benchmark, samples: int | None) -> LightevalTaskConfig:
    """One task; without `solver`, which is only generation (a list of functions would make lighteval's cache key an
    address, so that nothing cached was found again)."""
    source, kind = benchmark.source, benchmark.kind
    return LightevalTaskConfig(
        name=name,
        prompt_function=partial(_doc, benchmark.item, kind),
        hf_repo=source.repo,
        hf_subset=source.subset,
        hf_revision=source.revision,
        hf_avail_splits=[source.split],
        evaluation_splits=[source.split],
        metrics=[accuracy_metric(kind) if samples is None else votes_metric(kind, samples)],
        generation_size=benchmark.max_new_tokens,
        # inspect-ai samples by `--epochs` instead
        sample_fields=None if samples else partial(_sample, benchmark.item),
        scorer=choice_scorer() if kind == "choice" else math_scorer(),  # type: ignore[arg-type]  # annotated as None
    )


def _doc(read: Callable[[Row], Item], kind: AnswerKind, row: Row, task_name: str) -> Doc:
    """For lighteval's own path. No `instruction`: lighteval would put it in front once more."""
    item = read(row)
    choices = list(LETTERS) if kind == "choice" else [item.answer]
    return Doc(query=item.question, choices=choices, gold_index=choices.index(item.answer), task_name=task_name)


def _sample(read: Callable[[Row], Item], row: Row) -> Sample:
    """For inspect-ai's path: the same question."""
    item = read(row)
    return Sample(input=item.question, target=item.answer)
