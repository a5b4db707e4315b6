"""Batches that are thinned out: the tokens and reports of one call, in fewer forward passes of fewer rows."""

from __future__ import annotations

import shutil

import pytest

pytest.importorskip("lighteval")

from documents import lamps
from transformers import Qwen2ForCausalLM

from s1_hf import embedded
from s1_hf.evaluation import BudgetForcingModel, decoding


def run(settings, monkeypatch, docs) -> tuple[list, int]:
    """All samples, and how many rows went through the model, prompts left out."""
    rows, stock = [0], Qwen2ForCausalLM.forward

    def forward(self, *args, **kwargs):
        ids = kwargs["input_ids"]
        rows[0] += len(ids) if ids.shape[1] == 1 else 0
        return stock(self, *args, **kwargs)

    with monkeypatch.context() as patch:
        patch.setattr(Qwen2ForCausalLM, "forward", forward)
        responses = BudgetForcingModel(settings).greedy_until(docs)
    return [response.samples for response in responses], rows[0]


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
def test_tokens_and_reports_are_those_of_one_call(config, monkeypatch, tmp_path, one_end, settings):
    docs = lamps(16)
    settings["model_name"] = str(one_end)
    thinned, less = run(config(**settings, batch_size=16), monkeypatch, docs)
    monkeypatch.setattr(decoding, "SMALLEST", 10**9)
    whole, more = run(config(**settings, batch_size=16, cache_dir=str(tmp_path / "whole")), monkeypatch, docs)
    assert thinned == whole
    assert less <= more if "max_new_tokens" in settings else less < 0.8 * more


def test_a_cache_that_cannot_be_thinned_out_is_filled_anew(config, monkeypatch, tmp_path):
    docs, settings = lamps(16), {"num_ignores": 2, "batch_size": 16, "max_answer_tokens": 3}
    thinned, _ = run(config(**settings), monkeypatch, docs)
    monkeypatch.setattr(decoding, "DynamicCache", type(None))
    again, _ = run(config(**settings, cache_dir=str(tmp_path / "again")), monkeypatch, docs)
    assert again == thinned
