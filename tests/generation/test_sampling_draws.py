"""Tokens are drawn as `generate`'s warpers have it, whether few of them are looked at or all."""

from __future__ import annotations

import itertools

import pytest
import torch
from transformers import GenerationConfig

from s1_hf.generation import sampling
from s1_hf.generation.sampling import FIRST_LOOK, SPARE, Sampling

NUMBERS = torch.linspace(0, 1, 301, dtype=torch.float64)[:, None]
LAWS = list(itertools.product((0, 3, 20), (1.0, 0.9, 0.05), (None, 0.1, 1.0)))


def sampling_of(top_k: int = 0, top_p: float = 1.0, min_p: float | None = None, temperature: float = 0.7) -> Sampling:
    return Sampling(GenerationConfig(do_sample=True, temperature=temperature, top_k=top_k, top_p=top_p, min_p=min_p))


def both_ways(law: Sampling, scores: torch.Tensor, monkeypatch: pytest.MonkeyPatch) -> list[torch.Tensor]:
    """What is drawn from the scores of one row, `(vocab_size,)`, by all of `NUMBERS`: as on CPUs, and as elsewhere."""
    rows, ids = scores.expand(len(NUMBERS), -1), torch.zeros(len(NUMBERS), 1, dtype=torch.long)
    quick = law.draw(ids, rows, NUMBERS)
    with monkeypatch.context() as patch:
        patch.setattr(Sampling, "_among_likeliest", lambda *_: None)
        return [quick, law.draw(ids, rows, NUMBERS)]


@pytest.mark.parametrize("law", LAWS, ids=str)
@pytest.mark.parametrize("size", [7, 300, 1500])
def test_a_look_at_the_likeliest_tokens_draws_what_all_of_them_would(law, size, monkeypatch):
    """Token for token, for all numbers: flat scores and steep ones, and some tokens that are impossible."""
    for steepness in (1.0, 4.0, 12.0):
        scores = torch.randn(size, generator=torch.Generator().manual_seed(size)) * steepness
        scores[::3] = -torch.inf
        quick, whole = both_ways(sampling_of(*law), scores, monkeypatch)
        assert torch.equal(quick, whole)


@pytest.mark.parametrize("ties", [2, SPARE, SPARE + 1, 200])
def test_everything_as_likely_as_the_last_of_a_top_k_is_possible(ties, monkeypatch):
    """As in `generate`: a top-k of 3 keeps more where the third has its like, however many these are."""
    scores = torch.linspace(-9, -8, 1000)
    scores[[10, 990]] = torch.tensor([3.0, 2.0])
    scores[20 : 20 + ties] = 1.0
    quick, whole = both_ways(sampling_of(top_k=3), scores, monkeypatch)
    assert torch.equal(quick, whole)
    assert len(set(quick.tolist()) - {10, 990}) > min(ties, 12) // 2


@pytest.mark.parametrize("ties", [3, 50, FIRST_LOOK + 50])
def test_of_equally_likely_tokens_a_top_p_keeps_as_many_as_generate(ties, monkeypatch):
    """Which of them, the order of the sort decides, there as here."""
    scores = torch.full((1200,), -30.0)
    scores[100 : 100 + ties] = 2.0
    drawn = both_ways(sampling_of(top_p=0.61, temperature=1.0), scores, monkeypatch)
    quick, whole = (len(set(tokens.tolist())) for tokens in drawn)
    assert quick == whole < ties


def test_few_tokens_are_sorted_where_they_hold_the_top_p(monkeypatch):
    """And the vocabulary only where they do not."""
    sorts: list[int] = []
    inner = torch.Tensor.sort
    monkeypatch.setattr(torch.Tensor, "sort", lambda self, *a, **k: sorts.append(self.shape[1]) or inner(self, *a, **k))
    whole: list[int] = []
    inner_warper = sampling.TopPLogitsWarper.__call__
    monkeypatch.setattr(
        sampling.TopPLogitsWarper, "__call__", lambda self, *a: whole.append(1) or inner_warper(self, *a)
    )
    ids, number = torch.zeros(1, 1, dtype=torch.long), torch.tensor([[0.5]])
    steep = torch.linspace(0, 4000, 2000)[None]
    for scores, looks in ((steep, 0), (torch.zeros(1, 2000), 1)):
        whole.clear()
        sampling_of(top_p=0.9).draw(ids, scores, number)
        assert len(whole) == looks
    assert set(sorts) <= {FIRST_LOOK}
