"""Rows that pause, go on, and are measured in the real vLLM; its cache is so small that requests are preempted."""

from __future__ import annotations

from dataclasses import replace

import pytest

pytest.importorskip("vllm.sampling_params", reason="vLLM is not installed: make test-vllm")

from toy_logits import WORD, events, tight

from lamp_requests import in_steps, lamp_engine, lamp_requests, run_all
from s1_hf.engines.checkpoint import Checkpoint
from s1_hf.engines.vllm_engine import VllmEngine
from s1_hf.forcing.confidence import Confidence
from s1_hf.forcing.pauses import Pause

PAUSES = [Pause("\n"), Pause("\n", tokens=6), Pause(tokens=9), Pause(". "), None]


@pytest.mark.parametrize("more", [{}, {"async_scheduling": True}, {"enable_prefix_caching": False}], ids=str)
def test_rows_that_are_preempted_pause_as_in_transformers(more):
    """Rows of all kinds of pauses run together."""
    other = lamp_engine(batch_size=16)
    requests = lamp_requests(other, 12, num_ignores=1, samples=2, temperature=1.0)
    asked = [replace(one, pause=PAUSES[i % len(PAUSES)]) for i, one in enumerate(requests)]
    options = {"enforce_eager": True, "logits_processors": [WORD], **tight(30, 48, 24), **more}
    engine = VllmEngine(Checkpoint.find("embedded"), dtype="float32", max_length=512, options=options)
    before = dict(events)
    try:
        ours = run_all(engine, asked)
        assert ours == run_all(other, asked)
        assert sum(one.begun is not None for one in ours) > 12
        measured = [replace(one, confidence=Confidence(20, window=9, below=11.5)) for one in requests]
        alike = list(zip(run_all(engine, measured), run_all(other, measured), strict=True))
        for one, wanted in alike:
            assert replace(one, confidences=None) == replace(wanted, confidences=None)
            assert one.confidences == pytest.approx(wanted.confidences, abs=3e-4)
        assert any(one.report.ended == "unfinished" for one, _ in alike)
        done, _ = in_steps(engine, requests[::2], Pause("\n", tokens=12))
        assert done == run_all(other, requests[::2])
    finally:
        engine.forget_weights()
    for event in ("resumed", "moved", "thrown_away"):
        assert events[event] > before[event], f"no request was {event}"
