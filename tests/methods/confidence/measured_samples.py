"""Samples that are made up, and benches on which groups differ."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from s1_hf.engines.request import Request
from s1_hf.forcing.confidence import SCALE, Runs
from s1_hf.methods.confidence.samples import Sample
from s1_hf.methods.confidence.traces import Trace
from s1_hf.results.rows import Problem


def made_up(answer: str | None, confidences: Sequence[float], **fields: Any) -> Sample:
    """A sample whose tokens are all thinking."""
    values = tuple(round(one * SCALE) for one in confidences)
    runs = Runs(list(range(1, len(values) + 1)), [True] * len(values))
    defaults: dict[str, Any] = {
        "problem": Problem("0", "?", "7"), "request": Request(prompt=(1,), max_new_tokens=9), "completion": None,
        "trace": Trace(values, runs), "correct": answer == "7", "extracted": answer, "thinking_tokens": len(values),
        "answer_tokens": 0, "total_tokens": len(values),
    }  # fmt: skip
    return Sample(**defaults | fields)
