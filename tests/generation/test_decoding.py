"""Batches whose rows come and go: the tokens and reports of one call, in fewer forward passes of fewer rows."""

from __future__ import annotations

import copy
import functools
import logging
import shutil
from dataclasses import replace

import pytest
import torch
from transformers import Qwen2ForCausalLM

from lamp_requests import lamp_engine, lamp_requests, run_all
from s1_hf import ThinkingFormat, embedded
from s1_hf.engines.request import Request, Sampling
from s1_hf.engines.transformers_engine import TransformersEngine
from s1_hf.forcing.budget import Budget
from s1_hf.generation import cache_rows, decoding, running
from s1_hf.generation.decoding import Decoding
from s1_hf.generation.running import Row
from s1_hf.generation.sweep import SweepCall, sweep_batch
from sweep_models import Pushed, prompts_of, pushed_call, random_model
from tiny_models import tiny_model
from toys import toy_tokenizer


def run(engine, monkeypatch, settings) -> tuple[list, int]:
    """All completions, and how many rows went through the model, prompts left out."""
    rows, stock = [0], Qwen2ForCausalLM.forward

    @functools.wraps(stock)
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


def varied(engine, settings) -> list:
    """10 requests with prompts of several lengths, some of which are given up."""
    requests = []
    for i, request in enumerate(lamp_requests(engine, 10, **settings)):
        longer = request.prompt[:1] * (i % 4) + request.prompt
        requests.append(replace(request, prompt=longer, give_up_after=60 if i % 7 == 0 else None))
    return requests


@pytest.mark.parametrize(
    "settings",
    [
        {"num_ignores": 2, "max_answer_tokens": 3},
        {"max_thinking_tokens": 50, "max_new_tokens": 120},
        {"num_ignores": 1, "temperature": 2.5, "max_new_tokens": 150},
        {"max_new_tokens": 1},
    ],
)
def test_rows_that_take_the_places_of_others(monkeypatch, one_end, settings):
    """Four at a time: each of 10 is what it is alone, and hardly any place stays empty."""
    passes, stock = [], Qwen2ForCausalLM.forward

    @functools.wraps(stock)
    def forward(self, *args, **kwargs):
        passes.append(kwargs["input_ids"].shape)
        return stock(self, *args, **kwargs)

    engine, single = lamp_engine(str(one_end), batch_size=4), lamp_engine(str(one_end), batch_size=1)
    requests = varied(engine, settings)
    with monkeypatch.context() as patch:
        patch.setattr(Qwen2ForCausalLM, "forward", forward)
        together = run_all(engine, requests)
    assert together == run_all(single, requests)
    assert max(rows for rows, _ in passes) == 4
    read = sum(rows for rows, width in passes if width > 1)
    assert read == 10  # no prompt twice
    steps = sum(1 for _, width in passes if width == 1)
    tokens = sum(len(done.token_ids) - 1 for done in together)
    assert steps <= 0.5 * tokens


def test_every_row_has_a_length_of_its_own():
    """Rows that have joined late are as long as those that began."""
    engine = lamp_engine(batch_size=3)
    requests = []
    begun = sorted(lamp_requests(engine, 8, max_new_tokens=90), key=lambda request: -len(request.prompt))
    for i, request in enumerate(begun):
        budget = Budget(max_thinking_tokens=20) if i % 2 else Budget(num_ignores=3)
        requests.append(replace(request, budget=budget))
    lengths = [len(done.token_ids) for done in run_all(engine, requests)]
    assert lengths[::2] == [90] * 4 and max(lengths[1::2]) < 60


def test_no_memory_is_held_for_rows_that_have_ended(monkeypatch):
    """The cache is as long as the longest row that runs."""
    widths, stock = [], Qwen2ForCausalLM.forward

    @functools.wraps(stock)
    def forward(self, *args, **kwargs):
        widths.append(kwargs["past_key_values"].get_seq_length())
        return stock(self, *args, **kwargs)

    engine = lamp_engine(batch_size=3)
    requests = lamp_requests(engine, 18, max_new_tokens=300)
    monkeypatch.setattr(Qwen2ForCausalLM, "forward", forward)
    longest = max(
        len(request.prompt) + len(done.token_ids)
        for request, done in zip(requests, run_all(engine, requests), strict=True)
    )
    assert len(widths) > 2 * longest
    assert max(widths) <= longest + decoding.EVERY


def test_rows_that_do_not_fit_into_memory_begin_again_fewer_at_a_time(monkeypatch, caplog):
    """Also when they no longer fit in the middle of a run; what has ended stays."""
    stock = Qwen2ForCausalLM.forward

    @functools.wraps(stock)
    def forward(self, *args, **kwargs):
        held = kwargs["past_key_values"].get_seq_length()
        if len(kwargs["input_ids"]) > 3 and held > 60:
            raise torch.OutOfMemoryError("no room")
        return stock(self, *args, **kwargs)

    engine = lamp_engine(batch_size=6)
    requests = lamp_requests(engine, 14)
    whole = run_all(engine, requests)
    monkeypatch.setattr(Qwen2ForCausalLM, "forward", forward)
    assert run_all(engine, requests) == whole
    assert "A batch of 6 does not fit into memory and begins again with 3." in caplog.text


@pytest.mark.parametrize("fields", [{"repetition_penalty": 1.1}, {"max_thinking_tokens": "auto"}])
def test_rows_that_others_cannot_join_run_in_batches(monkeypatch, fields):
    """A penalty would count the padding of those that have joined; an automatic cap depends on the batch."""
    read, stock = [], Qwen2ForCausalLM.forward

    @functools.wraps(stock)
    def forward(self, *args, **kwargs):
        if kwargs["input_ids"].shape[1] > 1:
            read.append(len(kwargs["input_ids"]))
        return stock(self, *args, **kwargs)

    engine = lamp_engine(batch_size=3)
    monkeypatch.setattr(Qwen2ForCausalLM, "forward", forward)
    run_all(engine, lamp_requests(engine, 8, max_new_tokens=150, **fields))
    assert read == [3, 3, 2]


@pytest.mark.parametrize("model_type", ["mistral", "gpt_oss", "lfm3", "mamba2", "bloom"])
def test_rows_of_every_kind_of_cache_are_what_they_are_alone(model_type, monkeypatch, caplog):
    """Windows, in which rows join; convolutions, states and a model without positions, where batch follows batch."""
    caplog.set_level(logging.CRITICAL)
    monkeypatch.setattr(decoding, "EVERY", 4)
    tokenizer = toy_tokenizer("opened")
    fmt = ThinkingFormat.from_tokenizer(tokenizer)
    model = tiny_model(model_type, len(tokenizer) + 3)
    prompts = prompts_of(tokenizer, ["ab", "a longer one", "c", "abc", "x, y", "ab ab", "no", "yes"])
    options = {"format": fmt, "max_new_tokens": 40, "logits_processor": [Pushed(fmt.ends, 200.0)]}
    call = SweepCall(model, tokenizer, prompts, options)

    def decoded(at_once: int) -> dict:
        rows = [Row(i, Budget(max_thinking_tokens=3 + 4 * (i % 3), num_ignores=i)) for i in range(len(prompts))]
        return {
            done.row.prompt: (done.ids, done.report)
            for done in Decoding(model, prompts, rows, call.make, at_once=at_once).all()
        }

    joined, stock = [], running.Standing.beside
    monkeypatch.setattr(running.Standing, "beside", lambda *both: joined.append(both) or stock(*both))
    together = decoded(3)
    assert bool(joined) == (model_type in ("mistral", "gpt_oss"))
    assert together == decoded(1)
    assert len({len(ids) for ids, _ in together.values()}) > 3


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

    @functools.wraps(stock)
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


def test_a_row_whose_last_token_is_padding_goes_on_as_it_is():
    """A model may write the padding token; where the batch then changes, the row is not cut short by it."""
    model, tokenizer, fmt = random_model("plain", 2)
    model = copy.deepcopy(model)
    model.lm_head.weight.data[[tokenizer.pad_token_id, *fmt.ends]] *= 4  # likely at some places
    (prompt,) = prompts_of(tokenizer, ["ab"])
    shared = {"prompt": tuple(prompt), "max_new_tokens": 40, "max_answer_tokens": 6}
    requests = [Request(sampling=Sampling(temperature=2.0), seed=i, sample=i, **shared) for i in range(40)]
    together, alone = (
        run_all(TransformersEngine(model, tokenizer, format=fmt, batch_size=size), requests) for size in (3, 1)
    )
    ended = [i for i, one in enumerate(alone) if one.report.ended != "unfinished"]  # not in padding of their own
    assert [together[i] for i in ended] == [alone[i] for i in ended]
    assert sum(one.token_ids[:-1].count(tokenizer.pad_token_id) for one in together) > 100 and len(ended) > 20
