"""Batches that are thinned out: the tokens and reports of one call, in fewer forward passes of fewer rows."""

from __future__ import annotations

import shutil
from dataclasses import replace

import pytest
from transformers import Qwen2ForCausalLM

from lamp_requests import lamp_engine, lamp_requests, run_all
from s1_hf import embedded
from s1_hf.engines import thinning
from s1_hf.forcing.budget import Budget


def run(engine, monkeypatch, settings) -> tuple[list, int]:
    """All completions, and how many rows went through the model, prompts left out."""
    rows, stock = [0], Qwen2ForCausalLM.forward

    def forward(self, *args, **kwargs):
        ids = kwargs["input_ids"]
        rows[0] += len(ids) if ids.shape[1] == 1 else 0
        return stock(self, *args, **kwargs)

    with monkeypatch.context() as patch:
        patch.setattr(Qwen2ForCausalLM, "forward", forward)
        completions = run_all(engine, lamp_requests(engine, 16, **settings))
    return completions, rows[0]


@pytest.fixture
def one_end(tmp_path):
    """The embedded model without its padding among the ends of sequence."""
    folder = shutil.copytree(embedded.MODEL_PATH, tmp_path / "one_end")
    (folder / "generation_config.json").write_text('{"eos_token_id": 431, "pad_token_id": 429}')
    return folder


@pytest.mark.parametrize(
    "settings",
    [
        {"num_ignores": 2, "max_answer_tokens": 3},
        {"max_thinking_tokens": 50, "max_new_tokens": 160},
        {"num_ignores": 1, "wait_text": None, "max_new_tokens": 208},
        {"num_ignores": 1, "temperature": 2.5, "max_new_tokens": 150},
        {"max_new_tokens": 80},  # where the first look that finds half of the rows done is one too late
    ],
)
def test_tokens_and_reports_are_those_of_one_call(monkeypatch, one_end, settings):
    engine = lamp_engine(str(one_end), batch_size=16)
    thinned, less = run(engine, monkeypatch, settings)
    monkeypatch.setattr(thinning, "SMALLEST", 10**9)
    whole, more = run(engine, monkeypatch, settings)
    assert thinned == whole
    assert less <= more if "max_new_tokens" in settings else less < 0.8 * more


def test_rows_with_budgets_of_their_own_keep_them(monkeypatch):
    """Also when the batch is thinned out: each row is what it is in a batch of one."""
    engine, single = lamp_engine(batch_size=16), lamp_engine(batch_size=1)
    requests = []
    for i, request in enumerate(lamp_requests(engine, 16, max_answer_tokens=3)):
        requests.append(replace(request, budget=Budget(max_thinking_tokens=20 + 9 * i, num_ignores=i % 3)))
    together = run_all(engine, requests)
    assert together == run_all(single, requests)
    assert [done.report.thinking_tokens <= 20 + 9 * i for i, done in enumerate(together)] == [True] * 16


def test_rows_are_given_up_with_their_first_token_beyond_a_limit():
    engine = lamp_engine(batch_size=16)
    limits = [10 + 5 * i for i in range(16)]
    whole = run_all(engine, lamp_requests(engine, 16))
    requests = lamp_requests(engine, 16)
    requests = [replace(request, give_up_after=limit) for request, limit in zip(requests, limits, strict=True)]
    for done, limit, full in zip(run_all(engine, requests), limits, whole, strict=True):
        if full.report.thinking_tokens <= limit:
            assert done == full
        else:
            assert (done.report.ended, done.report.thinking_tokens) == ("unfinished", limit + 1)
            assert done.token_ids == full.token_ids[: len(done.token_ids)]


def test_a_cache_that_cannot_be_thinned_out_is_filled_anew(monkeypatch):
    engine, settings = lamp_engine(batch_size=16), {"num_ignores": 2, "max_answer_tokens": 3}
    thinned, _ = run(engine, monkeypatch, settings)
    monkeypatch.setattr(thinning, "DynamicCache", type(None))
    again, _ = run(engine, monkeypatch, settings)
    assert again == thinned
