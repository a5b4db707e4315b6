"""The trace of a sweep: the largest setting's rows, with every decision that led to them."""

from __future__ import annotations

import torch
from s1_hf.generation.trace import SweepCall, SweepTrace, make_trace

from s1_hf import Budget, generate
from s1_hf.forcing.decisions import Field, Limits, judge, limits_for
from sweep_models import Pushed, random_model

LARGEST = Budget(max_thinking_tokens=20, num_ignores=3)


def traced(prompts: tuple[str, ...] = ("ab", "a longer one"), **options) -> SweepTrace:
    model, tokenizer, fmt = random_model("opened", 1)
    rows = []
    for prompt in prompts:
        chat = [{"role": "user", "content": prompt}]
        rows.append(tokenizer.apply_chat_template(chat, add_generation_prompt=True, return_dict=True)["input_ids"])
    options = {"format": fmt, "max_new_tokens": 60, "logits_processor": [Pushed(fmt.ends, 200.0)]} | options
    return make_trace(SweepCall(model, tokenizer, rows, options), LARGEST)


def test_the_rows_of_a_trace_are_those_of_a_run_of_the_largest_setting():
    model, tokenizer, fmt = random_model("opened", 1)
    options = {"format": fmt, "max_new_tokens": 60, "logits_processor": [Pushed(fmt.ends, 200.0)]}
    assert traced().completions == generate(model, tokenizer, ["ab", "a longer one"], budget=LARGEST, **options)


def test_each_decision_of_a_trace_starts_where_the_one_before_and_its_token_led():
    """Judged again under the largest setting, every step gives the state that was recorded."""
    trace = traced()
    replay, rows = trace.replay, len(trace.ids)
    limits = Limits(*(column.expand(len(replay.picks)) for column in limits_for(LARGEST, 1)))
    verdict = judge(trace.processor.tables, limits, replay.before, replay.picks, replay.last, replay.looped)
    running = torch.arange(trace.steps)[:, None] < trace.counts  # (steps, rows)
    same = (verdict.state == replay.after).all(0).reshape(trace.steps, rows)
    assert bool(same[running].all())
    assert replay.after[Field.IGNORED].max() == 3  # or the test shows little


def test_the_token_before_each_decision_is_the_rows_own():
    trace = traced()
    rows, width = len(trace.ids), trace.call.width
    last = trace.replay.last.reshape(trace.steps, rows)
    assert last[0].tolist() == trace.ids[:, width - 1].tolist()
    assert last[3].tolist() == trace.ids[:, width + 2].tolist()


def test_the_cache_holds_all_but_the_last_token():
    trace = traced()
    assert trace.cached == trace.cache.get_seq_length() == trace.ids.shape[1] - 1
    assert trace.steps == trace.ids.shape[1] - trace.call.width


def test_rows_are_counted_without_the_padding_after_them():
    trace = traced()
    assert trace.counts.tolist() == [len(completion.token_ids) for completion in trace.completions]


def test_the_limit_is_in_new_tokens_however_it_was_given():
    assert traced(max_new_tokens=30).limit == 30
    width = traced().call.width
    assert traced(max_new_tokens=None, max_length=width + 17).limit == 17
