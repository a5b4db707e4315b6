"""The decision of a step, replayed as one graph: the same tokens and reports as step by step."""

from __future__ import annotations

import warnings

import pytest
import torch

from cases import budgets_of, case_of, options_of, padded, qwen2_like, setting
from s1_hf import BudgetForcingLogitsProcessor, LoopGuard, budget_forcing, generate
from s1_hf.forcing.budget import BudgetWarning
from s1_hf.forcing.draws import SeededDraws
from toys import toy_tokenizer
from traced import play_graphs
from wishes import babbler, prompt_of

MODES = {
    "greedy": {},
    "sampling": {"do_sample": True, "temperature": 1.5, "top_k": 20, "top_p": 0.9, "min_p": 0.01},
    "beams": {"num_beams": 3},
    "several": {"do_sample": True, "num_return_sequences": 2},
}


def run(seed: int, mode: str, device: str, graph: bool) -> tuple[torch.Tensor, list]:
    """Ids and reports of a random case, on a device, step by step or replayed."""
    case = case_of(seed)
    tokenizer, _, _ = setting(case["family"])
    options = options_of(case) | MODES[mode]
    copies = options.get("num_return_sequences", 1)
    draws = None
    if options.get("do_sample"):
        draws = SeededDraws(list(range(copies * len(case["prompts"]))))
    model = qwen2_like(case, seed).to(device)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", BudgetWarning)  # for minimums that a loop guard may shorten, and the like
        kwargs = budget_forcing(
            model,
            tokenizer,
            **budgets_of(case),
            loop_guard=LoopGuard(max_period=2, repeats=2, min_tokens=3) if seed % 2 else None,
            draws=draws,
            cuda_graph=graph,
            **options,
        )
        inputs = padded(case["prompts"], tokenizer.pad_token_id)
        out = model.generate(**{name: tensor.to(device) for name, tensor in inputs.items()}, **kwargs)
        return out.cpu(), kwargs["logits_processor"][-1].reports(out)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("seed", range(12))
def test_a_replayed_step_is_the_same_step(seed, mode, monkeypatch):
    ids, reports = run(seed, mode, "cpu", graph=False)
    graphs = play_graphs(monkeypatch)
    replayed = run(seed, mode, "cpu", graph=True)
    assert torch.equal(replayed[0], ids)
    assert replayed[1] == reports
    steps = ids.shape[1] - padded(case_of(seed)["prompts"], 0)["input_ids"].shape[1]
    if mode != "beams":  # which may end with fewer tokens than they looked at
        assert sum(graph.replays for graph in graphs) == max(steps - 1, 0)  # the first is made step by step
        assert len(graphs) == min(max(steps - 1, 0), 1)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("seed", range(12))
def test_a_step_that_a_gpu_replays_is_the_same_step(seed, mode):
    ids, reports = run(seed, mode, "cuda", graph=False)
    replayed = run(seed, mode, "cuda", graph=True)
    assert torch.equal(replayed[0], ids)
    assert replayed[1] == reports


def test_where_no_graph_can_be_recorded_one_warning_says_so():
    tokenizer = toy_tokenizer("s1")
    with pytest.warns(BudgetWarning, match="`cuda_graph` has no effect on cpu") as caught:
        generate(babbler(tokenizer), tokenizer, "a", max_thinking_tokens=4, max_new_tokens=60, cuda_graph=True)
    assert sum("`cuda_graph`" in str(one.message) for one in caught) == 1


@pytest.mark.parametrize("given", ["yes", 1, None])
def test_what_is_neither_true_nor_false_is_refused(given):
    with pytest.raises(TypeError, match="`cuda_graph` has to be True or False, but is"):
        BudgetForcingLogitsProcessor(toy_tokenizer("s1"), max_thinking_tokens=4, cuda_graph=given)


def test_a_graph_holds_for_one_call(monkeypatch):
    """Another call has limits of its own, which lie elsewhere in memory."""
    graphs = play_graphs(monkeypatch)
    tokenizer = toy_tokenizer("s1")
    model, ids = babbler(tokenizer, ends=False), tokenizer(prompt_of(tokenizer, "a"), return_tensors="pt")["input_ids"]
    processor = BudgetForcingLogitsProcessor(tokenizer, max_thinking_tokens=[4, 9], cuda_graph=True)
    for count in (1, 2):
        model.generate(ids.repeat(2, 1), max_new_tokens=20, logits_processor=[processor])
        assert [report.thinking_tokens for report in processor.reports()] == [4, 9]
        assert len(graphs) == count
