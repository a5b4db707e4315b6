"""Evaluation under a budget: lighteval's pipeline, tasks and results, with a model that ignores ends and cuts thinking.

- `config`: the settings, a lighteval model configuration, so that budgets are part of its results file.
- `model`: the `LightevalModel`, a client of `s1_hf.engines`; `statistics`: thinking tokens as a metric.
- `run`: `evaluate`, from settings to results; not imported here, because lighteval's pipeline imports slowly.
- `sweeping`: a grid of budgets in one pass.

What holds. **A run that was killed and started again by the same command gives what an unbroken run gives**, greedy or
sampling: what has ended is on the disk, and a sample's draws follow only from `seed`, task, problem and its number. The
rows that run beside it (batch size, number of processes, a kill, which other problems are asked) change the rounding of
scores and nothing else: in float32 greedy answers are the same, as far as no two tokens are equally likely to the last
digits; in bfloat16 they may differ. A sweep's batches are whole, so that there a kill does not even do that.
Samples on disk are reused under every batch size and device, and never under other weights, settings or prompts.
"""

from s1_hf.engines.progress import Progress
from s1_hf.evaluation.config import BudgetForcingConfig
from s1_hf.evaluation.model import BudgetForcingModel

__all__ = ["BudgetForcingConfig", "BudgetForcingModel", "Progress"]
