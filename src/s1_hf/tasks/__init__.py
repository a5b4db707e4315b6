"""The paper's benchmarks as tasks of lighteval 0.13: `lighteval accelerate ... --custom-tasks s1_hf.tasks`.

| task | data set | questions |
|---|---|---|
| `s1:aime24`, `s1:aime25` | `simplescaling/aime24_nofigures`, `aime25_nofigures`: figures only where needed | 30 |
| `s1:aime24_figures`, `s1:aime25_figures` | `simplescaling/aime24_figures`, `aime25_figures`: all, as code | 30 |
| `s1:math500` | `simplescaling/openaimath` | 500 |
| `s1:gpqa_diamond` | `Idavidrein/gpqa` (gated) | 198 |
| `s1_more:mmlu_pro` | `TIGER-Lab/MMLU-Pro`, up to ten choices; not in the paper | 12,032 |
| `s1_more:supergpqa` | `m-a-p/SuperGPQA`, up to ten choices; not in the paper | 26,529 |
| `s1:embedded` | the embedded model's held-out problems, shipped with the package | 2,530 |

The prompts are the paper's (https://arxiv.org/abs/2501.19393, section 4.1, and its harness): just the question, for
GPQA with its choices; zero-shot; 32,768 tokens; meant for greedy decoding and a chat template. `s1` by itself runs all
of them. The metric is `accuracy`, by our grading ([`s1_hf.grading`]), of the answer part only.

`s1_agg8:`, `s1_agg16:` and `s1_agg64:` in place of `s1:` take that many samples and give `avg@k`, `cov@k` (pass@k) and
`maj@k` (majority vote) for k = 2, 4, ...; they need a temperature above 0 (the paper's is 1).

The data sets, prompts and kinds of answers (`benchmarks`), and [`s1_hf.tasks.problems.problems_of`], need no lighteval:
only `TASKS_TABLE` and `tasks_table` do, which are imported when they are asked for.

`python -m s1_hf.tasks` is lighteval's own command with these tasks known to it, and it starts without network; see
`python -m s1_hf.tasks --help`, and [`tasks_table`] for data sets in a local folder.
"""

from typing import TYPE_CHECKING, Any

from s1_hf._lazy import require
from s1_hf.tasks.local import commit_of
from s1_hf.tasks.offline import preload_tiny_benchmarks

if TYPE_CHECKING:
    from s1_hf.tasks.table import tasks_table

__all__ = ["TASKS_TABLE", "commit_of", "preload_tiny_benchmarks", "tasks_table"]

TASKS_TABLE: list[Any]
"""What lighteval's `--custom-tasks` reads from this module."""


if not TYPE_CHECKING:  # a type checker that saw it would let every misspelt name pass

    def __getattr__(name: str) -> Any:
        if name not in ("TASKS_TABLE", "tasks_table"):
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        require("lighteval.tasks.lighteval_task", "lighteval")  # says what to install, before the next import fails
        from s1_hf.tasks.table import tasks_table

        # Found directly from now on; a table that a command has put here itself stays.
        globals()["tasks_table"] = tasks_table
        if name == "TASKS_TABLE":
            globals()["TASKS_TABLE"] = tasks_table()
        return globals()[name]


def __dir__() -> list[str]:
    return sorted(__all__)
