"""The tasks: data sets, prompts and metrics, as lighteval's configurations."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from inspect_ai.dataset import Sample
from lighteval.tasks.lighteval_task import LightevalTaskConfig
from lighteval.tasks.requests import Doc

from s1_hf.tasks.items import LETTERS, Item, Row, gpqa_item, lamps_item, math_item
from s1_hf.tasks.local import Source, in_folder
from s1_hf.tasks.scoring import accuracy_metric, choice_scorer, math_scorer, votes_metric

if TYPE_CHECKING:
    from s1_hf.grading.extraction import AnswerKind

PREFIX = "s1"
SAMPLES = (8, 16, 64)  # those of s1's agg tasks
MAX_NEW_TOKENS = 32_768


@dataclass(frozen=True)
class Benchmark:
    """A data set with the way in which it is asked.

    Args:
        name (`str`): behind `s1:`.
        source ([`Source`]): where its rows are.
        item: reads a row.
        kind (`str`): of its answers, `"math"` or `"choice"`.
        max_new_tokens (`int`): the limit on what is generated, thinking included.
    """

    name: str
    source: Source
    item: Callable[[Row], Item]
    kind: AnswerKind = "math"
    max_new_tokens: int = MAX_NEW_TOKENS


# In s1's evaluation harness these are aime24_nofigures (the one the paper calls AIME24), aime24_figures, likewise for
# 2025, openai_math and gpqa_diamond_openai.
#
# A revision is pinned where its commit is known from several independent sources. For the others it could not be looked
# up, and none is made up: `main`, whose commit `local.commit_of` reads off the loaded data, to be recorded with a run.
BENCHMARKS = (
    Benchmark("aime24", Source("simplescaling/aime24_nofigures", revision="main"), math_item),
    Benchmark("aime24_figures", Source("simplescaling/aime24_figures", revision="main"), math_item),
    Benchmark("aime25", Source("simplescaling/aime25_nofigures", revision="main"), math_item),
    Benchmark("aime25_figures", Source("simplescaling/aime25_figures", revision="main"), math_item),
    Benchmark("math500", Source("simplescaling/openaimath", split="test", revision="main"), math_item),
    Benchmark(
        "gpqa_diamond",
        Source("Idavidrein/gpqa", "gpqa_diamond", revision="633f5ee89ab8ad4522a9f850766b73f62147ffdd"),
        gpqa_item,
        "choice",
    ),
)
# Shipped with the package: all held-out problems as `held_out_sample` with seed 0 draws them, so that the first
# few are a fair sample. The model has 1,024 positions.
EMBEDDED = Benchmark(
    "embedded",
    Source(str(Path(__file__).with_name("embedded")), split="test", revision=None),
    lamps_item,
    max_new_tokens=512,
)


def tasks_table(data_folder: str | Path | None = None) -> list[LightevalTaskConfig]:
    """All tasks, reading the Hugging Face Hub or a local folder.

    Args:
        data_folder (`str` or `Path`, *optional*): the folder with the data sets, each in a folder of its own with the
            hub's name: `aime24_nofigures`, `aime24_figures`, `aime25_nofigures`, `aime25_figures`, `openaimath`,
            `gpqa`. In it, either what

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
    benchmarks = [*_located(data_folder), EMBEDDED]
    return [
        *(_config(f"{PREFIX}:{benchmark.name}", benchmark, None) for benchmark in benchmarks),
        # A prefix of their own: lighteval averages all tasks behind one prefix, and fills the metrics that a task does
        # not have with zeros, in that task's own results too.
        *(_config(f"{PREFIX}_agg{n}:{benchmark.name}", benchmark, n) for n in SAMPLES for benchmark in benchmarks),
    ]


def _located(data_folder: str | Path | None) -> list[Benchmark]:
    if data_folder is None:
        return list(BENCHMARKS)
    sources = in_folder(data_folder, [benchmark.source for benchmark in BENCHMARKS])
    return [
        Benchmark(old.name, source, old.item, old.kind, old.max_new_tokens)
        for old, source in zip(BENCHMARKS, sources, strict=True)
    ]


def _config(name: str, benchmark: Benchmark, samples: int | None) -> LightevalTaskConfig:
    """One task; without `solver`, which is generation alone (a list of functions would make lighteval's cache key an
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
