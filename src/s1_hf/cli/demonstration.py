"""The paper's main results on the embedded toy: what budgets, votes, rejection and prompts make of accuracy.

Only settings: running is `s1_hf.methods`' business, drawing `s1_hf.reporting`'s, printing the command's.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from s1_hf.embedded.problems import held_out, held_out_sample
from s1_hf.forcing.budget import NO_INTERVENTION
from s1_hf.generation.grids import curve
from s1_hf.methods import Bench, BudgetForcing, Method, Parallel, RejectionSampling, TokenConditional
from s1_hf.results.rows import Problem, Row

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

    from s1_hf.engines.progress import Progress

# Ignores go as far as the tokens of four votes; the toy has never seen an instruction to think for so many tokens.
METHODS: tuple[Method, ...] = (
    BudgetForcing(points=curve([16, 32, 48], [1, 2, 4, 6])),
    Parallel(samples=4, votes=[1, 2, 4]),
    RejectionSampling(limits=[48, 64, 96], max_tries=8),
    TokenConditional(budgets=[32, 128], forced=True),
)
BATCH_SIZE = 200


def bench(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    problems: Sequence[Problem],
    seed: int = 0,
    progress: Callable[[Progress], Any] | None = None,
) -> Bench:
    """What the methods are tried on: greedy, but for those that sample, at temperature 1."""
    return Bench(
        model=model,
        tokenizer=tokenizer,
        problems=problems,
        max_new_tokens=400,  # twice the mean at six Waits: the few rows that run on are counted as they are
        max_answer_tokens=16,  # more than any answer
        seed=seed,
        batch_size=BATCH_SIZE,
        progress=progress,
    )


def draw_problems(count: int, seed: int) -> list[Problem]:
    """`count` held-out problems; none of them was in any training."""
    most = len(held_out())
    if not 1 <= count <= most:
        raise ValueError(f"`problems` has to be from 1 to {most}, the held-out problems that exist, but is {count}.")
    drawn = held_out_sample(count, seed)
    return [Problem(f"{p.a},{p.p},{p.b},{p.q}", p.question, str(p.answer), "lamps") for p in drawn]


def showcase(rows: Sequence[Row]) -> Row:
    """A transcript worth reading: one where a Wait turned a wrong answer into a right one, if there is any.

    Of a model that never tries to end its thinking there is none with a Wait: any will do.
    """
    forced = [row for row in rows if row.method == METHODS[0].names[0]]
    wrong = {row.problem for row in forced if row.setting == NO_INTERVENTION.name and not row.correct}
    waited = [row for row in forced if row.ends_ignored]
    return next((row for row in waited if row.correct and row.problem in wrong), (waited or forced)[0])
