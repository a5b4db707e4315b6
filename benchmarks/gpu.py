"""On a GPU: a step of `generate` without a budget, with one, and with one that is replayed as a CUDA graph; and
answers as different in length as reasoning is, in plain batches and by our engine.

    python benchmarks/run.py --only gpu [--quick]

Random models of the shapes of Qwen2.5-0.5B and -7B in bfloat16, with the embedded model's tokenizer; the whole of their
vocabularies of 151,936 is drawn from. Every row thinks all the time, and writes as many tokens in every way. The ways
take turns, and what is measured is the time until the GPU is done, prefill and our arguments included. Without a GPU
nothing but the quick form runs, on the CPU.
"""

from __future__ import annotations

import statistics
import sys
import time
import warnings
from collections.abc import Callable
from typing import Any

import torch
from transformers import GenerationConfig, Qwen2Config, Qwen2ForCausalLM

from evaluation import HALF_BILLION
from in_generate import BIG, DECODING, batch_of, endless
from reporting import Row, table
from s1_hf import Budget, BudgetWarning, budget_forcing, embedded
from s1_hf.embedded.problems import held_out_sample
from s1_hf.engines.request import Request
from s1_hf.engines.transformers_engine import TransformersEngine
from s1_hf.generation.chats import left_padded, prompt_ids

SEVEN_BILLION = {  # the shape of Qwen2.5-7B
    "hidden_size": 3584,
    "intermediate_size": 18944,
    "num_hidden_layers": 28,
    "num_attention_heads": 28,
    "num_key_value_heads": 4,
}
TINY = {
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "num_key_value_heads": 1,
}
WAYS = ("plain", "budget", "replayed")
DEVICE = "cuda" if torch.cuda.is_available() else "cpu"


def random_model(shape: dict[str, Any], vocabulary: int, dtype: torch.dtype) -> Qwen2ForCausalLM:
    """With weights drawn where they are."""
    torch.manual_seed(0)
    with torch.device(DEVICE):
        model = Qwen2ForCausalLM(Qwen2Config(**shape, vocab_size=vocabulary, max_position_embeddings=2**16))
    return model.to(dtype).eval()


def steps(model: Any, tokenizer: Any, rows: int, tokens: int, decoding: str, rounds: int) -> dict[str, float]:
    """Milliseconds per step of each way, medians of rounds."""
    inputs = batch_of(tokenizer, rows).to(DEVICE)
    spent: dict[str, list[float]] = {way: [] for way in WAYS}
    for attempt in range(rounds + 1):  # the first warms up
        for way, times in spent.items():
            torch.manual_seed(attempt)
            options = {**DECODING[decoding], "max_new_tokens": tokens, "min_new_tokens": tokens}
            begun = now()
            if way == "plain":
                options |= endless(tokenizer)
            else:
                budget = Budget(max_thinking_tokens=10**6, num_ignores=tokens)
                replayed = way == "replayed" and DEVICE == "cuda"
                options = budget_forcing(model, tokenizer, budget=budget, cuda_graph=replayed, **options)
            model.generate(**inputs, **options)
            times.append((now() - begun) * 1e3 / tokens)
    return {way: statistics.median(times[1:]) for way, times in spent.items()}


def now() -> float:
    """Seconds, when the GPU has done what it was told."""
    if DEVICE == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter()


def long_answers(shape: dict[str, Any], prompts: int, batch_size: int, mean: int, most: int) -> list[Row]:
    """Tokens per second where the lengths of answers are geometric; float32, so that both ways write the same."""
    _, tokenizer = embedded.load()
    model: Any = random_model(shape, len(tokenizer), torch.float32)
    model.generation_config = GenerationConfig(eos_token_id=tokenizer.eos_token_id, pad_token_id=tokenizer.pad_token_id)
    engine = TransformersEngine(model, tokenizer, batch_size=batch_size)
    ids = [prompt_ids(tokenizer, engine.format, problem.question, {}) for problem in held_out_sample(prompts, seed=0)]
    torch.manual_seed(1)
    drawn = torch.distributions.Geometric(torch.tensor(1 / mean)).sample((prompts,)).long().clamp(8, most - 1).tolist()
    length_of = {tuple(row): length for row, length in zip(ids, drawn, strict=True)}

    def plain() -> dict[int, int]:
        written = {}
        for first in range(0, prompts, batch_size):
            some = ids[first : first + batch_size]
            inputs = {name: tensor.to(DEVICE) for name, tensor in left_padded(some, tokenizer.pad_token_id).items()}
            ends = EndsAt([length_of[tuple(row)] for row in some], inputs["input_ids"].shape[1], tokenizer.eos_token_id)
            out = model.generate(**inputs, max_new_tokens=most, do_sample=False, logits_processor=[ends])
            for r, row in enumerate(out[:, inputs["input_ids"].shape[1] :].tolist()):
                written[first + r] = row.index(tokenizer.eos_token_id) + 1
        return written

    def ours() -> dict[int, int]:
        budgets = [Budget(max_thinking_tokens=length, min_thinking_tokens=length) for length in drawn]
        requests = [
            Request(prompt=tuple(row), max_new_tokens=most, max_answer_tokens=4, problem=str(i), budget=budget)
            for i, (row, budget) in enumerate(zip(ids, budgets, strict=True))
        ]
        written = {}
        for batch in engine.run(requests, lambda rows: None):
            for done in batch:
                written[int(done.request.problem)] = len(done.completion.token_ids)
        return written

    found = []
    runs: dict[str, Callable[[], dict[int, int]]] = {"static batches": plain, "s1-hf": ours}
    for way, run in runs.items():
        if DEVICE == "cuda":
            torch.cuda.reset_peak_memory_stats()
        begun = now()
        tokens = sum(run().values())
        seconds = now() - begun
        peak = torch.cuda.max_memory_allocated() / 2**20 if DEVICE == "cuda" else 0.0
        print(way, tokens, seconds, file=sys.stderr, flush=True)
        found.append({"way": way, "tokens": tokens, "seconds": seconds, "tokens/s": tokens / seconds, "peak, MB": peak})
    return found


class EndsAt:
    """Ends each row at a length of its own."""

    def __init__(self, lengths: list[int], width: int, end: int) -> None:
        self._lengths = torch.tensor(lengths, device=DEVICE)
        self._width, self._end = width, end

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        due = self._lengths <= input_ids.shape[1] - self._width
        scores[:, self._end] = torch.where(due, 1e9, -1e9)
        return scores


def run(quick: bool = False) -> tuple[list[Row], list[str]]:
    """All rows; none without a GPU."""
    if DEVICE == "cpu" and not quick:
        return [], ["Not run: there is no GPU here."]
    warnings.simplefilter("ignore", BudgetWarning)  # that such a cap leaves no room for an answer
    toy, tokenizer = embedded.load()
    makers: dict[str, Callable[[], Any]] = {
        "embedded": lambda: toy.to(DEVICE),
        "random, 0.5 B": lambda: random_model(HALF_BILLION, BIG, torch.bfloat16),
        "random, 7 B": lambda: random_model(SEVEN_BILLION, BIG, torch.bfloat16),
    }
    found: list[Row] = []
    for name in ["embedded"] if quick else makers:
        model = makers[name]()
        for rows in (1,) if quick or name == "embedded" else (1, 32):
            for decoding in DECODING:
                taken = steps(model, tokenizer, rows, 8 if quick else 32, decoding, 1 if quick else 3)
                found.append({"model": name, "B": rows, "decoding": decoding, **taken})
                print(found[-1], file=sys.stderr, flush=True)
        del model
    sizes = (TINY, 6, 2, 20, 60) if quick else (HALF_BILLION, 48, 16, 120, 500)
    return found + long_answers(*sizes), []


def tables(rows: list[Row]) -> list[str]:
    """As Markdown."""
    if not rows:
        return []
    measured = [row for row in rows if "decoding" in row]
    for row in measured:
        row["budget - plain"], row["replayed - plain"] = row["budget"] - row["plain"], row["replayed"] - row["plain"]
    return ["Milliseconds per step, medians.", table(measured), table([row for row in rows if "way" in row])]
