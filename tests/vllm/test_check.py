"""`s1-hf check --engine vllm`, short: no fault in vLLM as it is here, and one that is planted is found."""

from __future__ import annotations

from dataclasses import replace

import pytest

pytest.importorskip("vllm.sampling_params", reason="vLLM is not installed: make test-vllm")

from s1_hf.conformance import check, suite
from s1_hf.conformance.suite import Size
from s1_hf.vllm import requests

SMALL = Size(cases=100, questions=4, swept=1, laws=("top-p 0.8",), draws=800, repeats=1)


@pytest.fixture(autouse=True)
def small(monkeypatch):
    monkeypatch.setattr(suite, "QUICK", SMALL)
    monkeypatch.setattr(suite, "VLLM_FAMILIES", ("s1",))


def test_no_fault_and_requests_are_preempted():
    outcome = check(engine="vllm", device="cpu", dtype="float32", quick=True)
    found = {finding.name: finding for finding in outcome.findings}
    assert not outcome.has_fault, [finding.what for finding in outcome.findings if finding.verdict == "fault"]
    assert found["preemption"].verdict == "passed"
    assert found["cost of a step"].figures["batches"].keys() == {"1", "8"}
    assert "vllm" in " ".join(outcome.about["versions"])


def test_a_rule_turned_by_one_is_found(monkeypatch):
    """One end more is ignored than was asked for, in the engine."""
    own = requests.Requests.enter

    def enter(self, settings, *args, **options):
        budget = settings.budget
        if budget.num_ignores:
            settings = replace(settings, budget=replace(budget, num_ignores=budget.num_ignores + 1))
        return own(self, settings, *args, **options)

    monkeypatch.setattr(requests.Requests, "enter", enter)
    outcome = check(engine="vllm", device="cpu", dtype="float32", quick=True)
    assert "ignores" in {finding.name for finding in outcome.findings if finding.verdict == "fault"}
