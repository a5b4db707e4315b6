"""Rows that are measured, as one pass over the text says, whatever batch they were in; and rows given up by it."""

from __future__ import annotations

import dataclasses
import random
from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

pytest.importorskip("math_verify")

from benches import random_model

from lamp_requests import lamp_engine, lamp_requests, run_all
from s1_hf.engines.request import Request, Sampling
from s1_hf.engines.transformers_engine import TransformersEngine
from s1_hf.forcing.automaton import Automaton
from s1_hf.forcing.budget import Budget
from s1_hf.forcing.confidence import Confidence, in_parts, losing_token, thinking_runs
from s1_hf.forcing.loops import LoopGuard
from s1_hf.forcing.pauses import Pause
from s1_hf.generation.confidences import Measured, Measuring
from s1_hf.generation.config import eos_ids
from s1_hf.generation.running import Row
from sweep_models import prompts_of
from toys import toy_format

common = {"deadline": None, "derandomize": True, "database": None}
SETTINGS = [
    {},
    {"num_ignores": 2, "max_answer_tokens": 3},
    {"max_thinking_tokens": 40, "temperature": 1.5},
    {"loop_guard": LoopGuard(max_period=8, repeats=2, min_tokens=20), "num_ignores": 4, "max_new_tokens": 220},
]
TOPS = (1, 20, None)
FAMILIES = ("s1", "think", "opened", "plain", "harmony", "magistral", "interleaved", "tools", "gemma4", "kimi_k3")


def by_one_pass(model, request: Request, completion) -> list[float]:
    """The whole text through the model at once, in float64 from its logits on."""
    ids = torch.tensor([[*request.prompt, *completion.token_ids]])
    with torch.no_grad():
        logits = model(ids).logits[0, len(request.prompt) - 1 : -1].double()
    log_p = logits.log_softmax(-1)
    top = log_p.shape[-1] if request.confidence.top is None else request.confidence.top
    return (-log_p.topk(min(top, log_p.shape[-1])).values.mean(-1)).tolist()


def asked(requests, confidence):
    return [replace(request, confidence=confidence) for request in requests]


@pytest.mark.parametrize("fields", SETTINGS)
@pytest.mark.parametrize("top", TOPS)
def test_every_token_has_the_confidence_of_its_law(fields, top):
    """Raw, before temperature and forcing; a batch of three with seven rows, which come and go."""
    engine = lamp_engine(batch_size=3)
    requests = asked(lamp_requests(engine, 7, **fields), Confidence(top))
    for request, done in zip(requests, run_all(engine, requests), strict=True):
        assert len(done.confidences) == len(done.token_ids)
        assert done.confidences == pytest.approx(by_one_pass(engine.model, request, done), rel=1e-4, abs=2e-3)


@pytest.mark.parametrize("fields", SETTINGS)
def test_measuring_changes_nothing_else(fields):
    engine = lamp_engine(batch_size=3)
    requests = lamp_requests(engine, 5, **fields)
    plain = run_all(engine, requests)
    assert [one.confidences for one in plain] == [None] * 5
    found = run_all(engine, asked(requests, Confidence()))
    assert [replace(one, confidences=None) for one in found] == plain


def test_a_penalty_is_not_measured():
    engine = lamp_engine(batch_size=2)
    requests = asked(lamp_requests(engine, 2, repetition_penalty=1.3, max_new_tokens=60), Confidence(1))
    for request, done in zip(requests, run_all(engine, requests), strict=True):
        assert done.confidences == pytest.approx(by_one_pass(engine.model, request, done), rel=1e-4, abs=2e-3)


def test_rows_that_pause_are_measured_in_parts():
    engine = lamp_engine(batch_size=3)
    whole = run_all(engine, asked(lamp_requests(engine, 3), Confidence(5)))
    for index, request in enumerate(asked(lamp_requests(engine, 3), Confidence(5))):
        one, values = replace(request, pause=Pause("\n")), ()
        while (done := run_all(engine, [one])[0]).begun is not None:
            values += done.confidences
            one = replace(one, begun=done.begun)
        assert values + done.confidences == pytest.approx(whole[index].confidences, abs=1e-3)


@pytest.mark.parametrize("temperature", [0.0, 1.2])
def test_settings_of_a_sweep_are_measured_as_separate_runs_are(temperature):
    engine = lamp_engine(batch_size=4)
    grid = [Budget(max_thinking_tokens=cap, num_ignores=n) for cap in (12, 30, None) for n in (0, 2)]
    requests = asked(lamp_requests(engine, 4, temperature=temperature, max_answer_tokens=12), Confidence(3))
    (swept,) = engine.sweep(requests, grid, lambda rows: None)
    for setting, of_setting in zip(grid, swept.of_settings, strict=True):
        alone = run_all(engine, [request for request, _ in of_setting])
        assert {request.budget for request, _ in of_setting} == {setting}
        for (_, completion), other in zip(of_setting, alone, strict=True):
            assert completion.token_ids == other.token_ids
            assert completion.confidences == pytest.approx(other.confidences, abs=2e-3)


# -- rows that are given up ------------------------------------------------------------------------------------------


def cut_where_lost(engine, request, whole):
    """The row that is given up, by what was measured of the whole one: its ids, and whether it was given up."""
    automaton = Automaton.of(engine.tokenizer, engine.format, eos=eos_ids(None, engine.tokenizer))
    runs = thinking_runs(automaton, request.prompt, whole.token_ids, whole.report.thinking_tokens)
    at = losing_token(request.confidence, in_parts(whole.confidences), runs)
    return (whole.token_ids, False) if at is None else (whole.token_ids[: at + 1], True)


@pytest.mark.parametrize("fields", SETTINGS)
@pytest.mark.parametrize("window", [1, 12])
def test_rows_are_given_up_where_their_window_is_low(fields, window):
    """Whatever happens to their batch in between: three places, nine rows."""
    engine = lamp_engine(batch_size=3)
    requests = asked(lamp_requests(engine, 9, **{"temperature": 1.2} | fields), Confidence(20))
    whole = run_all(engine, requests)
    lowest = sorted(min(_means(one, window)) for one in whole)
    lost = 0
    for below in (lowest[2] + 1e-3, lowest[6] + 1e-3):
        again = asked(requests, Confidence(20, window=window, below=below))
        for request, one, full in zip(again, run_all(engine, again), whole, strict=True):
            ids, is_lost = cut_where_lost(engine, request, full)
            assert one.token_ids == ids
            if is_lost:
                assert one.report.ended == "unfinished"
            lost += is_lost
    assert lost > 3


def _means(completion, window):
    values = completion.confidences[: completion.report.thinking_tokens]
    return [sum(values[i : i + window]) / window for i in range(max(len(values) - window + 1, 1))]


def test_each_row_has_a_threshold_of_its_own():
    engine = lamp_engine(batch_size=8)
    requests = lamp_requests(engine, 8)
    whole = run_all(engine, asked(requests, Confidence(20)))
    mixed = [replace(one, confidence=Confidence(20, 3, 1e3 * (i % 2))) for i, one in enumerate(requests)]
    for i, (one, full) in enumerate(zip(run_all(engine, mixed), whole, strict=True)):
        assert (one.report.ended == "unfinished") == bool(i % 2)
        assert one.report.thinking_tokens == (3 if i % 2 else full.report.thinking_tokens)


@given(st.integers(0, 2**32))
@settings(max_examples=30, **common)
def test_random_models_formats_budgets_and_batches(seed):
    """What is measured, and where rows are given up, is what a row by itself says."""
    rng = random.Random(seed)
    family = rng.choice(FAMILIES)
    model, tokenizer = random_model(family, rng.randrange(4))
    engine = TransformersEngine(model, tokenizer, format=toy_format(family), batch_size=rng.randint(1, 4))
    most = 0 if family == "plain" else 3  # ignores
    budget = Budget(
        max_thinking_tokens=rng.choice([None, 3, 10]), num_ignores=rng.choice([0, 0, most]),
        wait_text=rng.choice(["Wait", None, ["Wait", "Hm"]]),
    )  # fmt: skip
    confidence = Confidence(rng.choice([1, 4, None]))
    requests = []
    for i, prompt in enumerate(prompts_of(tokenizer, [rng.choice(["ab", "xyz\n", "c"]) for _ in range(5)])):
        requests.append(
            Request(
                prompt=tuple(prompt), max_new_tokens=30, budget=budget, sampling=Sampling(temperature=2.0), seed=i,
                problem=str(i), confidence=confidence, max_answer_tokens=8,
            )
        )  # fmt: skip
    whole = run_all(engine, requests)
    for request, done in zip(requests, whole, strict=True):
        assert done.confidences == pytest.approx(by_one_pass(model, request, done), rel=1e-4, abs=2e-4)
    middle = sorted(value for done in whole for value in done.confidences)[sum(len(d.token_ids) for d in whole) // 3]
    below = dataclasses.replace(confidence, window=rng.choice([1, 2, 5]), below=middle + 0.00005)
    again = [replace(request, confidence=below) for request in requests]
    for request, one, full in zip(again, run_all(engine, again), whole, strict=True):
        assert one.token_ids == cut_where_lost(engine, request, full)[0]
    # And in a sweep, whose rows ride on others.
    points = [(cap, ignores) for cap in (4, 9) for ignores in {0, most}]
    grid = [Budget(max_thinking_tokens=cap, num_ignores=n, wait_text=budget.wait_text) for cap, n in points]
    for swept in engine.sweep(again, grid, lambda rows: None):
        for of_setting in swept.of_settings:
            for request, completion in of_setting:
                (alone,) = run_all(engine, [request])
                assert completion.token_ids == alone.token_ids and completion.report == alone.report
                assert completion.confidences == pytest.approx(alone.confidences, abs=2e-4)


def test_nothing_waits_for_the_device(monkeypatch):
    """Between two changes of the batch nothing is read."""
    read = []
    stock = Measuring.read
    monkeypatch.setattr(Measuring, "read", lambda self, rows: read.append(len(self._values)) or stock(self, rows))
    engine = lamp_engine(batch_size=1)
    (done,) = run_all(engine, asked(lamp_requests(engine, 1), Confidence()))
    assert read == [len(done.token_ids)]


def test_windows_reach_back_before_the_batch():
    """A row that comes into a batch with what it has brought."""
    for brought in range(6):
        values = (10_000, 50_000, 20_000, 30_000, 40_000)[:brought]
        row = Row(0, Budget(), measured=Measured(values, run=brought))
        measuring = Measuring([Confidence(1, window=3, below=2.0)], [row])
        measuring.attach(AlwaysThinking())
        whole = list(values)
        for value in (0.0, 0.0, 9.0, 1.0, 0.0):
            measuring.note(torch.tensor([[0.0, _other(value)]]))
            whole.append(measuring._values[-1].item())
            low = sum(whole[-3:]) < 3 * 2.0 * 10_000 and len(whole) >= 3
            assert bool(measuring(torch.zeros(1, len(whole) + 1, dtype=torch.long), None)) == low
        assert measuring.read([row]) == [Measured(tuple(whole), run=len(whole))]


def _other(confidence: float) -> float:
    """A logit, beside one of 0, that is impossible; `confidence` only says that it varies."""
    return -1e30 if confidence == 0.0 else 0.0


class AlwaysThinking:
    """Stands for a processor whose rows think one more token at every step."""

    def step_at(self, length):
        return self

    @property
    def state(self):
        return self.state_after(torch.zeros(1, 0))

    def state_after(self, input_ids):
        state = torch.zeros(7, 1, dtype=torch.long)
        state[1], state[5] = input_ids.shape[1], 1
        return state
