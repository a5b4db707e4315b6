"""Models that want to write a given text, prompts, and families of toys with their formats."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

import pytest
import torch
from transformers import StoppingCriteria
from transformers.modeling_outputs import CausalLMOutput

from s1_hf import ThinkingFormat
from s1_hf.forcing.vocabulary import Vocabulary, encode
from toys import FORMATS, ToyConfig, ToyModel, toy_model, toy_tokenizer

FAMILIES = pytest.mark.parametrize("family", list(FORMATS))


class Wanting(ToyModel):
    """A model that wants to write a text of its own behind each prompt, token by token, whatever it really wrote."""

    wants: dict[tuple[int, ...], Sequence[int]]

    def forward(self, input_ids, attention_mask=None, logits_to_keep: int = 0, **kwargs) -> CausalLMOutput:
        mask = torch.ones_like(input_ids) if attention_mask is None else attention_mask
        keep = logits_to_keep or input_ids.shape[1]
        logits = torch.zeros(len(input_ids), keep, self.config.vocab_size)
        for row, (ids, real) in enumerate(zip(input_ids.tolist(), mask.bool().tolist(), strict=True)):
            own = tuple(i for i, r in zip(ids, real, strict=True) if r)
            prompt = next(p for p in sorted(self.wants, key=len, reverse=True) if own[: len(p)] == p)
            want, written = self.wants[prompt], len(own) - len(prompt)
            for back in range(min(keep, written + 1)):
                logits[row, -1 - back, want[min(written - back, len(want) - 1)]] = 50.0
        return CausalLMOutput(logits=logits)


@functools.cache
def family_of(name: str) -> tuple[Any, ThinkingFormat]:
    tokenizer = toy_tokenizer(name)
    return tokenizer, ThinkingFormat.from_tokenizer(tokenizer, FORMATS[name])


def prompt_of(tokenizer: Any, user: str, own: str = "") -> str:
    if not tokenizer.chat_template:
        return user + own
    chat = [{"role": "user", "content": user}]
    return tokenizer.apply_chat_template(chat, tokenize=False, add_generation_prompt=True) + own


def wanting(tokenizer: Any, wants: dict[str, str | Sequence[int]]) -> Wanting:
    """From prompts, as texts, to what the model wants to write, as texts or ids; the last token over and over."""
    model = Wanting(ToyConfig(vocab_size=len(tokenizer))).eval()
    model.wants = {
        encode(tokenizer, prompt): encode(tokenizer, want) if isinstance(want, str) else want
        for prompt, want in wants.items()
    }
    return model


def opening(family: str, fmt: ThinkingFormat) -> str:
    """What a model has to write to open thinking where the template has not."""
    return "" if family in ("opened", "plain") else fmt.start_text


class Until(StoppingCriteria):
    """Stops a row of so many tokens."""

    def __init__(self, length: int) -> None:
        self.length = length

    def __call__(self, input_ids, scores, **kwargs):
        return torch.tensor([input_ids.shape[1] >= self.length] * len(input_ids))


def chat(*contents: str) -> list[dict[str, str]]:
    """User and assistant in turn."""
    return [{"role": ("user", "assistant")[i % 2], "content": content} for i, content in enumerate(contents)]


def babbler(
    tokenizer: Any,
    seed: int = 0,
    likely: dict[int, float] | None = None,
    ends: bool = True,
    fmt: ThinkingFormat | None = None,
    **config: Any,
):
    """A random model of a few words, which tries to end now and then."""
    fmt = fmt or ThinkingFormat.from_tokenizer(tokenizer)
    only = [*(encode(tokenizer, t)[0] for t in ("a", "b", "\n", "x", "Wait")), *(fmt.ends if ends else ())]
    model = toy_model(len(Vocabulary.of(tokenizer).texts), seed, likely, only)
    for name, value in config.items():
        setattr(model.config, name, value)
    return model


def length(tokenizer: Any, text: str) -> int:
    return len(encode(tokenizer, text))


def id_rows(tokenizer: Any, text: str) -> torch.Tensor:
    return torch.tensor([encode(tokenizer, text)])
