"""Ignoring ends in one pass beside stopping, editing and prompting again: same tokens; seconds and forward tokens.

    python benchmarks/run.py --only ignores [--quick]

`one pass` is `generate` with this package. `prompt again` is budget forcing without it, as the s1 harness does it
(https://arxiv.org/abs/2501.19393): `generate` until every row has tried to end its thinking, strip the ends, append
"Wait", pad on the left, and `generate` again from the longer prompts, into a new KV cache. The last round is not
stopped: it runs on into the answer. Both decode greedily in float32, and have to give the same tokens row for row.

The first model is random, with attempts to end where [`stand_ins.end_is_due`] says; the second is the embedded one, if
it is there. Forward tokens are positions computed, padding and rows that are done included: in both ways a batch runs
until its last row is done, but `prompt again` waits so in every round.
"""

from __future__ import annotations

import random
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from transformers import LogitsProcessor, PreTrainedModel, PreTrainedTokenizerBase

from reporting import Row, table
from s1_hf import ThinkingFormat, budget_forcing, embedded
from s1_hf.embedded.problems import held_out_sample
from stand_ins import make_model, make_tokenizer

Rows = list[list[int]]


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """A model with its prompts, all of which have opened thinking."""

    name: str
    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase
    prompts: Rows
    max_new_tokens: int  # in all, enough for the most ignores


def one_pass(c: Comparison, ignores: int) -> Rows:
    """The generated ids of every row, with ends ignored on the way."""
    kwargs = budget_forcing(c.model, c.tokenizer, num_ignores=ignores, max_new_tokens=c.max_new_tokens, do_sample=False)
    return _generate(c, c.prompts, **kwargs)


def prompt_again(c: Comparison, ignores: int) -> Rows:
    """The same by stopping at every end, editing the text and prompting again."""
    fmt = ThinkingFormat.from_tokenizer(c.tokenizer)
    wait = c.tokenizer.encode("Wait", add_special_tokens=False)
    rows: Rows = [[] for _ in c.prompts]
    for round_ in range(ignores + 1):
        prompts = [prompt + row for prompt, row in zip(c.prompts, rows, strict=True)]
        options: dict[str, Any] = {"max_new_tokens": c.max_new_tokens, "do_sample": False}
        options["logits_processor"] = [Bans(fmt, begin=max(map(len, prompts)) if round_ else 0)]
        if round_ < ignores:
            options["eos_token_id"] = list(fmt.ends)
        new = _generate(c, prompts, **options)
        rows = [row + _edited(ids, fmt.ends, wait, round_ < ignores) for row, ids in zip(rows, new, strict=True)]
    return [row[: c.max_new_tokens] for row in rows]


def _edited(ids: list[int], ends: tuple[int, ...], wait: list[int], ignored: bool) -> list[int]:
    return ids[:-1] + wait if ignored and ids[-1] in ends else ids


class Bans(LogitsProcessor):
    """What one pass bans as well: an end right behind a Wait, and delimiters behind the closing one."""

    def __init__(self, fmt: ThinkingFormat, begin: int) -> None:
        self.ends, self.close = list(fmt.ends), fmt.close[0]
        self.delimiters = sorted({fmt.start[0], fmt.close[0]})
        self.begin = begin
        self.closed: torch.Tensor | None = None

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        closes = input_ids[:, -1] == self.close
        self.closed = closes if self.closed is None else self.closed | closes
        scores[:, self.delimiters] = scores[:, self.delimiters].masked_fill(self.closed[:, None], -torch.inf)
        if input_ids.shape[1] == self.begin:
            scores[:, self.ends] = -torch.inf
        return scores


def _generate(c: Comparison, prompts: Rows, **options: Any) -> Rows:
    """What `generate` adds to prompts of different lengths, without the padding behind it."""
    pad, width = c.tokenizer.pad_token_id, max(map(len, prompts))
    outputs = c.model.generate(
        input_ids=torch.tensor([[pad] * (width - len(ids)) + ids for ids in prompts]),
        attention_mask=torch.tensor([[0] * (width - len(ids)) + [1] * len(ids) for ids in prompts]),
        **options,
    )
    rows = outputs[:, width:].tolist()
    return [row[: next((i for i, token in enumerate(row) if token == pad), len(row))] for row in rows]


@contextmanager
def counted(model: PreTrainedModel) -> Iterator[dict[str, int]]:
    """Counts the positions that pass through `model`: all, and those of passes over more than one position."""
    count = {"forward_tokens": 0, "prefill_tokens": 0, "passes": 0}

    def add(_: Any, args: Any, kwargs: dict[str, Any]) -> None:
        ids = kwargs["input_ids"]
        count["passes"] += 1
        count["forward_tokens"] += ids.numel()
        count["prefill_tokens"] += ids.numel() * (ids.shape[1] > 1)

    handle = model.register_forward_pre_hook(add, with_kwargs=True)
    try:
        yield count
    finally:
        handle.remove()


def compare(c: Comparison, ignores: int, repeats: int) -> list[Row]:
    """One row for each way; the ways take turns."""
    ways: dict[str, Callable[[Comparison, int], Rows]] = {"one pass": one_pass, "prompt again": prompt_again}
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    counts, generated = {}, {}
    for _ in range(repeats):
        for name, way in ways.items():
            with counted(c.model) as counts[name]:
                begun = time.perf_counter()
                generated[name] = way(c, ignores)
                seconds[name].append(time.perf_counter() - begun)
    check_equal(*generated.values())
    return [
        {
            "model": c.name,
            "batch_size": len(c.prompts),
            "ignores": ignores,
            "way": name,
            "seconds": round(statistics.median(seconds[name]), 3),
            "all_seconds": [round(s, 3) for s in seconds[name]],
            **counts[name],
            "generated_tokens": sum(map(len, generated[name])),
        }
        for name in ways
    ]


def check_equal(ours: Rows, theirs: Rows) -> None:
    """Raise if any row differs."""
    for r, (a, b) in enumerate(zip(ours, theirs, strict=True)):
        if a != b:
            at = next((i for i, pair in enumerate(zip(a, b, strict=False)) if pair[0] != pair[1]), min(len(a), len(b)))
            raise AssertionError(
                f"Row {r} differs between one pass and prompting again, from generated token {at} on: "
                f"{a[at : at + 5]} and {b[at : at + 5]}. If the model's two best tokens are within rounding of each "
                "other there, neither is wrong."
            )


def random_model(quick: bool) -> Comparison:
    """Prompts of 200 to 300 tokens, an attempt to end every 120 tokens or so; `quick`: a tenth of it."""
    layers, rows, period = (1, 2, 12) if quick else (6, 16, 120)
    tokenizer = make_tokenizer(4096)
    model = make_model(tokenizer, layers=layers, period=period, seed=0)
    rng = random.Random(0)
    lengths = [rng.randint(period * 5 // 3, period * 5 // 2) for _ in range(rows)]
    start = tokenizer.convert_tokens_to_ids("<think>")
    prompts = [[*(rng.randrange(256) for _ in range(length - 1)), start] for length in lengths]
    return Comparison(
        name=f"random, {layers} layers, {model.num_parameters() / 1e6:.1f} M parameters",
        model=model,
        tokenizer=tokenizer,
        prompts=prompts,
        max_new_tokens=period * 10,
    )


def embedded_model(quick: bool) -> Comparison | None:
    """Held-out problems for the model that ships with the package, if this checkout has it."""
    if not embedded.MODEL_PATH.exists():
        return None
    model, tokenizer = embedded.load()
    start = tokenizer.encode(ThinkingFormat.from_tokenizer(tokenizer).start_text, add_special_tokens=False)
    chats = [[{"role": "user", "content": p.question}] for p in held_out_sample(2 if quick else 16, seed=0)]
    prompts = [tokenizer.apply_chat_template(chat, add_generation_prompt=True)["input_ids"] + start for chat in chats]
    return Comparison(
        name=f"embedded, {model.num_parameters() / 1e6:.1f} M parameters",
        model=model,
        tokenizer=tokenizer,
        prompts=prompts,
        max_new_tokens=200 if quick else 600,
    )


def run(quick: bool = False) -> tuple[list[Row], list[str]]:
    """All rows, and what has to be said about them."""
    rows: list[Row] = []
    notes = ["Both ways gave the same tokens in every row."]
    for comparison in (random_model(quick), embedded_model(quick)):
        if comparison is None:
            notes.append("On the embedded model: not run, this checkout does not have it.")
            continue
        for ignores in (0, 2) if quick else (0, 2, 4, 6):
            rows += compare(comparison, ignores, repeats=1 if quick else 3)
    return rows, notes


def tables(rows: list[Row]) -> list[str]:
    """Seconds, then forward tokens, of both ways side by side."""
    lines = []
    for ours, theirs in zip(rows[::2], rows[1::2], strict=True):
        line = {"model": ours["model"], "B": ours["batch_size"], "ignores": ours["ignores"]}
        line |= {"generated tokens": ours["generated_tokens"]}
        for key, unit in (("seconds", "s"), ("forward_tokens", "forward tokens"), ("passes", "passes")):
            line |= {f"{r['way']}, {unit}": r[key] for r in (ours, theirs)}
        line |= {"prefilled, one pass": ours["prefill_tokens"], "prefilled, prompt again": theirs["prefill_tokens"]}
        line |= {"times as fast": round(theirs["seconds"] / ours["seconds"], 2)}
        lines.append(line)
    return [table(lines)]
