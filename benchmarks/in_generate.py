"""A whole step of `generate` with a budget, beside the same step without: greedy, and sampled with and without a top-k.

    python benchmarks/run.py --only in_generate [--quick]

The embedded model, and the same with a vocabulary of 151,936, whose new entries are hardly ever drawn. Every row thinks
all the time, and writes as many tokens either way: plain `generate` is told ends that do not come. Both take turns, and
what is measured is the time of the thread, prefill and our arguments included.
"""

from __future__ import annotations

import copy
import statistics
import time
from typing import Any

import torch
from transformers import PreTrainedModel, PreTrainedTokenizerBase, Qwen2ForCausalLM

from reporting import Row, table
from s1_hf import BudgetWarning, budget_forcing, embedded
from s1_hf.embedded.problems import held_out_sample

BIG = 151_936
DECODING: dict[str, dict[str, Any]] = {
    "greedy": {"do_sample": False},
    "top-k 20, top-p 0.95": {"do_sample": True, "temperature": 0.6, "top_k": 20, "top_p": 0.95},
    "top-p 0.95": {"do_sample": True, "temperature": 0.6, "top_k": 0, "top_p": 0.95},
}
CASES = ((None, 1, 120), (None, 8, 120), (BIG, 8, 24))  # vocabulary, rows, tokens


def widened(model: PreTrainedModel, size: int) -> PreTrainedModel:
    """The same model with `size` entries in its vocabulary; the new ones have a score of 0."""
    config = copy.deepcopy(model.config)
    config.vocab_size, config.tie_word_embeddings = size, False
    state = dict(model.state_dict())
    for name in ("model.embed_tokens.weight", "lm_head.weight"):
        source = state.get(name, state["model.embed_tokens.weight"])
        state[name] = torch.cat([source, source.new_zeros(size - len(source), source.shape[1])])
    wide = Qwen2ForCausalLM(config)
    wide.load_state_dict(state)
    wide.generation_config = model.generation_config
    return wide.eval()


def batch_of(tokenizer: PreTrainedTokenizerBase, rows: int) -> Any:
    """Of the embedded model's problems, as one batch."""
    chats = [[{"role": "user", "content": problem.question}] for problem in held_out_sample(rows, seed=5)]
    tokenizer.padding_side = "left"
    template = {"add_generation_prompt": True, "return_tensors": "pt", "return_dict": True, "padding": True}
    return tokenizer.apply_chat_template(chats, **template)


def endless(tokenizer: PreTrainedTokenizerBase) -> dict[str, Any]:
    """What makes plain `generate` write on: ends that do not come, bytes of control characters."""
    never = sorted(set(range(20)) - set(tokenizer.all_special_ids))[:2]
    return {"eos_token_id": never, "pad_token_id": tokenizer.pad_token_id}


def measure(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, rows: int, tokens: int, decoding: str, rounds: int
) -> Row:
    """Milliseconds per step, medians of rounds."""
    inputs = batch_of(tokenizer, rows)
    spent: dict[str, list[float]] = {"plain": [], "budget": []}
    for attempt in range(rounds + 1):  # the first warms up
        for way, times in spent.items():
            torch.manual_seed(attempt)
            options = {**DECODING[decoding], "max_new_tokens": tokens}
            begun = time.thread_time()
            if way == "budget":
                options = budget_forcing(model, tokenizer, num_ignores=tokens, max_thinking_tokens=10**6, **options)
            else:
                options |= endless(tokenizer)
            ids: torch.Tensor = model.generate(**inputs, **options)  # type: ignore[operator]
            times.append((time.thread_time() - begun) * 1e3 / (ids.shape[1] - inputs["input_ids"].shape[1]))
    medians = {way: statistics.median(times[1:]) for way, times in spent.items()}
    return {"decoding": decoding, **medians, "budget / plain": medians["budget"] / medians["plain"]}


def run(quick: bool = False) -> tuple[list[Row], list[str]]:
    """All rows, and no notes."""
    import warnings

    warnings.simplefilter("ignore", BudgetWarning)  # that such a cap leaves no room for an answer
    model, tokenizer = embedded.load()
    model = model.float().eval()
    found = []
    for size, rows, tokens in CASES[: 1 if quick else None]:
        used = model if size is None else widened(model, size)
        for decoding in DECODING:
            where = {"vocabulary": size or model.config.vocab_size, "B": rows}
            found.append(where | measure(used, tokenizer, rows, 12 if quick else tokens, decoding, 1 if quick else 5))
    return found, []


def tables(rows: list[Row]) -> list[str]:
    """As Markdown."""
    return ["Milliseconds per step, medians.", table(rows)]
