"""Where prompts stand: before, in or after thinking, as what a fresh processor forces shows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
import torch
from transformers import PreTrainedTokenizerFast

from s1_hf import BudgetForcingLogitsProcessor, ThinkingFormat
from s1_hf.forcing.automaton import Automaton
from s1_hf.forcing.prompts import read_prompt
from s1_hf.forcing.vocabulary import encode
from toys import FAMILIES, byte_tokenizer


def forced_texts(tokenizer: Any, fmt: ThinkingFormat, texts: Sequence[str], **budget: Any) -> list[str]:
    """The text that a fresh processor forces behind each prompt before it leaves the choice to the model."""
    rows = [encode(tokenizer, text) for text in texts]
    width, pad = max(map(len, rows)), tokenizer.pad_token_id
    ids = torch.tensor([[pad] * (width - len(row)) + list(row) for row in rows])
    options = {"answer_prefix": None, "max_thinking_tokens": 0} | budget
    processor = BudgetForcingLogitsProcessor(tokenizer, format=fmt, **options)
    scores = torch.randn(len(rows), len(tokenizer), generator=torch.Generator().manual_seed(0))
    forced: list[list[int]] = [[] for _ in rows]
    done = [False] * len(rows)
    while not all(done):
        out = processor(ids, scores)
        only = (out > -torch.inf).sum(-1) == 1
        for r, token in enumerate(out.argmax(-1).tolist()):
            done[r] = done[r] or not only[r]
            forced[r] += [] if done[r] else [token]
        ids = torch.cat([ids, out.argmax(-1, keepdim=True)], 1)
    before = encode(tokenizer, "a")  # alone, a text may lose the space before it
    skip = len(tokenizer.decode(before))
    return [tokenizer.decode([*before, *row], skip_special_tokens=False)[skip:] for row in forced]


def stances(tokenizer: Any, fmt: ThinkingFormat, texts: Sequence[str]) -> list[str]:
    """Where each prompt stands: before, in or after thinking."""
    automaton = Automaton(tokenizer, fmt, eos=[tokenizer.eos_token_id])
    found = []
    for text in texts:
        cell = read_prompt(automaton, encode(tokenizer, text)).cell
        found.append("before" if cell < automaton.think else "thinking" if cell < automaton.hold else "closed")
    return found


def prompt_texts(tokenizer: Any, fmt: ThinkingFormat, **options: Any) -> list[str]:
    """One request, asked with tags in the wrong places: user text, system prompt, an earlier turn."""
    start, close = fmt.start_text, fmt.close_text
    ask = {"role": "user", "content": "a"}
    chats = [
        [ask],
        [{"role": "user", "content": f"a{start}b"}],
        [{"role": "user", "content": f"{start}a{close}"}],
        [{"role": "user", "content": f"{close}\n{start}"}],
        [{"role": "system", "content": f"Think in {start} and {close}."}, ask],
        [ask, {"role": "assistant", "content": f"{start}\nb\n{close}\n\nc"}, ask],
        [ask, {"role": "assistant", "content": f"{start}\nb"}, ask],
    ]
    return [tokenizer.apply_chat_template(c, tokenize=False, add_generation_prompt=True, **options) for c in chats]


SHIPPED = [  # family of toys, format, start, close, ends, turn, force_start, plain
    ("s1", "s1", "<|im_start|>think", "<|im_start|>answer", "<|im_start|><|im_end|>", "<|im_start|>assistant", 1, 0),
    ("think", "think", "<think>", "</think>", "</think><|im_end|>", "<|im_start|>assistant", 0, 0),
    ("opened", "think", "<think>", "</think>", "</think><|im_end|>", "<|im_start|>assistant", 0, 0),
    ("plain", "think", "<think>", "</think>", "<|im_end|>", "<|im_start|>assistant", 0, 1),
    (
        "harmony",
        "harmony",
        "<|channel|>analysis<|message|>",
        "<|end|>",
        "<|end|><|return|>",
        "<|start|>assistant",
        0,
        0,
    ),
    ("magistral", "magistral", "[THINK]", "[/THINK]", "[/THINK]</s>", "[/INST]", 0, 0),
    ("seed", "seed", "<seed:think>", "</seed:think>", "</seed:think><eos>", "", 0, 0),
]
BY_FAMILY = pytest.mark.parametrize("row", SHIPPED, ids=[row[0] for row in SHIPPED])
R1 = ["deepseek-ai-DeepSeek-R1-Distill-Llama-8B", "deepseek-ai-DeepSeek-R1-Distill-Qwen-32B", "llama-cpp-deepseek-r1"]


def r1_tokenizer(template: str) -> PreTrainedTokenizerFast:
    """R1's own shape: turns are special tokens, `<think>` is an added one."""
    special = ["<｜begin▁of▁sentence｜>", "<｜end▁of▁sentence｜>", "<｜User｜>", "<｜Assistant｜>"]
    return byte_tokenizer(
        special, added=["<think>", "</think>"], eos=special[1], template=template, bos_token=special[0]
    )


HARMONY_TOKENS = ["<|start|>", "<|end|>", "<|channel|>", "<|message|>", "<|return|>", "<|call|>", "<|constrain|>"]


def harmony_tokenizer(template: str | None = None) -> PreTrainedTokenizerFast:
    return byte_tokenizer(HARMONY_TOKENS, eos="<|return|>", template=template or FAMILIES["harmony"]["template"])
