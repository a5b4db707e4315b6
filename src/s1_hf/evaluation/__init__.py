"""Evaluation under a budget: lighteval's pipeline, tasks and results, with a model that ignores ends and cuts thinking.

- `config`: the settings, a lighteval model configuration, so that budgets are part of its cache key and results file.
- `batches`: which samples share a batch; `decoding`: generating one; `sampling`: draws that belong to a sample.
- `store`: finished samples on disk, a line a batch: what makes a killed run go on.
- `model`: the `LightevalModel`; `statistics`: thinking tokens as a metric of lighteval.
- `run`: `evaluate`, from settings to results; not imported here, because lighteval's pipeline takes seconds to import.

What holds. **A run that was killed and started again by the same command gives what an unbroken run gives**, to the
last token, in every dtype, greedy or sampling: batches are on the disk as a whole, what is missing is cut into the same
batches, and a sample's draws follow from `seed`, task, problem and its number alone. Only times differ in the file.
Batch size, number of processes, and which other problems are asked change the rounding of scores and nothing else:
in float32 greedy answers are the same, as far as no two tokens are equally likely to the last digits; in bfloat16 they
are not. Samples on disk are used again under every batch size and device, and never under other weights, settings or
prompts.
"""

from s1_hf.engines.progress import Progress
from s1_hf.evaluation.config import BudgetForcingConfig
from s1_hf.evaluation.model import BudgetForcingModel

__all__ = ["BudgetForcingConfig", "BudgetForcingModel", "Progress"]
