"""Batches whose rows come and go: the tokens and reports of one call, in fewer forward passes of fewer rows."""

from __future__ import annotations

import shutil
from dataclasses import replace

import pytest
from transformers import Qwen2ForCausalLM

from lamp_requests import lamp_engine, lamp_requests, run_all
from s1_hf import embedded
from s1_hf.forcing.budget import Budget
from s1_hf.generation import cache_rows, decoding
from s1_hf.generation.sweep import sweep_batch
from sweep_models import pushed_call


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
    monkeypatch.setattr(decoding, "SMALLEST", 10**9)
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


def test_a_cache_that_cannot_follow_its_rows_is_filled_anew(monkeypatch):
    engine, settings = lamp_engine(batch_size=16), {"num_ignores": 2, "max_answer_tokens": 3}
    thinned, _ = run(engine, monkeypatch, settings)
    monkeypatch.setattr(cache_rows, "rows_of_cache", lambda *_: None)
    again, _ = run(engine, monkeypatch, settings)
    assert again == thinned


CAPS = [Budget(max_thinking_tokens=cap, num_ignores=3) for cap in (2, 3, 4, 5, 6, 7, 8, 20)]


def sizes_of(monkeypatch, prompts: list[str]) -> tuple[list, list[int], int]:
    """Completions and rows of every forward pass of a dense sweep, and tokens that were read again."""
    sizes, stock = [], Qwen2ForCausalLM.forward

    def forward(self, *args, **kwargs):
        sizes.append(len(kwargs["input_ids"]))
        return stock(self, *args, **kwargs)

    with monkeypatch.context() as patch:
        patch.setattr(Qwen2ForCausalLM, "forward", forward)
        done, cost = sweep_batch(pushed_call(prompts), CAPS)
    return done, sizes, cost.trace_tokens + cost.answer_tokens


def test_at_most_twice_as_many_rows_as_prompts_run_together(monkeypatch):
    """Seven caps that are hit one token after the other, whose answers fill all the room there is."""
    _, sizes, _ = sizes_of(monkeypatch, ["ab", "c", "a longer one"])
    assert max(sizes) == 6


def test_branches_that_have_to_take_turns_are_what_they_are_together(monkeypatch):
    one_by_one = [sizes_of(monkeypatch, [prompt])[0] for prompt in ("ab", "xyz")]
    together, _, _ = sizes_of(monkeypatch, ["ab", "xyz"])
    for setting, completions in enumerate(together):
        assert completions == [alone[setting][0] for alone in one_by_one]


def test_what_is_read_again_is_counted(monkeypatch):
    done, _, tokens = sizes_of(monkeypatch, ["ab"])
    monkeypatch.setattr(cache_rows, "rows_of_cache", lambda *_: None)
    again, _, more = sizes_of(monkeypatch, ["ab"])
    assert again == done
    assert more > 2 * tokens


def test_nothing_is_computed_for_rows_that_have_ended(monkeypatch):
    """Where settings branch off, who has ended leaves."""
    _, sizes, _ = sizes_of(monkeypatch, ["ab", "c", "a longer one"])
    assert sizes[0] == 3 and sizes[-1] < 6
