"""State that follows prefixes: rows that move, retries, and prompts that only look like a next step."""

from __future__ import annotations

import random
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from transformers import GenerationConfig

from cases import EXAMPLES, SEEDS, case_of, check_case, padded, processor_for, run_case, setting
from s1_hf import BudgetForcingLogitsProcessor
from s1_hf.forcing.vocabulary import encode
from s1_hf.generation.record import PrefixRecord
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


# -- the record by itself -----------------------------------------------------------------------------------------


def record_of(**options: Any) -> PrefixRecord:
    """A record whose state is (length of the prompt, sum of the tokens after it) of each row."""

    def read(prompts: list[list[int]]) -> torch.Tensor:
        return torch.tensor([[len(ids), 0] for ids in prompts]).T.contiguous()

    def add(state: torch.Tensor, tokens: torch.Tensor) -> torch.Tensor:
        return torch.stack([state[0], state[1] + tokens])

    return PrefixRecord(read, add, **options)


def grown(record: PrefixRecord, ids: list[list[int]], *columns: list[int]) -> torch.Tensor:
    """What is recorded after a prompt and some more tokens per row; `(2, batch_size)`."""
    rows = torch.tensor(ids)
    state = record.follow(rows).state
    for column in columns:
        rows = torch.cat([rows, torch.tensor(column)[:, None]], 1)
        state = record.follow(rows).state
    return state


def test_a_new_prompt_is_read_and_what_follows_is_added():
    record = record_of()
    state = grown(record, [[1, 2], [3, 4]], [5, 6], [7, 8])
    assert state.tolist() == [[2, 2], [12, 14]]
    assert (record.prompt_length, record.runs, record.is_linear) == (2, 1, True)


def test_rows_that_change_places_keep_their_own_state():
    record = record_of()
    grown(record, [[1, 2], [3, 4], [5, 6]], [10, 20, 30])
    step = record.follow(torch.tensor([[5, 6, 30, 1], [1, 2, 10, 1], [1, 2, 10, 2]]))
    assert step.state.tolist() == [[2, 2, 2], [31, 11, 12]]
    assert step.parents.tolist() == [2, 0, 0]


def test_rows_with_the_same_ids_stay_where_they_are():
    """They may stand differently: a Wait can be forced, or be the model's own."""
    record = record_of()
    record.follow(torch.tensor([[1, 2], [1, 2]])).state[1] = torch.tensor([100, 200])
    assert record.follow(torch.tensor([[1, 2, 3], [1, 2, 4]])).state[1].tolist() == [103, 204]


def test_a_prefix_asked_about_again_has_the_same_state():
    record = record_of()
    grown(record, [[1, 2]], [5], [7])
    assert record.follow(torch.tensor([[1, 2, 5]])).state.tolist() == [[2], [5]]
    assert record.follow(torch.tensor([[1, 2, 6]])).state.tolist() == [[2], [6]]
    assert (record.runs, record.is_linear) == (1, False)


def test_rows_that_come_from_nowhere_are_a_new_prompt():
    record = record_of()
    grown(record, [[1, 2]], [5])
    assert grown(record, [[1, 9, 5, 7]]).tolist() == [[4], [0]]
    assert (record.prompt_length, record.runs, record.is_linear) == (4, 2, True)


def test_a_batch_of_another_size_is_a_new_prompt():
    record = record_of()
    grown(record, [[1, 2]])
    assert grown(record, [[1, 2, 3], [1, 2, 4]]).tolist() == [[3, 3], [0, 0]]


def test_a_retry_that_cannot_have_been_generated_is_a_new_prompt():
    """`may_follow` is asked where a length comes again, and only there."""
    asked = []
    record = record_of(may_follow=lambda state, pick, tokens: asked.append(tokens.tolist()) or False)
    grown(record, [[1, 2]], [5], [7])
    assert asked == []
    assert grown(record, [[1, 2, 6]]).tolist() == [[3], [0]]
    assert (asked, record.runs) == ([[6]], 2)


def test_peeking_keeps_nothing():
    record = record_of()
    grown(record, [[1, 2]])
    assert record.peek(torch.tensor([[1, 2, 8]])).state.tolist() == [[2], [8]]
    assert record.peek(torch.tensor([[4, 4, 8]])) is None
    assert record.follow(torch.tensor([[1, 2, 3]])).state.tolist() == [[2], [3]]
    assert record.is_linear


def test_rows_continue_those_whose_ids_and_one_more_they_have():
    record = record_of()
    hashes = record.follow(torch.tensor([[1, 2], [3, 4]])).hashes
    assert record.continues(hashes, torch.tensor([[1, 2, 9], [3, 4, 9]]))
    assert not record.continues(hashes, torch.tensor([[1, 2, 9], [4, 3, 9]]))
    assert not record.continues(hashes, torch.tensor([[1, 2, 9]]))


def test_a_trace_has_every_step_of_each_row_wherever_it_stood():
    record = record_of()
    grown(record, [[1, 2], [3, 4]], [10, 20])
    record.follow(torch.tensor([[3, 4, 20, 5], [1, 2, 10, 6]]))  # the rows have changed places
    trace = record.trace(torch.tensor([[3, 4, 20, 5, 7], [1, 2, 10, 6, 8]]), [5, 5])
    assert trace.states[:, 1].tolist() == [[0, 0], [20, 10], [25, 16]]
    assert trace.final.tolist() == [[2, 2], [32, 24]]


def test_a_trace_of_a_shorter_row_ends_where_it_does():
    record = record_of()
    grown(record, [[1, 2], [3, 4]], [10, 20], [5, 6])
    trace = record.trace(torch.tensor([[1, 2, 10, 0, 0], [3, 4, 20, 6, 7]]), [3, 5])
    assert trace.final.tolist() == [[2, 2], [10, 33]]


def test_a_trace_of_rows_that_were_not_recorded_is_refused():
    record = record_of()
    grown(record, [[1, 2]], [5])
    with pytest.raises(RuntimeError, match="Row 0 of the sequences is not what this processor has seen"):
        record.trace(torch.tensor([[1, 2, 6, 7]]), [4])
    with pytest.raises(RuntimeError, match="The sequences are longer than"):
        record.trace(torch.tensor([[1, 2, 5, 7, 8]]), [5])


def test_prompts_longer_than_any_before_are_told_apart_too():
    """There are always as many factors as positions."""
    record = record_of()
    state = grown(record, [[0] * 3000, [0] * 2999 + [1]], [5, 6])
    assert state.tolist() == [[3000, 3000], [5, 6]]
