"""The suite finds no fault where there is none, and finds and names those that are planted."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from s1_hf import BudgetForcingLogitsProcessor
from s1_hf.conformance import check, suite
from s1_hf.conformance.findings import Finding
from s1_hf.conformance.suite import Outcome, Size
from s1_hf.engines.engine import Finished
from s1_hf.engines.transformers_engine import TransformersEngine
from s1_hf.forcing.draws import SeededDraws

SMALL = Size(cases=8, questions=9, swept=1, laws=("temperature 1",), draws=1000, repeats=1)


@pytest.fixture(autouse=True)
def small(monkeypatch):
    monkeypatch.setattr(suite, "QUICK", SMALL)


def measure_nothing(monkeypatch):
    for name in ("measure_steps", "measure_memory"):
        monkeypatch.setattr(suite, name, lambda *args, **options: Finding("a figure", "measured", ""))


def faults_of(outcome: Outcome) -> set[str]:
    return {finding.name for finding in outcome.findings if finding.verdict == "fault"}


def run(**options) -> Outcome:
    return check(device="cpu", quick=True, **{"dtype": "float32", **options})


def test_a_sound_package_has_no_fault():
    outcome = run(model="embedded")
    assert faults_of(outcome) == set() and not outcome.has_fault
    found = {finding.name: finding for finding in outcome.findings}
    assert {name for name, one in found.items() if one.verdict == "not run"} == {"no synchronisation"}
    assert {"caps", "ignores", "minimums", "left padding", "thinning batches", "transcript"} <= found.keys()
    assert found["prompts stand"].figures == {"nothing": "before"}
    assert "[[<|im_start|>think]]" in found["transcript"].what


def test_rounding_in_bfloat16_is_no_fault(monkeypatch):
    """Choices that are open to it are made otherwise than by the reference, and said to be."""
    measure_nothing(monkeypatch)
    outcome = run(dtype="bfloat16")
    assert faults_of(outcome) == set()
    assert {"random transformers", "embedded model"} & {
        finding.name.removeprefix("greedy, ") for finding in outcome.findings if finding.verdict == "rounding"
    }


def plant_a_rule_turned_by_one(monkeypatch):
    """One end more is ignored than was asked for."""
    own = BudgetForcingLogitsProcessor.__init__

    def init(self, tokenizer, *, budget, **options):
        ignores = budget.num_ignores
        if isinstance(ignores, tuple):
            ignores = tuple(one + (one > 0) for one in ignores)
        elif ignores:
            ignores += 1
        own(self, tokenizer, budget=replace(budget, num_ignores=ignores), **options)

    monkeypatch.setattr(BudgetForcingLogitsProcessor, "__init__", init)


def plant_a_seed_ignored(monkeypatch):
    """Rows are drawn by their places in the batch."""
    own = SeededDraws.__init__

    def init(self, seeds, steps=None):
        own(self, range(len(seeds)), steps)

    monkeypatch.setattr(SeededDraws, "__init__", init)


def plant_in_what_ends(monkeypatch, change):
    """Change the rows that an engine gives back together."""
    own = TransformersEngine.run

    def run(self, requests, on_step):
        for batch in own(self, requests, on_step):
            yield change(list(batch))

    monkeypatch.setattr(TransformersEngine, "run", run)


def plant_a_row_mixed_up(monkeypatch):
    """Of rows that end together the first two are taken for each other."""

    def change(batch):
        if len(batch) > 1:
            (one, its), (other, others) = batch[:2]
            batch[:2] = [Finished(one, others), Finished(other, its)]
        return batch

    plant_in_what_ends(monkeypatch, change)


def plant_a_token_lost(monkeypatch):
    """The last token of long rows is missing, in the ids and in the report."""

    def change(batch):
        found = []
        for request, done in batch:
            keep = len(done.token_ids) - (len(done.token_ids) > 12)
            report = replace(done.report, forced=done.report.forced[:keep])
            done = replace(done, token_ids=done.token_ids[:keep], forced=report.forced, report=report)
            found.append(Finished(request, done))
        return found

    plant_in_what_ends(monkeypatch, change)


def plant_a_law_bent(monkeypatch):
    """Tokens are drawn at a temperature a fifth too low."""
    own = BudgetForcingLogitsProcessor.__call__

    def call(self, input_ids, scores):
        return own(self, input_ids, scores * 1.25 if self.rule == "sample" else scores)

    monkeypatch.setattr(BudgetForcingLogitsProcessor, "__call__", call)


RULE = {"ignores", "greedy, tables"}
SEED = {"seeds per row", "sampled sweep equals separate runs"}
ROW = {"thinning batches", "greedy, embedded model"}
TOKEN = {"caps", "greedy, tables", "greedy, embedded model"}
LAW = {"laws of sampling"}

PLANTED = [
    (plant_a_rule_turned_by_one, RULE),
    (plant_a_seed_ignored, SEED),
    (plant_a_row_mixed_up, ROW),
    (plant_a_token_lost, TOKEN),
    (plant_a_law_bent, LAW),
]


@pytest.mark.parametrize(("plant", "named"), PLANTED, ids=[plant.__name__[6:] for plant, _ in PLANTED])
def test_a_planted_fault_is_found_and_named(plant, named, monkeypatch):
    measure_nothing(monkeypatch)
    plant(monkeypatch)
    found = faults_of(run())
    assert named <= found
    if named in (SEED, LAW):  # and greedy rows are not blamed
        assert named == found


def test_a_check_that_crashes_is_a_fault_and_the_others_go_on(monkeypatch):
    def crash(*args, **options):
        raise RuntimeError("no kernel image is available")

    monkeypatch.setattr(suite, "table_subject", crash)
    monkeypatch.setattr(suite, "random_subject", crash)
    monkeypatch.setattr(suite, "embedded_subject", crash)
    outcome = run()
    assert faults_of(outcome) >= {"greedy, tables", "greedy, random transformers", "embedded model"}
    assert outcome.findings[0].what == "crashed with RuntimeError: no kernel image is available"
    assert outcome.findings[-1].name == "laws of sampling" and outcome.findings[-1].verdict == "passed"


def test_the_number_of_threads_is_what_it_was():
    before = torch.get_num_threads()
    with pytest.raises(OSError, match="no such folder"):
        run(model="./nowhere")
    assert torch.get_num_threads() == before
