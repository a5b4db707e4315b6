"""Our grading as lighteval's metrics.

Whatever wrote the text, only the answer part is graded, never the thinking, and thinking that was never closed has
given no answer. No thinking format is set anywhere: `grade` tries the delimiters of every shipped one on the text, and
what is left of s1's and harmony's after `skip_special_tokens=True`, with which lighteval's own models decode. A model
class that knows more therefore hands over one of two kinds of text:

- all that was generated, delimiters kept, and with the opening one in front if it stood in the prompt;
- for delimiters of one's own: only the answer part (its thinking may go into `ModelResponse.reasonings`), and an empty
  text if thinking never closed.

Read is `ModelResponse.text`, not `text_post_processed`, which lighteval may have cut at `<think>` tags. If a backend
says the prompt as text (`ModelResponse.input`: vLLM), an opening delimiter at its end is taken into account. **Not
seen** is one that stands in the prompt of lighteval's transformers model, when thinking is never closed: with the chat
templates that open thinking (DeepSeek-R1, QwQ) use our model class.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from lighteval.metrics.metrics_sample import SampleLevelComputation, SamplingMetric
from lighteval.metrics.utils.metric_utils import Metric, SampleLevelMetric, SampleLevelMetricGrouping
from lighteval.tasks.requests import Doc, SamplingMethod

from s1_hf.forcing.families import FAMILIES
from s1_hf.grading import Grade, grade
from s1_hf.tasks.votes import names, vote_scores

if TYPE_CHECKING:
    from lighteval.models.model_output import ModelResponse

    from s1_hf.grading.extraction import AnswerKind


class Accuracy(SampleLevelComputation):
    """1 if the (first) sample is right, else 0."""

    def __init__(self, kind: AnswerKind) -> None:
        self.kind = kind

    def compute(self, doc: Doc, model_response: ModelResponse, **kwargs: object) -> float:
        """Grade the first sample."""
        return float(grades_of(doc, model_response, self.kind, 1)[0].correct)


class Votes(SamplingMetric, SampleLevelComputation):
    """What [`vote_scores`] gives, as a metric of lighteval.

    Args:
        n (`int`): samples, a power of 2.
    """

    def __init__(self, kind: AnswerKind, n: int) -> None:
        super().__init__()
        self.kind = kind
        self.n = n

    def num_samples(self) -> int:
        """How many samples lighteval asks the model for."""
        return self.n

    def compute(self, doc: Doc, model_response: ModelResponse, **kwargs: object) -> dict[str, float]:
        """Grade every sample once, and group the answers once.

        Raises:
            ValueError: there are fewer than n samples.
        """
        if len(model_response.text) < self.n:
            raise ValueError(
                f"A task with {self.n} samples has to be given as many, but the model gave {len(model_response.text)}. "
                "Sampling needs a temperature above 0, and a backend that can return several samples."
            )
        grades = grades_of(doc, model_response, self.kind, self.n)
        return vote_scores([grade.correct for grade in grades], [grade.extracted for grade in grades], self.kind)


def accuracy_metric(kind: AnswerKind) -> Metric:
    """`accuracy` of one sample."""
    return SampleLevelMetric(
        metric_name="accuracy",
        higher_is_better=True,
        category=SamplingMethod.GENERATIVE,
        sample_level_fn=Accuracy(kind),
        corpus_level_fn=np.mean,
    )


def votes_metric(kind: AnswerKind, n: int) -> Metric:
    """The metrics of [`Votes`]."""
    votes = Votes(kind, n)
    return SampleLevelMetricGrouping(
        metric_name=names(n),
        higher_is_better=dict.fromkeys(names(n), True),  # type: ignore[arg-type]  # annotated as functions
        category=SamplingMethod.GENERATIVE,
        sample_level_fn=votes,
        # One function, not one per name: a dictionary would be hashed by the functions' addresses, and lighteval's
        # cache would then never find what an earlier process has saved.
        corpus_level_fn=np.mean,  # type: ignore[arg-type]  # a function too is taken
    )


def grades_of(doc: Doc, response: ModelResponse, kind: AnswerKind, n: int) -> list[Grade]:
    """Of the first `n` samples; our own model class hands over what it has split itself (`samples`)."""
    (gold,) = doc.get_golds()
    split = [sample.completion for sample in getattr(response, "samples", ())]
    return [grade(one, gold, kind) for one in (split or [_written(text, response.input) for text in response.text])[:n]]


def _written(text: str | None, prompt: object) -> str:
    """What was written, with the delimiter that the prompt has opened thinking with."""
    text = text or ""  # an endpoint may give no content
    if isinstance(prompt, str):
        for family in FAMILIES.values():
            if prompt.rstrip().endswith(family.start.rstrip()):
                return family.start + text
    return text
