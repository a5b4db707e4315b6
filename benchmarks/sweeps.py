"""A whole grid of budgets in one pass beside one run a setting: same tokens; forward tokens and seconds.

    python benchmarks/run.py --only sweeps [--quick]

Seven caps and no cap, each with 0, 1, 2, 4 and 6 ignores: 40 settings. `one pass` is `s1_hf.sweep`; `separate runs` is
`s1_hf.generate` once a setting, which is what there was before, and what every other implementation has to do (those
that can ignore ends prompt again on top of it, see `ignores`). Greedy, float32; all rows have to be equal token for
token. The first model is the embedded one; the second has the shape of Qwen2.5-0.5B, random weights, and attempts to
end where [`stand_ins.end_is_due`] says.

Tokens that a setting needs are counted without padding and without rows that are done; `positions computed` is what
passed through the model, these included. Memory is the most bytes of tensors alive at once beyond the weights, in the
pass and in a run of the largest setting alone, neither of which is timed; the allocator's rounding is not in it.
"""

from __future__ import annotations

import random
import time
from typing import Any

from ignores import counted
from live_bytes import LiveBytes
from reporting import Row, table
from s1_hf import embedded, generate, sweep
from s1_hf.embedded.problems import held_out_sample
from stand_ins import make_model, make_tokenizer


def compare(name: str, model: Any, tokenizer: Any, prompts: list[Any], grid: Any, options: Any) -> Row:
    with counted(model) as ours:
        begun = time.perf_counter()
        swept = sweep(model, tokenizer, prompts, **grid, **options)
        seconds = time.perf_counter() - begun
    separate, each, rows = 0.0, [], 0
    with counted(model) as theirs:
        for setting, completions in zip(swept.settings, swept.completions, strict=True):
            budget = {"max_thinking_tokens": setting.max_thinking_tokens, "num_ignores": setting.num_ignores}
            before, begun = theirs["forward_tokens"], time.perf_counter()
            alone = generate(model, tokenizer, prompts, **budget, **options)
            separate += time.perf_counter() - begun
            each.append(theirs["forward_tokens"] - before)
            rows += len(alone)
            if list(completions) != alone:
                raise AssertionError(f"{name}: {setting.name} differs between one pass and a run of its own.")
    cost = swept.cost
    largest = {name: max(values, key=lambda value: 10**9 if value is None else value) for name, values in grid.items()}
    weights = sum(parameter.untyped_storage().nbytes() for parameter in model.parameters())
    with LiveBytes() as ours_alive:
        sweep(model, tokenizer, prompts, **grid, **options)
    with LiveBytes() as plain_alive:
        generate(model, tokenizer, prompts, **largest, **options)
    return {
        "model": name,
        "batch_size": len(prompts),
        "settings": len(swept.settings),
        "rows": rows,
        "trace_tokens": cost.trace_tokens,
        "answer_tokens": cost.answer_tokens,
        "separate_tokens": cost.separate_tokens,
        "tokens_saved": round(cost.saved, 2),
        "positions": ours["forward_tokens"],
        "longest_run_positions": max(each),
        "separate_positions": theirs["forward_tokens"],
        "seconds": round(seconds, 2),
        "separate_seconds": round(separate, 2),
        "megabytes": round((ours_alive.peak - weights) / 1e6, 2),
        "longest_run_megabytes": round((plain_alive.peak - weights) / 1e6, 2),
    }


def run(quick: bool = False) -> tuple[list[Row], list[str]]:
    """A row a model."""
    model, tokenizer = embedded.load()
    questions = [p.question for p in held_out_sample(2 if quick else 32, seed=0)]
    options = {"max_new_tokens": 60 if quick else 500, "max_answer_tokens": 16}
    grid = _grid([16, 24, 32, 48, 64, 96, 128], quick)
    rows = [compare(f"embedded, {_size(model)}", model, tokenizer, questions, grid, options)]
    grid = _grid([4, 8, 12, 16, 24, 32, 48], quick)
    rows.append(compare(*_random(quick), grid, {"max_new_tokens": 40 if quick else 100}))
    return rows, [f"All {sum(row['rows'] for row in rows):,} rows are equal token for token in both ways."]


def _grid(caps: list[int], quick: bool) -> dict[str, list[Any]]:
    ignores = [0, 2] if quick else [0, 1, 2, 4, 6]
    return {"max_thinking_tokens": [*(caps[::3] if quick else caps), None], "num_ignores": ignores}


def _random(quick: bool) -> tuple[str, Any, Any, list[Any]]:
    tokenizer = make_tokenizer(600 if quick else 151_936)
    shape = {} if quick else {"hidden_size": 896, "intermediate_size": 4864, "num_attention_heads": 14}
    more = {"num_key_value_heads": 2} if shape else {}
    model = make_model(tokenizer, layers=1 if quick else 24, period=8, seed=0, **shape, **more)
    rng = random.Random(0)
    prompts = ["".join(rng.choices("abcdefgh ", k=rng.randint(60, 90))) + "<think>" for _ in range(2)]
    return f"random, {_size(model)}", model, tokenizer, prompts


def _size(model: Any) -> str:
    return f"{model.num_parameters() / 1e6:,.1f} M parameters"


def tables(rows: list[Row]) -> list[str]:
    """Tokens, then positions and seconds, then memory, of both ways."""
    tokens = [
        {
            "model": r["model"],
            "B": r["batch_size"],
            "settings": r["settings"],
            "longest run, tokens": r["trace_tokens"],
            "branched off": r["answer_tokens"],
            "separate runs": r["separate_tokens"],
            "times as many": r["tokens_saved"],
        }
        for r in rows
    ]
    costs = [
        {
            "model": r["model"],
            "positions computed": r["positions"],
            "by the longest run alone": r["longest_run_positions"],
            "by separate runs": r["separate_positions"],
            "times as many": round(r["separate_positions"] / r["positions"], 2),
            "one pass, s": r["seconds"],
            "separate runs, s": r["separate_seconds"],
            "times as fast": round(r["separate_seconds"] / r["seconds"], 2),
        }
        for r in rows
    ]
    memory = [
        {
            "model": r["model"],
            "memory beyond weights, one pass, MB": r["megabytes"],
            "longest run alone, MB": r["longest_run_megabytes"],
            "times as much": round(r["megabytes"] / r["longest_run_megabytes"], 2),
        }
        for r in rows
    ]
    return [table(tokens), table(costs), table(memory)]
