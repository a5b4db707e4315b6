"""Budget forcing in every decoding mode: beams, assisted decoding, streaming, caches, dtypes, reuse of a processor."""

from __future__ import annotations

import random

import pytest
import torch
from hypothesis import assume, given, settings
from transformers.generation.streamers import BaseStreamer

from cases import (
    EXAMPLES,
    SEEDS,
    budgets_of,
    case_of,
    check_case,
    expected,
    one_row,
    options_of,
    padded,
    processor_for,
    qwen2_like,
    run_case,
    setting,
)
from s1_hf import budget_forcing
from s1_hf.forcing.vocabulary import encode
from toys import toy_model


@settings(max_examples=40, **EXAMPLES)
@given(SEEDS)
def test_prompt_lookup_and_a_draft_model_change_nothing(seed):
    """Assisted decoding asks about tokens that are then taken back; the result is that of plain greedy decoding."""
    case = one_row(seed)
    tokenizer, _, _ = setting(case["family"])
    inputs = padded(case["prompts"], tokenizer.pad_token_id)
    model, draft = qwen2_like(case, seed % 1000), qwen2_like(case, seed % 1000)
    model.next_logits = lambda ids: model(torch.tensor([ids])).logits[0, -1]
    case["model"] = model
    plain = model.generate(**inputs, **options_of(case), logits_processor=[processor_for(case)])
    draft.lm_head.weight.data += 0.3 * torch.randn(
        draft.lm_head.weight.shape, generator=torch.Generator().manual_seed(1)
    )
    for assistant in ({"prompt_lookup_num_tokens": 4}, {"assistant_model": draft}):
        # transformers 5.0 overshoots `max_new_tokens` here, with a processor and without.
        alone = [model.generate(**inputs, **options_of(case), **extra).tolist() for extra in ({}, assistant)]
        assume(alone[0] == alone[1])
        kwargs = budget_forcing(model, tokenizer, **budgets_of(case), **options_of(case), **assistant)
        out = model.generate(**inputs, **kwargs)
        assert out.tolist() == plain.tolist()
        processor = kwargs["logits_processor"][-1]
        assert processor.reports() == processor.reports(out)
        check_case(case, processor, out)


@settings(max_examples=40, **EXAMPLES)
@given(SEEDS)
def test_dynamic_and_static_caches_agree_with_the_oracle(seed):
    """A left-padded batch on a real transformer, with a growing and a fixed cache."""
    case = case_of(seed)
    tokenizer, _, _ = setting(case["family"])
    model = qwen2_like(case, seed % 1000)
    model.next_logits = lambda ids: model(torch.tensor([ids])).logits[0, -1]
    case["model"] = model
    for cache in ("dynamic", "static"):
        processor = processor_for(case)
        out = model.generate(
            **padded(case["prompts"], tokenizer.pad_token_id),
            **options_of(case),
            logits_processor=[processor],
            cache_implementation=cache,
        )
        check_case(case, processor, out)


@settings(max_examples=40, **EXAMPLES)
@given(SEEDS)
def test_bfloat16_and_float16_logits_agree_with_the_oracle(seed):
    for dtype in (torch.bfloat16, torch.float16):
        case = case_of(seed)
        case["model"] = case["model"].to(dtype)
        processor = processor_for(case)
        check_case(case, processor, run_case(case, processor))


class Recorder(BaseStreamer):
    """Keeps what it is given."""

    def __init__(self) -> None:
        self.ids: list[int] = []

    def put(self, value: torch.Tensor) -> None:
        self.ids += value.flatten().tolist()

    def end(self) -> None:
        self.ended = True


@settings(max_examples=40, **EXAMPLES)
@given(SEEDS)
def test_a_streamer_gets_the_final_tokens_and_no_ignored_end(seed):
    case = one_row(seed)
    tokenizer, _, _ = setting(case["family"])
    streamer = Recorder()
    kwargs = budget_forcing(case["model"], tokenizer, **budgets_of(case), **options_of(case))
    out = case["model"].generate(**padded(case["prompts"], tokenizer.pad_token_id), streamer=streamer, **kwargs)
    assert streamer.ids == out[0].tolist()
    assert streamer.ids[len(case["prompts"][0]) :][: len(expected(case, 0).new)] == expected(case, 0).new


class Prefixes:
    """Rule 8 for beams, kept in a dictionary from whole prefixes to plain Python state."""

    def __init__(self, case: dict) -> None:
        self.case, (self.tokenizer, self.format, self.d) = case, setting(case["family"])
        self.known: dict[tuple[int, ...], dict] = {}
        self.first = -1

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        self.first = input_ids.shape[1] if self.first < 0 else self.first
        return torch.stack([self.one(tuple(ids.tolist()), s) for ids, s in zip(input_ids, scores, strict=True)])

    def one(self, ids: tuple[int, ...], scores: torch.Tensor) -> torch.Tensor:
        if len(ids) == self.first:
            state = {"phase": "think", "n": 0, "used": 0, "queue": [], "hold": False, "next": "think"}
            state |= {"ignored": 0, "ended": "unfinished", "forced": []}
        else:
            state = dict(self.known[ids[:-1]])
            state["forced"] = [*state["forced"], bool(state["queue"])]
            if state["queue"]:
                state["queue"] = state["queue"][1:]
                state["n"] += state["phase"] == "wait"
                if not state["queue"]:
                    state["hold"], state["phase"] = state["phase"] == "wait", state["next"]
            elif state["phase"] == "think":
                state["hold"] = False
                if ids[-1] == self.d.close[0]:  # another beam's way out: let through
                    state |= {"phase": "answer", "ended": "natural"}
                else:
                    state["n"] += 1
        new = scores.clone()
        new[len(self.d.texts) :] = -torch.inf
        if state["phase"] == "think":
            new = self.think(ids, state, new)
        elif state["phase"] == "answer":
            new[[self.d.start[0], self.d.close[0]]] = -torch.inf
        if state["queue"]:
            new = torch.full_like(new, -torch.inf)
            new[state["queue"][0]] = 0.0
        self.known[ids] = state
        return new

    def think(self, ids: tuple[int, ...], state: dict, new: torch.Tensor) -> torch.Tensor:
        cap, wait = self.case["most"][0], list(encode(self.tokenizer, "Wait"))
        if state["n"] >= cap:
            line = [] if self.d.texts[ids[-1]].endswith("\n") else list(encode(self.tokenizer, "\n"))
            queue = line + self.d.close + list(encode(self.tokenizer, "\nFinal Answer:"))
            state |= {"queue": queue, "phase": "close", "next": "answer", "ended": "cut"}
            return new
        if state["hold"]:
            new[self.d.ends] = -torch.inf
        room = state["n"] + len(wait) < cap
        ignoring = state["used"] < self.case["ignores"][0] and room
        if int(new.argmax()) in self.d.ends:
            if ignoring:
                state |= {"queue": wait, "phase": "wait", "next": "think"}
                state |= {"used": state["used"] + 1, "ignored": state["ignored"] + 1}
            else:
                state |= {"queue": self.d.close, "phase": "close", "next": "answer", "ended": "natural"}
        else:
            new[[e for e in self.d.ends if ignoring or e != self.d.close[0]]] = -torch.inf
        return new


@settings(max_examples=80, **EXAMPLES)
@given(SEEDS)
def test_beam_search_equals_a_dictionary_of_prefixes(seed):
    """Beams reorder and drop rows; state kept by whole prefixes in a dictionary gives the same beams and reports."""
    rng = random.Random(seed)
    case = case_of(seed) | {"family": "opened", "prefix": "Final Answer:", "waits": ("Wait",)}
    tokenizer, fmt, d = setting("opened")
    pool = ["a", "b", "\n", "Wait", "x"]
    only = [encode(tokenizer, t)[0] for t in pool] + list(fmt.ends)
    likely = {i: rng.choice([-1.0, 1.0, 3.0]) for i in fmt.ends}
    model = toy_model(len(d.texts) + 3, seed % 2**31, likely, only)
    case |= {"most": [rng.randint(0, 12)], "least": [0], "ignores": [rng.randint(0, 3)], "model": model}
    prompts = []
    for user in ("ab", "cdef")[: rng.randint(1, 2)]:
        chat = [{"role": "user", "content": user}]
        prompts.append(
            list(encode(tokenizer, tokenizer.apply_chat_template(chat, tokenize=False, add_generation_prompt=True)))
        )
    inputs = padded(prompts, tokenizer.pad_token_id)
    beams = {"num_beams": rng.randint(2, 4), "max_new_tokens": rng.randint(1, 30), "num_return_sequences": 2}
    beams |= {"eos_token_id": d.eos, "pad_token_id": tokenizer.pad_token_id, "early_stopping": rng.random() < 0.5}
    reference = Prefixes(case)
    want = model.generate(**inputs, **beams, logits_processor=[reference])
    cap, ignores = case["most"][0], case["ignores"][0]
    kwargs = budget_forcing(model, tokenizer, format=fmt, max_thinking_tokens=cap, num_ignores=ignores, **beams)
    out = model.generate(**inputs, **kwargs)
    assert out.tolist() == want.tolist()
    processor = kwargs["logits_processor"][-1]
    with pytest.raises(RuntimeError, match="After beam search"):
        processor.reports()
    for row, report in zip(out.tolist(), processor.reports(out), strict=True):
        n = len(report.forced)
        if n == 0:  # no such beam: only one continuation was allowed
            assert set(row[inputs["input_ids"].shape[1] :]) == {tokenizer.pad_token_id}
            continue
        state = reference.known[tuple(row[: inputs["input_ids"].shape[1] + n - 1])]
        assert list(report.forced) == [*state["forced"], bool(state["queue"])]
        if row[inputs["input_ids"].shape[1] + n - 1] not in d.close or state["queue"]:
            assert (report.ends_ignored, report.ended) == (state["ignored"], state["ended"])
        assert report.thinking_tokens <= cap
