"""How long the model thought, in lighteval's results and details."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, cast

from lighteval.metrics.metrics_sample import SampleLevelComputation
from lighteval.metrics.utils.metric_utils import Metric, SampleLevelMetric
from lighteval.models.model_output import ModelResponse
from lighteval.tasks.requests import SamplingMethod

from s1_hf.forcing.report import ENDED_NAMES

if TYPE_CHECKING:
    from lighteval.tasks.requests import Doc

    from s1_hf.engines.engine import Finished

Reported = dict[str, list[Any]]


class Response(ModelResponse):
    """lighteval's response, and the samples it was made of; not a field, so that saved responses stay lighteval's."""

    samples: list[Finished]


class _Reports(SampleLevelComputation):
    """The reports of a problem's samples, which land in the details, and beside them all that was generated."""

    def compute(self, doc: Doc, model_response: ModelResponse, **kwargs: Any) -> Reported:
        """One value per sample in each list."""
        completions = [sample.completion for sample in cast(Response, model_response).samples]
        found: Reported = {"output": [completion.text for completion in completions]}
        for name in ("thinking_tokens", "ended", "ends_ignored", "answer_tokens"):
            found[name] = [getattr(completion.report, name) for completion in completions]
        return found


def summary(reports: Sequence[Reported]) -> dict[str, float]:
    """What goes into the results of a task.

    Args:
        reports: one for each problem; every list in it has one value for each of its samples.

    Returns:
        `dict`: over all samples of all problems, `thinking_tokens` (mean), `_median` and `_max` of it, and its
        `_stderr` (of the mean over problems, as lighteval's own metrics have it; absent for one problem);
        `answer_tokens` and `ends_ignored` (means); and what share of the samples ended how: `ended_natural`,
        `ended_cut`, `ended_looped`, `ended_handed_over`, `ended_unfinished`, `ended_never_started`.

    Example:

    ```python
    >>> from s1_hf.evaluation.statistics import summary
    >>> short = {"thinking_tokens": [10], "ended": ["natural"], "ends_ignored": [0], "answer_tokens": [3]}
    >>> long = {"thinking_tokens": [50], "ended": ["cut"], "ends_ignored": [2], "answer_tokens": [5]}
    >>> summary([short, long])["thinking_tokens"], summary([short, long])["ended_cut"]
    (30.0, 0.5)

    ```
    """
    every = {name: [value for report in reports for value in report[name]] for name in reports[0]}
    lengths, count = sorted(every["thinking_tokens"]), len(every["ended"])
    means = [sum(report["thinking_tokens"]) / len(report["thinking_tokens"]) for report in reports]
    middle = sum(means) / len(means)
    values = {"thinking_tokens": sum(lengths) / count}
    if len(means) > 1:
        spread = sum((mean - middle) ** 2 for mean in means) / (len(means) - 1)
        values["thinking_tokens_stderr"] = math.sqrt(spread / len(means))
    values["thinking_tokens_median"] = (lengths[(count - 1) // 2] + lengths[count // 2]) / 2
    values["thinking_tokens_max"] = float(lengths[-1])
    values |= {name: sum(every[name]) / count for name in ("answer_tokens", "ends_ignored")}
    ended = Counter(every["ended"])
    return values | {f"ended_{how}": ended[how] / count for how in ENDED_NAMES}


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
