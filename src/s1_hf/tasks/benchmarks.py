"""The paper's benchmarks: their data sets, how they are asked, and what kind of answers they have."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from s1_hf.tasks.items import Item, Row, gpqa_item, lamps_item, math_item, mmlu_pro_item, supergpqa_item
from s1_hf.tasks.local import Source, in_folder

if TYPE_CHECKING:
    from s1_hf.grading.extraction import AnswerKind

PREFIX = "s1"
MORE = "s1_more"
SAMPLES = (8, 16, 64)
"""Of the tasks that vote, `s1_agg8:...` and so on: those of s1's own."""

MAX_NEW_TOKENS = 32_768


@dataclass(frozen=True)
class Benchmark:
    """A data set with the way in which it is asked.

    Args:
        name (`str`): after the colon.
        source ([`Source`]): where its rows are.
        item: reads a row.
        kind (`str`): of its answers, `"math"` or `"choice"`.
        max_new_tokens (`int`): the limit on what is generated, thinking included.
        group (`str`): before the colon; it stands for all of its tasks.
    """

    name: str
    source: Source
    item: Callable[[Row], Item]
    kind: AnswerKind = "math"
    max_new_tokens: int = MAX_NEW_TOKENS
    group: str = PREFIX


# In s1's evaluation harness these are aime24_nofigures (the one the paper calls AIME24), aime24_figures, the same for
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
    # Not in the paper, and with tens of thousands of questions; asked as GPQA is.
    Benchmark(
        "mmlu_pro", Source("TIGER-Lab/MMLU-Pro", split="test", revision="main"), mmlu_pro_item, "choice", group=MORE
    ),
    Benchmark("supergpqa", Source("m-a-p/SuperGPQA", revision="main"), supergpqa_item, "choice", group=MORE),
)
# Shipped with the package: all held-out problems as `held_out_sample` with seed 0 draws them, so that the first
# few are a fair sample. The model has 1,024 positions.
EMBEDDED = Benchmark(
    "embedded",
    Source(str(Path(__file__).with_name("embedded")), split="test", revision=None),
    lamps_item,
    max_new_tokens=512,
)


def names() -> dict[str, tuple[Benchmark, int | None]]:
    """All tasks: the benchmark of each, and its number of samples (`None`: one, and no vote)."""
    every = (*BENCHMARKS, EMBEDDED)
    found: dict[str, tuple[Benchmark, int | None]] = {f"{one.group}:{one.name}": (one, None) for one in every}
    for count in SAMPLES:
        found |= {f"{PREFIX}_agg{count}:{one.name}": (one, count) for one in every if one.group == PREFIX}
    return found


def hub_of(task: str) -> Source | None:
    """Where on the Hub the problems of a task are; `None` if they are not there."""
    benchmark, _ = names().get(task, (EMBEDDED, None))
    return None if benchmark is EMBEDDED else benchmark.source


def located(data_folder: str | Path | None) -> list[Benchmark]:
    """[`BENCHMARKS`] on the Hub, or in a local folder, see [`tasks_table`].

    Raises:
        ValueError: the folder holds none of the data sets, or one of them cannot be used.
    """
    if data_folder is None:
        return list(BENCHMARKS)
    sources = in_folder(data_folder, [benchmark.source for benchmark in BENCHMARKS])
    return [replace(benchmark, source=source) for benchmark, source in zip(BENCHMARKS, sources, strict=True)]
