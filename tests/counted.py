"""What goes through the model."""

from __future__ import annotations

import functools

from transformers import Qwen2ForCausalLM


def tokens_fed(monkeypatch) -> list[int]:
    """How many tokens each call of the model gets from here on; grows with the calls."""
    counted: list[int] = []
    stock = Qwen2ForCausalLM.forward

    @functools.wraps(stock)
    def forward(self, *args, **kwargs):
        counted.append(kwargs["input_ids"].numel())
        return stock(self, *args, **kwargs)

    monkeypatch.setattr(Qwen2ForCausalLM, "forward", forward)
    return counted
