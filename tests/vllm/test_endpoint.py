"""The engine at an address, with the real server of vLLM behind it: rows are those of transformers."""

from __future__ import annotations

import os
import subprocess
import sys
import time
import urllib.request
from contextlib import contextmanager
from dataclasses import replace

import pytest

pytest.importorskip("vllm.sampling_params", reason="vLLM is not installed: make test-vllm")

from servers import free_port

from lamp_requests import lamp_engine, lamp_requests, run_all
from s1_hf import Budget, embedded
from s1_hf.engines.checkpoint import Checkpoint
from s1_hf.engines.endpoint_engine import EndpointEngine
from s1_hf.forcing.pauses import Pause
from s1_hf.generation.grids import grid
from s1_hf.vllm.options import EXTENSION, PROCESSOR

QUIET = lambda rows: None  # noqa: E731
PLUG_IN = ["--logits-processors", PROCESSOR, "--worker-extension-cls", EXTENSION]
FIELDS = [
    {"max_thinking_tokens": 30, "num_ignores": 1},
    {"num_ignores": 2, "max_answer_tokens": 3},
    {"max_thinking_tokens": 40, "cut_text": "So:\n", "cut_window": 9},
    {"min_thinking_tokens": 60, "wait_text": None},
    {"give_up_after": 40},
    {"max_new_tokens": 9},
]


@contextmanager
def served(*options: str):
    """The address of `vllm serve` with the embedded model."""
    port = free_port()
    line = [sys.executable, "-W", "ignore", "-m", "vllm.entrypoints.openai.api_server", "--port", str(port)]
    line += ["--model", str(embedded.MODEL_PATH), "--served-model-name", "lamps", "--dtype", "float32"]
    line += ["--enforce-eager", "--max-model-len", "1024", *options]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    process = subprocess.Popen(line, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        for _ in range(600):
            assert process.poll() is None, "vLLM did not start"
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=5)
                break
            except OSError:
                time.sleep(0.5)
        yield f"http://127.0.0.1:{port}/v1"
    finally:
        process.terminate()
        process.wait(timeout=60)


@pytest.fixture(scope="module")
def plug_in():
    with served(*PLUG_IN) as url:
        yield url


@pytest.fixture(scope="module")
def plain():
    with served() as url:
        yield url


@pytest.fixture(scope="module")
def other():
    return lamp_engine()


@pytest.fixture
def engine_at():
    engines = []

    def make(url: str, **options) -> EndpointEngine:
        engines.append(EndpointEngine(Checkpoint.find("embedded"), url, **options))
        return engines[-1]

    yield make
    for one in engines:
        one.forget_weights()


@pytest.mark.parametrize("fields", FIELDS, ids=str)
def test_completions_equal_those_of_transformers(plug_in, engine_at, other, fields):
    """By the bare line of `vllm serve`, without a route for reports."""
    engine = engine_at(plug_in)
    requests = lamp_requests(other, 8, **fields)
    engine.check(requests)
    assert run_all(engine, requests) == run_all(other, requests)


@pytest.mark.parametrize("fields", FIELDS, ids=str)
def test_rounds_too_without_the_plug_in(plain, engine_at, other, fields):
    engine = engine_at(plain, rounds=True)
    requests = lamp_requests(other, 8, **fields)
    engine.check(requests)
    assert run_all(engine, requests) == run_all(other, requests)


def test_sampled_rows_under_a_cap_are_those_of_transformers(plug_in, engine_at, other):
    requests = lamp_requests(other, 8, temperature=1.0, max_thinking_tokens=40)
    assert run_all(engine_at(plug_in), requests) == run_all(other, requests)


def test_sampled_rounds_are_the_same_in_every_run(plain, engine_at, other):
    engine = engine_at(plain, rounds=True)
    requests = lamp_requests(other, 4, temperature=1.0, samples=2, num_ignores=1)
    first = run_all(engine, requests)
    assert first == run_all(engine, requests)
    assert all(one.report.ends_ignored == 1 for one in first) and len({one.token_ids for one in first}) > 4


@pytest.mark.parametrize("rounds", [False, True])
def test_a_sweep_equals_that_of_transformers(plug_in, plain, engine_at, other, rounds):
    engine = engine_at(plain if rounds else plug_in, rounds=rounds)
    settings = grid([None, 20, 60], [0, 1, 2], Budget(cut_text="So:\n", cut_window=5))
    requests = lamp_requests(other, 4)
    (ours,) = engine.sweep(requests, settings, QUIET)
    theirs: dict = {}
    for batch in other.sweep(requests, settings, QUIET):
        for of_setting in batch.of_settings:
            theirs |= {one.request.key: one.completion for one in of_setting}
    for of_setting in ours.of_settings:
        assert [one.completion for one in of_setting] == [theirs[one.request.key] for one in of_setting]


@pytest.mark.parametrize("rounds", [False, True])
def test_rows_pause_and_go_on_as_in_transformers(plug_in, plain, engine_at, other, rounds):
    """Of rounds none is longer than a step: the server knows `stop`."""
    engine = engine_at(plain if rounds else plug_in, rounds=rounds)
    requests = lamp_requests(other, 4, max_thinking_tokens=60)
    asked = [replace(one, pause=Pause("\n")) for one in requests]
    pauses = 0
    while asked:
        engine.check(asked)
        ours = run_all(engine, asked)
        assert ours == run_all(other, asked)
        pairs = zip(asked, ours, strict=True)
        asked = [replace(one, begun=done.begun) for one, done in pairs if done.begun is not None]
        pauses += len(asked)
    assert pauses > 8
    assert engine.spent.dropped <= 4  # a wish to end, where thinking is continued or closed


def test_a_server_without_the_plug_in_is_refused(plain, engine_at):
    with pytest.raises(ValueError, match="does not take thinking budgets as they are meant here"):
        engine_at(plain)


def test_an_unknown_model_and_version_are_told(plug_in, engine_at):
    served_as = engine_at(plug_in).identity["served"]
    assert served_as["name"] == "lamps" and served_as["context"] == 1024 and served_as["vllm"]
    with pytest.raises(ValueError, match="has no model 'other', but lamps"):
        engine_at(plug_in, served_name="other")
