"""Numbers for steps and answers: what a search chooses by. See docs/scoring.md.

- `scorer`: [`Scorer`], what is scored ([`Candidate`]), what comes back ([`Scores`]), [`aggregate`].
- `reward_model`: [`RewardModel`], process and outcome reward models of transformers.
- `conventions`: how each family of them is asked and read; `detection`: which one a model follows.
- `oracle`: [`Oracle`] and [`LampsOracle`], which know the right answers; `function`: [`FunctionScorer`].
"""

from typing import TYPE_CHECKING

from s1_hf.scoring.function import FunctionScorer
from s1_hf.scoring.oracle import LampsOracle, Oracle
from s1_hf.scoring.scorer import Candidate, Scorer, Scores, ScoringCost, aggregate

if TYPE_CHECKING:
    from s1_hf.scoring.reward_model import RewardModel as RewardModel

__all__ = [
    "Candidate", "FunctionScorer", "LampsOracle", "Oracle", "RewardModel", "Scorer", "Scores", "ScoringCost",
    "aggregate",
]  # fmt: skip


def __getattr__(name: str) -> object:
    if name != "RewardModel":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from s1_hf.scoring.reward_model import RewardModel  # takes seconds, as all that loads transformers

    return RewardModel
