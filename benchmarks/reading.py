"""What it costs to read a prompt, and an output, of any length: ours beside the tokenizer's own time.

A prompt is encoded and read (`prompt_ids`, `start_of`), alone and as thinking that the assistant has begun; an output
is taken apart (`split_output`) and its answer found. Every text is one unit, repeated: prose, and what is hard to read.
The tokenizers lie outside the repository, in ../shared/data; without them the embedded model's is used.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from transformers import AutoTokenizer

from reporting import HERE, Row, table
from s1_hf import Budget, embedded
from s1_hf.forcing.automaton import Automaton
from s1_hf.forcing.formats import resolve_format
from s1_hf.forcing.prompts import split_output, start_of
from s1_hf.generation.chats import prompt_ids
from s1_hf.grading import extract_answer, split_thinking

TOKENIZERS = HERE.parents[1] / "shared" / "data" / "tokenizers"
UNITS = {
    "prose": "The lamp flashes at second two and then every seven seconds. ",
    "opening delimiters": "<think>",
    "closing delimiters": "</think>",
    "less-than signs": "<",
    "begun special tokens": "<|im_start",
    "turn headers": "<|im_start|>assistant\n",
    "spaces": " ",
    "line breaks": "\n",
    "emoji": "\N{GRINNING FACE}",
    "Waits": "Wait",
    "one word": "abcdefghij",
    "begun boxes": "\\boxed{",
    "answer lines": "Final Answer:",
}


def run(quick: bool) -> tuple[list[Row], list[str]]:
    """One row for each tokenizer, text and length; seconds."""
    sizes = (2**10, 2**12) if quick else (2**16, 2**18, 2**20)
    found = {"qwen3": None, "qwen2.5-instruct": "s1"} if TOKENIZERS.is_dir() and not quick else {"embedded": None}
    rows: list[Row] = []
    for name, form in found.items():
        tokenizer = embedded.load()[1] if name == "embedded" else AutoTokenizer.from_pretrained(TOKENIZERS / name)
        fmt = resolve_format(tokenizer, form)
        automaton = Automaton.of(tokenizer, fmt, Budget(num_ignores=1))
        start_of(automaton, [0])  # builds its tables
        for text, unit in UNITS.items():
            for size in sizes:
                rows.append(
                    {"tokenizer": name, "text": text, "characters": size}
                    | _seconds(tokenizer, automaton, (unit * size)[:size])
                )
    return rows, [] if "qwen3" in found or quick else ["Only the embedded tokenizer: ../shared/data is not there."]


def tables(rows: list[Row]) -> list[str]:
    return [table(rows)]


def _seconds(tokenizer: Any, automaton: Automaton, text: str) -> Row:
    fmt = automaton.format
    encode, ids = _timed(lambda: tokenizer.encode(text, add_special_tokens=False))
    prompt, whole = _timed(lambda: prompt_ids(tokenizer, fmt, text, {}))
    read, _ = _timed(lambda: start_of(automaton, whole))
    begun = [*prompt_ids(tokenizer, fmt, "q", {}), *fmt.start, *ids]
    read_begun, _ = _timed(lambda: start_of(automaton, begun))
    split, _ = _timed(lambda: split_output(automaton, whole[:10], ids))
    answer, _ = _timed(lambda: extract_answer(split_thinking(text)[1] or text))
    return {
        "tokens": len(ids),
        "tokenizer alone": encode,
        "prompt_ids": prompt,
        "read": read,
        "read as begun thinking": read_begun,
        "split an output": split,
        "find its answer": answer,
    }


def _timed(call: Callable[[], Any]) -> tuple[float, Any]:
    begun = time.perf_counter()
    result = call()
    return round(time.perf_counter() - begun, 3), result
