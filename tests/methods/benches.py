"""Benches on models whose law is known, or that are tiny and random."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Iterator, Sequence
from typing import Any

import pytest
import torch
from transformers import PreTrainedTokenizerFast, Qwen2Config, Qwen2ForCausalLM

pytest.importorskip("math_verify")

from s1_hf.engines.engine import Finished, Step, SweptBatch
from s1_hf.engines.request import Request
from s1_hf.engines.transformers_engine import TransformersEngine
from s1_hf.forcing.budget import Budget
from s1_hf.forcing.formats import ThinkingFormat
from s1_hf.methods import Bench
from s1_hf.results.rows import Problem
from toys import ToyModel, toy_model, toy_tokenizer


def problems(count: int, task: str = "t") -> list[Problem]:
    return [Problem(str(i), f"What is {i}?", str(i), task) for i in range(count)]


@functools.cache
def random_model(family: str = "s1", seed: int = 2) -> tuple[Qwen2ForCausalLM, PreTrainedTokenizerFast]:
    """A tiny random transformer with a real KV cache, in float64, which likes to end."""
    tokenizer = toy_tokenizer(family)
    torch.manual_seed(seed)
    config = Qwen2Config(
        vocab_size=len(tokenizer) + 3, hidden_size=16, intermediate_size=16, num_hidden_layers=2, num_attention_heads=2,
        num_key_value_heads=1, initializer_range=1.0, eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id, bos_token_id=None, max_position_embeddings=512,
    )  # fmt: skip
    model = Qwen2ForCausalLM(config).double().eval()
    model.lm_head.weight.data[list(ThinkingFormat.from_tokenizer(tokenizer).ends)] *= (
        4  # at some places ends are likely
    )
    return model, tokenizer


def random_bench(count: int = 5, family: str = "s1", seed: int = 2, **options: Any) -> Bench:
    model, tokenizer = random_model(family, seed)
    defaults = {"problems": problems(count), "max_new_tokens": 24, "max_answer_tokens": 6, "temperature": 2.0}
    return Bench(model=model, tokenizer=tokenizer, **defaults | options)


class Recording(TransformersEngine):
    """Keeps what it was asked, run by run."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.asked: list[Sequence[Request]] = []
        self.settings: list[Sequence[Budget]] = []  # of each run, several for a sweep

    def run(self, requests: Sequence[Request], on_step: Step) -> Iterator[list[Finished]]:
        self.asked.append(requests)
        self.settings.append(list(dict.fromkeys(request.budget for request in requests)))
        return super().run(requests, on_step)

    def sweep(self, requests: Sequence[Request], settings: Sequence[Budget], on_step: Step) -> Iterator[SweptBatch]:
        self.asked.append(requests)
        self.settings.append(settings)
        return super().sweep(requests, settings, on_step)


def recording(bench: Bench) -> tuple[Bench, Recording]:
    """The same bench on an engine that keeps what it was asked."""
    engine = Recording(bench.model, bench.tokenizer, format=bench.format, batch_size=bench.batch_size)
    return dataclasses.replace(bench, model=None, engine=engine), engine


def memoryless_model(ends: float, stops: float) -> tuple[ToyModel, PreTrainedTokenizerFast]:
    """Whatever came before: `<|im_start|>` with probability `ends`, the end of sequence with `stops`, else a 7."""
    tokenizer = toy_tokenizer("s1")
    start, seven = tokenizer.encode("<|im_start|>")[0], tokenizer.encode("7")[0]
    model = toy_model(len(tokenizer))
    for table in (model.last, model.before, model.place):
        table.data.zero_()
    model.bias.data[:] = -torch.inf
    probabilities = {start: ends, tokenizer.eos_token_id: stops, seven: 1 - ends - stops}
    for token, probability in probabilities.items():
        model.bias.data[token] = torch.tensor(probability).log()
    return model, tokenizer
