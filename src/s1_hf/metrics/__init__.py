"""The paper's metrics, some others, and their uncertainty: arrays in, numbers out. Needs only numpy.

- `paper`: `accuracy` and equations 1-3: `control`, `scaling`, `performance`.
- `efficiency`: `budget_error`, `accuracy_per_1000_tokens`, `area_under_curve`.
- `intervals`: `bootstrap_interval`, `paired_bootstrap_interval`, `wilson_interval`, `largest_share`.
- `comparison`: `paired_test`, and what a set of problems can show: `resolution`, `smallest_difference`,
  `warn_if_too_small`.
- `leading`: `beta_lead`, `dirichlet_lead`: how sure a vote is of its leader.
- `passing`: `pass_at_k`, of several samples.
- `power`: `problems_to_show`, and what it gives, `Needed`: how many problems and samples will show a gain, by a pilot.
- `retention`: how much of an accuracy is kept: `retention`, `retention_interval`, `retention_test`, `problems_needed`.

Accuracies, shares and errors are in percent, as in the paper's tables, and their differences in percentage points.
Answers are boolean arrays `correct` of shape (problems,), or (problems, seeds) for independent samples of each problem.
A point of a curve is a setting: its mean thinking tokens and its accuracy. Values that are not numbers or are out of
range, and arrays of the wrong length, raise a `ValueError`: nothing is dropped. Randomness comes in as a
`numpy.random.Generator`.
"""

from s1_hf.metrics.comparison import paired_test, resolution, smallest_difference, warn_if_too_small
from s1_hf.metrics.efficiency import accuracy_per_1000_tokens, area_under_curve, budget_error
from s1_hf.metrics.intervals import bootstrap_interval, largest_share, paired_bootstrap_interval, wilson_interval
from s1_hf.metrics.leading import beta_lead, dirichlet_lead
from s1_hf.metrics.paper import accuracy, control, performance, scaling
from s1_hf.metrics.passing import pass_at_k
from s1_hf.metrics.power import Needed, problems_to_show
from s1_hf.metrics.retention import problems_needed, retention, retention_interval, retention_test

__all__ = [
    "Needed",
    "accuracy",
    "accuracy_per_1000_tokens",
    "area_under_curve",
    "beta_lead",
    "bootstrap_interval",
    "budget_error",
    "control",
    "dirichlet_lead",
    "largest_share",
    "paired_bootstrap_interval",
    "paired_test",
    "pass_at_k",
    "performance",
    "problems_needed",
    "problems_to_show",
    "resolution",
    "retention",
    "retention_interval",
    "retention_test",
    "scaling",
    "smallest_difference",
    "warn_if_too_small",
    "wilson_interval",
]
