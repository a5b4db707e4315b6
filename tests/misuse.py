"""The public calls of generation, on a model that must not be run: an error has to come before."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from s1_hf import Budget, BudgetForcingLogitsProcessor, budget_forcing, generate
from s1_hf.forcing.vocabulary import encode
from toys import ToyConfig, Untouched, toy_model, toy_tokenizer

S1 = toy_tokenizer("s1")
PLAIN = toy_tokenizer("plain")
MODEL = Untouched(ToyConfig(vocab_size=len(S1) + 64)).eval()
PROMPT = encode(S1, S1.apply_chat_template([{"role": "user", "content": "a"}], tokenize=False, add_generation_prompt=1))
IDS = torch.tensor([PROMPT])


class Series:
    """As pandas' is: no sequence, and its elements are found by labels."""

    def __init__(self, values: list[Any]) -> None:
        self.values = values

    def __repr__(self):
        return f"Series({self.values})"

    def __iter__(self):
        return iter(self.values)

    def __getitem__(self, label):
        raise KeyError(label)

    def tolist(self):
        return self.values


def processor(**options: Any) -> BudgetForcingLogitsProcessor:
    return BudgetForcingLogitsProcessor(S1, **options)


def forcing(**options: Any) -> dict[str, Any]:
    return budget_forcing(MODEL, S1, **options)


def generating(**options: Any) -> Any:
    return generate(MODEL, S1, "a", **options)


EVERYWHERE = pytest.mark.parametrize("build", [Budget, processor, forcing, generating])


def generated(p: BudgetForcingLogitsProcessor, seed: int = 0, **options: Any) -> torch.Tensor:
    only = [*(encode(S1, t)[0] for t in ("a", "b", "\n")), S1.eos_token_id]
    model = toy_model(len(S1), seed, only=only)
    ends = {"eos_token_id": S1.eos_token_id, "pad_token_id": S1.pad_token_id}
    return model.generate(IDS, logits_processor=[p], **({"max_new_tokens": 25} | ends | options))
