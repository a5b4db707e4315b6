"""Random models whose scores have a bias in the weights of an architecture that has none."""

from __future__ import annotations

import pytest
import torch

from s1_hf.conformance.cases import setting
from s1_hf.conformance.models import LAW_WORDS, biases, random_transformer
from s1_hf.forcing.vocabulary import encode


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_biased_transformer_writes_few_words(dtype):
    """Every other token is so unlikely that a law over all outcomes can be enumerated."""
    tokenizer = setting("opened")[0]
    bias = biases("opened", LAW_WORDS, ends=0.5)
    model = random_transformer("opened", 3, bias).to(dtype)
    ids = torch.tensor([list(encode(tokenizer, "a Wait\nb</think>a\n"))])
    likely = model(ids).logits[0].float().softmax(-1)
    assert float(likely[:, bias < -1].sum(-1).max()) < 1e-12


def test_scores_differ_from_place_to_place_and_from_seed_to_seed():
    bias = biases("s1")
    ids = torch.tensor([[64, 65, 64]])
    one, other = (random_transformer("s1", seed, bias)(ids).logits[0] for seed in (1, 2))
    assert not torch.allclose(one[0], one[2], atol=0.1) and not torch.allclose(one, other, atol=0.1)
