"""Sampled budget forcing has the law of stop-and-reprompt, with every warper, against the exact law.

False alarms: each chi-square test below rejects a right sampler with probability 1e-6; there are about 20 of them, and
the seeds are fixed, so that a run that passes once passes always.
"""

from __future__ import annotations

import functools
from collections import Counter
from collections.abc import Callable

import pytest
import torch

from cases import padded, qwen2_like, setting
from s1_hf import budget_forcing
from s1_hf.conformance.laws import chi_square, exact_law
from s1_hf.conformance.reference import stop_and_reprompt
from s1_hf.forcing.vocabulary import encode
from toys import toy_model

FALSE_ALARM = 1e-6
DRAWS = 3_000
LAWS = {
    "plain": {"top_k": 0},
    "temperature": {"temperature": 0.6, "top_k": 0},
    "hot": {"temperature": 1.8, "top_k": 0},
    "top_k": {"top_k": 3},
    "top_p": {"top_k": 0, "top_p": 0.8},
    "min_p": {"top_k": 0, "min_p": 0.25},
    "all": {"temperature": 0.8, "top_k": 4, "top_p": 0.9, "min_p": 0.05},
}
BUDGETS = {
    "natural": {},
    "one ignore": {"ignores": 1},
    "two ignores, cap": {"ignores": 2, "cap": 5},
    "minimum": {"least": 3, "cap": 4},
    "without string": {"ignores": 2, "waits": (), "cap": 4},
    "two tokens": {"ignores": 1, "waits": ("a Wait",), "cap": 6},
}


def scene(
    seed: int, law: dict, budget: dict, new_tokens: int, other=None, family: str = "opened", own: str = ""
) -> tuple:
    """A model with few words and two ends, its prompt, and the exact law of its stop-and-reprompt."""
    tokenizer, fmt, d = setting(family)
    only = [encode(tokenizer, t)[0] for t in ("a", "\n", "Wait")] + [*fmt.ends, *fmt.call_ends]
    model = toy_model(len(d.texts) + 2, seed, {i: 0.5 for i in fmt.ends}, only)
    model.bias.data -= 1e4
    model.bias.data[only] += 1e4
    model = model if other is None else other
    chat = tokenizer.apply_chat_template([{"role": "user", "content": "b"}], tokenize=False, add_generation_prompt=True)
    prompt = list(encode(tokenizer, chat + own))

    known = functools.cache(lambda ids: model.next_logits(list(ids)))  # one prompt has few continuations

    def run(choose: Callable) -> tuple:
        options = {"max_new_tokens": new_tokens, "prefix": "x", "choose": choose}
        row = stop_and_reprompt(
            lambda ids: known(tuple(ids)), prompt, d, lambda t: list(encode(tokenizer, t)), **options, **budget
        )
        return tuple(row.new), row.thinking_tokens, row.ended, row.ends_ignored, tuple(row.forced)

    return model, prompt, d, run


def draws(
    model, prompts: list[list[int]], law: dict, budgets: dict, new_tokens: int, each: int, family: str = "opened"
) -> list[Counter]:
    """Outcomes drawn by budget forcing, counted, one count a prompt."""
    tokenizer, fmt, d = setting(family)
    kwargs = budget_forcing(
        model,
        tokenizer,
        format=fmt,
        answer_prefix="x",
        do_sample=True,
        num_return_sequences=each,
        max_new_tokens=new_tokens,
        eos_token_id=d.eos,
        pad_token_id=tokenizer.pad_token_id,
        **budgets,
        **law,
    )
    inputs = padded(prompts, tokenizer.pad_token_id)
    out = model.generate(**inputs, **kwargs)[:, inputs["input_ids"].shape[1] :].tolist()
    reports = kwargs["logits_processor"][-1].reports()
    outcomes = [
        (tuple(ids[: len(r.forced)]), r.thinking_tokens, r.ended, r.ends_ignored, r.forced)
        for ids, r in zip(out, reports, strict=True)
    ]
    return [Counter(outcomes[i : i + each]) for i in range(0, len(outcomes), each)]


def arguments(budget: dict) -> dict:
    names = {"cap": "max_thinking_tokens", "ignores": "num_ignores", "least": "min_thinking_tokens"}
    waits = {"wait_text": budget["waits"] or None} if "waits" in budget else {}
    return {names[k]: v for k, v in budget.items() if k != "waits"} | waits


@pytest.mark.parametrize("law", LAWS)
@pytest.mark.parametrize("budget", ["two ignores, cap", "without string"])
def test_every_warper_has_the_law_of_stop_and_reprompt(law, budget):
    model, prompt, _, run = scene(11, LAWS[law], BUDGETS[budget], 5)
    want = exact_law(run, LAWS[law])
    assert abs(sum(want.values()) - 1) < 1e-9
    torch.manual_seed(5)
    (counts,) = draws(model, [prompt], LAWS[law], arguments(BUDGETS[budget]), 5, DRAWS)
    assert chi_square(counts, want, DRAWS) > FALSE_ALARM


@pytest.mark.parametrize("budget", BUDGETS)
def test_every_budget_has_the_law_of_stop_and_reprompt(budget):
    model, prompt, _, run = scene(3, LAWS["all"], BUDGETS[budget], 6)
    want = exact_law(run, LAWS["all"])
    torch.manual_seed(6)
    (counts,) = draws(model, [prompt], LAWS["all"], arguments(BUDGETS[budget]), 6, DRAWS)
    assert chi_square(counts, want, DRAWS) > FALSE_ALARM


@pytest.mark.parametrize("budget", ["natural", "two ignores, cap", "without string"])
def test_ends_behind_finished_tool_calls_have_the_law_of_stop_and_reprompt(budget):
    """Thinking begins behind a finished call, where an end of sequence hands over, and may finish more of them."""
    options = {"family": "tools", "own": "<think>a</tool_call>"}
    model, prompt, _, run = scene(13, LAWS["top_k"], BUDGETS[budget], 5, **options)
    want = exact_law(run, LAWS["top_k"])
    over = sum(p for (_, _, ended, _, _), p in want.items() if ended == "handed_over")
    assert 0.1 < over < 0.9
    torch.manual_seed(12)
    (counts,) = draws(model, [prompt], LAWS["top_k"], arguments(BUDGETS[budget]), 5, DRAWS, family="tools")
    assert chi_square(counts, want, DRAWS) > FALSE_ALARM


def test_budgets_of_each_prompt_have_their_own_law_in_one_batch():
    budgets = [{"ignores": 0, "cap": 3}, {"ignores": 2, "cap": 5}]
    model, prompt, _, first = scene(4, LAWS["top_p"], budgets[0], 5)
    _, _, _, second = scene(4, LAWS["top_p"], budgets[1], 5)
    torch.manual_seed(7)
    both = {"num_ignores": [0, 2], "max_thinking_tokens": [3, 5]}
    counts = draws(model, [prompt, prompt], LAWS["top_p"], both, 5, DRAWS)
    for run, count in zip((first, second), counts, strict=True):
        assert chi_square(count, exact_law(run, LAWS["top_p"]), DRAWS) > FALSE_ALARM


def test_rows_of_one_prompt_are_independent():
    """Pairs of rows of one call follow the product law: rows that share a draw would agree too often."""
    model, prompt, _, run = scene(11, LAWS["plain"], {"ignores": 1}, 3)
    law = exact_law(run, LAWS["plain"])
    torch.manual_seed(8)
    same = sum(len(draws(model, [prompt], LAWS["plain"], {"num_ignores": 1}, 3, 2)[0]) == 1 for _ in range(600))
    p = sum(q * q for q in law.values())
    sigma = (600 * p * (1 - p)) ** 0.5
    assert abs(same - 600 * p) < 5 * sigma  # false alarm below 1e-6


def test_the_law_test_notices_an_end_decided_by_the_most_likely_token():
    """The old mistake: a processor that asks for the argmax sees no end attempt where the end is drawn seldom."""
    model, prompt, _, run = scene(11, LAWS["plain"], {"ignores": 1}, 5)
    want = exact_law(run, LAWS["plain"])
    _, _, _, other = scene(11, LAWS["plain"], {"ignores": 0}, 5)
    torch.manual_seed(9)
    (counts,) = draws(model, [prompt], LAWS["plain"], {}, 5, DRAWS)
    assert set(counts) <= set(exact_law(other, LAWS["plain"]))
    shared = Counter({k: v for k, v in counts.items() if k in want})
    assert chi_square(shared, want, DRAWS) < FALSE_ALARM


def test_assisted_sampling_has_the_law_of_stop_and_reprompt():
    """Speculative sampling asks the processor about the draft's tokens too, and takes some back."""
    law, budget, n = LAWS["top_k"], {"ignores": 1, "cap": 4}, 500
    toy, prompt, _, _ = scene(11, law, budget, 4)
    model, draft = (qwen2_like({"model": toy}, 21, initializer_range=0.2) for _ in range(2))
    draft.lm_head.weight.data += 0.05 * torch.randn(
        draft.lm_head.weight.shape, generator=torch.Generator().manual_seed(2)
    )
    model.next_logits = lambda ids: model(torch.tensor([ids])).logits[0, -1]
    _, _, _, run = scene(11, law, budget, 4, model)
    want = exact_law(run, law)
    assert len(want) > 8
    torch.manual_seed(10)
    counts: Counter = Counter()
    for _ in range(n):
        (one,) = draws(model, [prompt], law, arguments(budget) | {"assistant_model": draft}, 4, 1)
        counts += one
    assert chi_square(counts, want, n) > FALSE_ALARM
