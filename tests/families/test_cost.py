"""What reading costs: a tokenizer's first use, and long prompts. Processor time, with room for a slow machine."""

from __future__ import annotations

import time

import pytest
from family_rows import ROWS
from transformers import AutoTokenizer

from s1_hf import ThinkingFormat
from s1_hf.forcing.automaton import Automaton
from s1_hf.forcing.prompts import read_prompt
from s1_hf.forcing.vocabulary import encode
from shared_data import SHARED, needs_shared

QWEN3 = next(row for row in ROWS if row.name == "qwen3")
HEADER = "<|im_start|>user\na<|im_end|>\n<|im_start|>assistant\n"


@needs_shared
def test_the_first_call_on_a_real_tokenizer_is_quick_and_the_next_costs_nothing():
    """0.7 seconds for Qwen3's 151,669 tokens on an idle machine, most of it for the vocabulary; then no time."""
    tokenizer = AutoTokenizer.from_pretrained(SHARED / "tokenizers/qwen3")
    began = time.process_time()
    ThinkingFormat.from_tokenizer(tokenizer)
    first = time.process_time()
    ThinkingFormat.from_tokenizer(tokenizer)
    assert (first - began < 2, time.process_time() - first < 0.05) == (True, True)


@pytest.mark.parametrize(
    "text",
    [
        "<|im_start|>user\n" + "<think>a</think>" * 60_000 + HEADER,
        HEADER * 12_000,
        HEADER + "<think>" + "</think " * 50_000,
        HEADER + "<think>a</think>" + "<tool_response>b</think></tool_response>" * 25_000,
        HEADER + "<think>a</think>" + "<tool_response>b</think>" * 40_000,
    ],
    ids=["tags", "turns", "thoughts", "results", "results without an end"],
)
def test_a_prompt_of_a_megabyte_is_read_in_linear_time(text):
    """A tenth of a second; what was quadratic took six."""
    tokenizer, fmt, d = QWEN3.setting()
    ids = encode(tokenizer, text)
    automaton = Automaton(tokenizer, fmt, eos=d.eos)
    began = time.process_time()
    read_prompt(automaton, ids)
    assert time.process_time() - began < 2.5
