"""Draws follow vLLM's law: temperature, then min-p, then top-k, then top-p, whichever way they are computed."""

from __future__ import annotations

import itertools

import pytest
import torch
from transformers import GenerationConfig

from s1_hf.forcing.budget import Budget
from s1_hf.forcing.draws import BLOCK, SeededDraws
from s1_hf.generation.sampling import Sampling
from s1_hf.vllm import drawing
from s1_hf.vllm.drawing import Warping, draw
from s1_hf.vllm.settings import RequestSettings

CPU = torch.device("cpu")


def asking(**options: float) -> RequestSettings:
    return RequestSettings(budget=Budget(), **{"temperature": 1.0, **options})


def law(scores: torch.Tensor, asked: RequestSettings) -> torch.Tensor:
    """What vLLM samples from, step by step as its sampler does it, in float64."""
    scores = scores.double() / asked.temperature
    probabilities = scores.softmax(-1)
    scores = scores.masked_fill(probabilities < asked.min_p * probabilities.max(), -torch.inf)
    if asked.top_k:
        scores = scores.masked_fill(scores < scores.topk(asked.top_k).values[-1], -torch.inf)
    ordered, ids = scores.sort()
    out = ordered.softmax(-1).cumsum(-1) <= 1 - asked.top_p
    out[-1] = False
    return scores.masked_fill(torch.zeros_like(out).scatter(0, ids, out), -torch.inf).softmax(-1)


ASKED = [
    asking(temperature=t, top_k=k, top_p=p, min_p=m)
    for t, k, p, m in itertools.product((0.7, 1.5), (0, 5, 40), (1.0, 0.95, 0.3), (0.0, 0.05))
]


@pytest.mark.parametrize("asked", ASKED, ids=lambda one: f"{one.temperature} {one.top_k} {one.top_p} {one.min_p}")
def test_draws_follow_vllms_law(asked):
    """Numbers that are spread evenly give each token as many draws as its probability says, to within one."""
    scores = torch.randn(2000, generator=torch.Generator().manual_seed(1)) * 2.5
    count = 5_000
    uniform = ((torch.arange(count).double() + 0.5) / count)[:, None]
    drawn = draw(scores.expand(count, -1), Warping.of([asked] * count, CPU), uniform)
    seen = torch.bincount(drawn, minlength=len(scores)).double()
    wanted = law(scores, asked) * count
    assert bool((seen[wanted == 0] == 0).all())
    assert float((seen - wanted).abs().max()) < 1.001


def test_rows_are_sampled_each_in_its_own_way():
    """In one batch: mixed temperatures, ks and ps, rows with and without."""
    scores = torch.randn(len(ASKED), 1500, generator=torch.Generator().manual_seed(3)) * 2
    uniform = torch.rand(len(ASKED), 1, dtype=torch.float64, generator=torch.Generator().manual_seed(4))
    together = draw(scores, Warping.of(ASKED, CPU), uniform)
    alone = [draw(scores[r : r + 1], Warping.of([one], CPU), uniform[r : r + 1])[0] for r, one in enumerate(ASKED)]
    assert together.tolist() == [int(token) for token in alone]


@pytest.mark.parametrize("size", [7, BLOCK - 1, BLOCK, BLOCK + 1, 3 * BLOCK + 5])
def test_a_draw_is_the_one_that_transformers_would_make(size):
    """The same numbers lead to the same tokens: the draw is made in the order of the ids."""
    scores = torch.randn(200, size, generator=torch.Generator().manual_seed(5))
    uniform = SeededDraws(range(200)).numbers(200, 3, CPU)
    config = GenerationConfig(do_sample=True, temperature=0.8, top_k=0)
    expected = Sampling(config).draw(torch.zeros(200, 1, dtype=torch.long), scores, uniform)
    for top_k in (0, size):
        drawn = draw(scores, Warping.of([asking(temperature=0.8, top_k=top_k)] * 200, CPU), uniform)
        assert int((drawn != expected).sum()) == 0


@pytest.mark.parametrize("top_k", [0, 3])
@pytest.mark.parametrize("number", [0.0, 1 - 2**-53, 1.0])
def test_a_token_without_probability_is_never_drawn(number, top_k):
    """At either end, and where rounding leaves the number behind the last sum."""
    scores = torch.full((1, 1200), -torch.inf)
    scores[0, [3, 700, 1190]] = torch.tensor([0.1, 0.2, 0.3])
    uniform = torch.tensor([[number]], dtype=torch.float64)
    token = int(draw(scores, Warping.of([asking(top_k=top_k)], CPU), uniform))
    assert token == (3 if number == 0 else 1190)


def test_a_top_p_that_needs_many_tokens_sorts_them_all():
    """Even scores: the most likely few do not hold what is to be left."""
    scores = torch.zeros(4, 8 * drawing.FIRST_LOOK)
    uniform = torch.tensor([[0.0], [0.3], [0.6], [0.999]], dtype=torch.float64)
    drawn = draw(scores, Warping.of([asking(top_p=0.9)] * 4, CPU), uniform)
    assert len(set(drawn.tolist())) == 4 and scores.eq(0).all()
