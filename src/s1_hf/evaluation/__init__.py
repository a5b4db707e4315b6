"""Evaluation of a model on tasks under a budget: rows of answers, and numbers.

- `settings`: model, budget and decoding. `model`: the model on tasks; what has to be asked, and what it answers.
- `bench`: `evaluate`, from tasks to rows and numbers, under one budget or a grid of them; knows no host.
- `scores`: what a task's rows come to.
- `lighteval`: the same model in lighteval's pipeline, for its tasks, metrics, results and trackers.

What holds, by either host. **A run that was killed and started again by the same command gives what an unbroken run
gives**, greedy or sampling, also where it is started again by the other host: what has ended is on the disk, and a
sample's draws follow only from `seed`, task, problem and its number. The rows that run beside it (batch size, number of
processes, a kill, which other problems are asked) change the rounding of scores and nothing else: in float32 greedy
answers are the same, as far as no two tokens are equally likely to the last digits; in bfloat16 they may differ. A
sweep's batches are whole, so that there a kill does not even do that. Samples on disk are reused under every batch size
and device, and never under other weights, settings or prompts.
"""

from typing import TYPE_CHECKING, Any

from s1_hf._lazy import require
from s1_hf.engines.progress import Progress
from s1_hf.evaluation.settings import Settings

if TYPE_CHECKING:
    from s1_hf.evaluation.lighteval import BudgetForcingConfig, BudgetForcingModel

__all__ = ["BudgetForcingConfig", "BudgetForcingModel", "Progress", "Settings"]


if not TYPE_CHECKING:  # a type checker that saw it would let every misspelt name pass

    def __getattr__(name: str) -> Any:
        if name not in ("BudgetForcingConfig", "BudgetForcingModel"):
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        require("lighteval", "lighteval")  # says what to install, before the next import fails
        from s1_hf.evaluation import lighteval

        return getattr(lighteval, name)
