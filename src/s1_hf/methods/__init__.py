"""The paper's ways to scale test-time compute, side by side: one bench, one schema of rows.

- `bench`: [`Bench`], the engine, the problems, and how answers are generated. [`problems_of`] gives those of a task.
- `forcing`: [`BudgetForcing`] and [`CueAblation`]; `conditional`: [`TokenConditional`], [`StepConditional`],
  [`ClassConditional`], with `steps`; `rejection`: [`RejectionSampling`]; `parallel`: [`Parallel`], which is majority
  voting and short-m@k, and the same as functions of rows, [`vote`] and [`shortest_of`].
- `adaptive`: [`Adaptive`], votes among as many samples as it takes, and [`adaptive_vote`], the same of rows.
- `exits`: [`EarlyExit`], which stops thinking by the answers tried on the way, its rules [`Stable`] and [`Confident`],
  and [`early_exit`], [`trials_of`] and [`calibrated`], functions of the rows of a sweep.
- `search`: [`Rebase`], [`BeamSearch`], [`ParticleFiltering`] and [`BestOfN`], which choose by a scorer.
- `spending`: [`Spending`], one total of tokens for all problems, and [`spend_rows`], the same of rows.
- `confidence`: [`DeepConf`], [`DeepConfOnline`] and [`SelfCertainty`], which choose by how sure the model was.
- `run`: [`run_methods`], with what is finished kept on disk (`kept`). A single method, in memory: `method.run(bench)`.

Every method gives [`s1_hf.results.rows.Row`]s, which `s1_hf.results.summaries` turns into the paper's table 3.
"""

from s1_hf.methods.adaptive import Adaptive, adaptive_vote
from s1_hf.methods.bench import Bench
from s1_hf.methods.conditional import ClassConditional, StepConditional, TokenConditional, instructed
from s1_hf.methods.confidence import DeepConf, DeepConfOnline, SelfCertainty
from s1_hf.methods.exits import Calibration, Confident, EarlyExit, Stable, Trial, calibrated, early_exit, trials_of
from s1_hf.methods.forcing import BudgetForcing, CueAblation
from s1_hf.methods.method import Method
from s1_hf.methods.parallel import Parallel, shortest_of, vote
from s1_hf.methods.rejection import RejectionSampling
from s1_hf.methods.run import run_methods
from s1_hf.methods.search import BeamSearch, BestOfN, ParticleFiltering, Rebase
from s1_hf.methods.spending import Spending, spend_rows
from s1_hf.methods.steps import StepCountdown, count_steps, step_format
from s1_hf.tasks.problems import problems_of

__all__ = [
    "Adaptive",
    "BeamSearch",
    "Bench",
    "BestOfN",
    "BudgetForcing",
    "Calibration",
    "ClassConditional",
    "Confident",
    "CueAblation",
    "DeepConf",
    "DeepConfOnline",
    "EarlyExit",
    "Method",
    "Parallel",
    "ParticleFiltering",
    "Rebase",
    "RejectionSampling",
    "SelfCertainty",
    "Spending",
    "Stable",
    "StepConditional",
    "StepCountdown",
    "TokenConditional",
    "Trial",
    "adaptive_vote",
    "calibrated",
    "count_steps",
    "early_exit",
    "instructed",
    "problems_of",
    "run_methods",
    "shortest_of",
    "spend_rows",
    "step_format",
    "trials_of",
    "vote",
]
