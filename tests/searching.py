"""The embedded model as a bench for searches, rewards that are known, and scorers that count."""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Sequence
from typing import Any

import torch

from s1_hf import embedded
from s1_hf.embedded.problems import held_out_sample
from s1_hf.methods import Bench
from s1_hf.results.rows import Problem
from s1_hf.scoring import Candidate, FunctionScorer
from s1_hf.scoring.scorer import Scores, ScoringCost


@functools.cache
def lamps(dtype: torch.dtype = torch.float32) -> tuple[Any, Any]:
    model, tokenizer = embedded.load()
    return model.to(dtype), tokenizer


def lamp_problems(count: int) -> list[Problem]:
    drawn = held_out_sample(count, seed=3)
    return [Problem(str(i), one.question, str(one.answer), "lamps") for i, one in enumerate(drawn)]


def lamp_bench(count: int = 2, dtype: torch.dtype = torch.float32, **options: Any) -> Bench:
    model, tokenizer = lamps(dtype)
    defaults = {"max_new_tokens": 90, "max_answer_tokens": 12, "temperature": 1.6, "batch_size": 8}
    return Bench(model=model, tokenizer=tokenizer, problems=lamp_problems(count), **defaults | options)


def by_text(candidate: Candidate) -> list[float]:
    """A number from 0 to 1 for each part, which looks random and follows from the text before it."""
    parts = candidate.parts
    return [known_reward(candidate.question_text, parts[: i + 1]) for i in range(len(parts))]


def known_reward(question: str, parts: Sequence[str]) -> float:
    return hashlib.sha256(repr((question, list(parts))).encode()).digest()[0] / 256


class Counting:
    """A scorer of [`by_text`] that costs ten tokens a part, and keeps what it was asked."""

    of_steps = True
    identity: dict[str, Any] = {"scorer": "counting"}  # noqa: RUF012

    def __init__(self, value: Any = None) -> None:
        self.asked: list[list[Candidate]] = []
        self._value = value

    def scores(self, candidates: Sequence[Candidate]) -> Scores:
        self.asked.append(list(candidates))
        values = [tuple(by_text(one)) for one in candidates]
        if self._value is not None:
            values = [(self._value,) * len(one.parts) for one in candidates]
        tokens = 10 * sum(len(one.parts) for one in candidates)
        return Scores(values, ScoringCost(tokens, tokens))


def text_scorer() -> FunctionScorer:
    return FunctionScorer(by_text, "by text", of_steps=True)


def equal_scorer(value: float = 0.5) -> FunctionScorer:
    return FunctionScorer(lambda one: [value] * len(one.parts), f"always {value}", of_steps=True)
