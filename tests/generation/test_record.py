"""State that follows prefixes: rows that move, retries, and prompts that only look like a next step."""

from __future__ import annotations

import random

import pytest
import torch
from hypothesis import given, settings
from transformers import GenerationConfig

from cases import EXAMPLES, SEEDS, case_of, check_case, padded, processor_for, run_case, setting
from known_bugs import bug
from s1_hf import BudgetForcingLogitsProcessor
from s1_hf.forcing.vocabulary import encode
from wishes import babbler, family_of, id_rows, prompt_of


@settings(max_examples=80, **EXAMPLES)
@given(SEEDS)
def test_a_processor_used_again_behaves_like_a_new_one(seed):
    """Also when the second prompt is just as long as the first output, or ends where its record still reaches."""
    rng = random.Random(seed)
    case = case_of(seed)
    tokenizer, _, _ = setting(case["family"])
    processor = processor_for(case)
    out = run_case(case, processor)
    for _ in range(2):
        width = rng.choice([out.shape[1] + rng.randint(-3, 3), max(map(len, case["prompts"]))])
        case["prompts"] = [p if len(p) <= width else p[-width:] for p in case["prompts"]]
        longest = max(case["prompts"], key=len)
        filler = encode(tokenizer, "a")[0]
        longest[:0] = [filler] * (width - len(longest))
        rng.shuffle(case["prompts"])
        out = run_case(case, processor)
        check_case(case, processor, out)


@settings(max_examples=60, **EXAMPLES)
@given(SEEDS)
def test_each_prefix_has_its_answer_in_any_order_of_calls(seed):
    """Rows permuted, a prefix asked twice, a longer one tried and abandoned: the scores of a prefix stay the same."""
    case = case_of(seed) | {"waits": ("Wait",)}
    rng = random.Random(seed)
    tokenizer, fmt, _ = setting(case["family"])
    rows = len(case["prompts"])
    cap = case["most"][0] if case["most"][0] != 10**9 else None
    ignoring = {} if fmt.plain else {"num_ignores": 2, "min_thinking_tokens": min(case["most"][0], 2)}
    processor = BudgetForcingLogitsProcessor(tokenizer, format=fmt, max_thinking_tokens=cap, **ignoring)
    ids = padded(case["prompts"], tokenizer.pad_token_id)["input_ids"]
    noise = torch.Generator().manual_seed(seed % 2**31)
    for _ in range(12):
        scores = case["model"](ids).logits[:, -1].clone()
        given_scores = scores.clone()
        first = processor(ids, scores)
        assert torch.equal(scores, given_scores)
        order = list(range(rows))
        rng.shuffle(order)
        assert torch.equal(processor(ids[order], scores[order]), first[order])
        wild = torch.cat([ids, torch.randint(0, 200, (rows, 1), generator=noise)], 1)
        processor(wild, scores)
        processor(torch.cat([wild, wild[:, -1:]], 1), scores)
        assert torch.equal(processor(ids, scores), first)
        ids = torch.cat([ids, first.argmax(-1)[:, None]], 1)


@pytest.mark.parametrize("family", ["s1", "opened"])
def test_a_prompt_one_token_longer_than_the_last_is_a_new_prompt(family):
    """A processor used again behaves like a new one, also if the second prompt begins with the first."""
    tokenizer, _ = family_of(family)
    model = babbler(tokenizer)
    prompt = prompt_of(tokenizer, "q")
    options = {"max_new_tokens": 30, "pad_token_id": tokenizer.pad_token_id}
    again = BudgetForcingLogitsProcessor(tokenizer, max_thinking_tokens=4)
    model.generate(id_rows(tokenizer, prompt), logits_processor=[again], **options)
    results = []
    for processor in (again, BudgetForcingLogitsProcessor(tokenizer, max_thinking_tokens=4)):
        out = model.generate(id_rows(tokenizer, prompt + "a"), logits_processor=[processor], **options)
        try:
            results.append((out.tolist(), processor.reports(out)))
        except RuntimeError as error:
            results.append((out.tolist(), str(error)))
    assert results[0] == results[1]


@bug("under sampling any token may follow, so that the longer prompt is taken for the last call's next step")
def test_a_longer_prompt_is_a_new_one_under_sampling_too():
    """The report is about the tokens that this call has generated, and no others."""
    tokenizer, _ = family_of("opened")
    model = babbler(tokenizer, ends=False)
    processor = BudgetForcingLogitsProcessor(
        tokenizer, max_thinking_tokens=4, generation_config=GenerationConfig(do_sample=True)
    )
    options = {"max_new_tokens": 20, "pad_token_id": tokenizer.pad_token_id, "do_sample": True}
    prompt = prompt_of(tokenizer, "q")
    model.generate(id_rows(tokenizer, prompt), logits_processor=[processor], **options)
    out = model.generate(id_rows(tokenizer, prompt + "z"), logits_processor=[processor], **options)
    (report,) = processor.reports(out)
    assert len(report.forced) == 20
