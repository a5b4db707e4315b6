"""Sampling: the right law, and draws that belong to a sample."""

from __future__ import annotations

import pytest
import torch
from scipy.stats import chisquare

from lamp_requests import lamp_engine, lamp_requests, run_all
from s1_hf import budget_forcing
from s1_hf.engines.plain_config import plain_config
from s1_hf.forcing.draws import SeededDraws
from toys import toy_model, toy_tokenizer

ROWS = 4000


def draw_first(budget: dict, generation: dict) -> tuple[list[int], torch.Tensor, list[int]]:
    """The first tokens of `ROWS` samples behind an opened thinking, their ids' scores, and those ids, ends first."""
    tokenizer = toy_tokenizer("think")
    ends = tokenizer.convert_tokens_to_ids(["</think>", "<|im_end|>"])
    ids = [*ends, *tokenizer.convert_tokens_to_ids(["a", "b", "c", "d"])]
    model = toy_model(len(tokenizer), only=ids, seed=4)
    prompt = tokenizer.encode("<|im_start|>assistant\n<think>\n", add_special_tokens=False)
    draws = SeededDraws(range(ROWS))
    kwargs = budget_forcing(model, tokenizer, do_sample=True, max_new_tokens=1, draws=draws, **budget, **generation)
    out = model.generate(torch.tensor([prompt] * ROWS), **kwargs)
    return out[:, -1].tolist(), model.next_logits(prompt).double(), ids


def assert_law(tokens: list[int], law: dict[int, float]) -> None:
    """Chi-square; a right sampler fails with probability 1e-4, once and for all: the seeds are fixed."""
    assert set(tokens) <= {i for i, p in law.items() if p > 0}
    whole = sum(law.values())  # 1 but for tokens that are never drawn, with probabilities below 1e-6
    seen = [(tokens.count(i), ROWS * p / whole) for i, p in law.items() if p > 0]
    observed, expected = zip(*seen, strict=True)
    assert min(expected) > 5
    assert chisquare(observed, expected).pvalue > 1e-4


@pytest.mark.parametrize("temperature", [1.0, 1.7])
def test_the_law_is_that_of_the_scores_with_every_end_as_the_closing_delimiter(temperature):
    tokens, scores, ids = draw_first({}, {"temperature": temperature, "top_k": 0})
    p = dict(zip(ids, (scores / temperature).softmax(-1)[ids].tolist(), strict=True))
    close, eos, *others = ids
    assert_law(tokens, {close: p[close] + p[eos]} | {i: p[i] for i in others})


def test_the_law_behind_an_end_that_is_skipped_is_drawn_anew():
    """One random number for both draws would never give the tokens that stand beside the ends."""
    tokens, scores, ids = draw_first({"num_ignores": 1, "wait_text": None}, {"temperature": 1.5, "top_k": 0})
    p = (scores / 1.5).softmax(-1)[ids[2:]]
    assert_law(tokens, dict(zip(ids[2:], (p / p.sum()).tolist(), strict=True)))


def test_top_k_comes_before_the_draw():
    tokens, scores, ids = draw_first({}, {"temperature": 2.0, "top_k": 3})
    best = scores.topk(3).indices.tolist()
    p = dict(zip(best, (scores[best] / 2).softmax(-1).tolist(), strict=True))
    ends = sum(p.pop(i, 0) for i in ids[:2])
    assert_law(tokens, p | {ids[0]: ends})


def test_a_sample_is_the_same_in_every_batch():
    """And whatever other problems are asked, and wherever the global random numbers stand."""
    runs = []
    for batch_size, count in ((1, 2), (3, 2), (8, 5)):
        torch.rand(batch_size)
        engine = lamp_engine(batch_size=batch_size)
        requests = lamp_requests(engine, count, samples=3, temperature=1.0, max_new_tokens=60)
        runs.append([completion.token_ids for completion in run_all(engine, requests)[:6]])
    assert runs[0] == runs[1] == runs[2]


def test_samples_differ_from_one_another_and_from_those_of_another_seed():
    engine = lamp_engine(batch_size=8)
    options = {"samples": 6, "temperature": 1.0, "max_new_tokens": 60}
    one, other = (
        [completion.token_ids for completion in run_all(engine, lamp_requests(engine, 1, seed=seed, **options))]
        for seed in (0, 1)
    )
    assert len(set(one)) > 1
    assert one != other


def test_what_is_not_given_is_off():
    """`generate` itself would sample from the 50 most likely tokens, and a model's own defaults would come first."""
    engine = lamp_engine()
    (request,) = lamp_requests(engine, 1, temperature=1.0)
    sampling = plain_config(request, engine.tokenizer, [1])
    assert (sampling.top_k, sampling.top_p, sampling.min_p, sampling.repetition_penalty) == (0, 1.0, None, 1.0)
