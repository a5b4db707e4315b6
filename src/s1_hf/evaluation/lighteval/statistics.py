"""How long the model thought, in lighteval's results and details."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from lighteval.metrics.metrics_sample import SampleLevelComputation
from lighteval.metrics.utils.metric_utils import Metric, SampleLevelMetric
from lighteval.models.model_output import ModelResponse
from lighteval.tasks.requests import SamplingMethod

from s1_hf.evaluation.scores import Reported, reported, summary

if TYPE_CHECKING:
    from lighteval.tasks.requests import Doc

    from s1_hf.engines.engine import Finished


class Response(ModelResponse):
    """lighteval's response, and the samples it was made of; not a field, so that saved responses stay lighteval's."""

    samples: list[Finished]


class _Reports(SampleLevelComputation):
    """The reports of a problem's samples, which land in the details, and beside them all that was generated."""

    def compute(self, doc: Doc, model_response: ModelResponse, **kwargs: Any) -> Reported:
        """One value per sample in each list."""
        completions = [sample.completion for sample in cast(Response, model_response).samples]
        return {
            "output": [completion.text for completion in completions],
            **reported([one.report for one in completions]),
        }


def thinking_metric() -> Metric:
    """A metric of lighteval that scores nothing: its results are those of [`summary`].

    So they are where lighteval takes its metrics to: the results file, its table, the Hub, Tensorboard and W&B; and the
    single reports are with the other metrics of their problem in the details.
    """
    return SampleLevelMetric(
        metric_name="thinking",
        higher_is_better=True,
        category=SamplingMethod.GENERATIVE,
        sample_level_fn=_Reports(),
        corpus_level_fn=summary,
    )
