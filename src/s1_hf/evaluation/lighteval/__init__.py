"""The host lighteval: its pipeline, tasks, results and details, with a model that ignores ends and cuts thinking.

- `config`: the settings as a lighteval model configuration, so that budgets are part of its results file.
- `model`: the `LightevalModel`, a client of `s1_hf.evaluation.model`; `statistics`: thinking tokens as a metric.
- `run`: `evaluate`, from settings to results; not imported here, because lighteval's pipeline imports slowly.
- `sweeping`: a grid of budgets in one pass.
"""

from s1_hf.evaluation.lighteval.config import BudgetForcingConfig
from s1_hf.evaluation.lighteval.model import BudgetForcingModel

__all__ = ["BudgetForcingConfig", "BudgetForcingModel"]
