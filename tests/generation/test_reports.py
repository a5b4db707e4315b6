"""Reports are about the rows that were generated, and say so where they cannot be."""

from __future__ import annotations

import pytest
import torch
from transformers import GenerationConfig, StoppingCriteria, pipeline

from cases import one_row, options_of, padded, processor_for, qwen2_like, setting
from misuse import IDS, S1, generated, processor
from s1_hf import BudgetForcingLogitsProcessor, BudgetWarning, budget_forcing, embedded, generate
from s1_hf.embedded import Problem
from s1_hf.forcing.vocabulary import encode
from toys import toy_tokenizer
from wishes import family_of, id_rows, prompt_of, wanting


def test_reports_before_generation_are_refused():
    with pytest.raises(RuntimeError, match=r"There is no report yet: call `model.generate\(..., logits_processor="):
        processor().reports()


@pytest.mark.parametrize("change", ["another token", "another prompt", "longer", "first column lost"])
def test_reports_on_foreign_sequences_are_refused(change):
    p = processor(max_thinking_tokens=6)
    out = generated(p)
    changed = {
        "another token": torch.cat([out[:, :-3], out[:, -3:] + 1], 1),
        "another prompt": torch.cat([out[:, :1] + 1, out[:, 1:]], 1),
        "longer": torch.cat([out, out[:, -9:]], 1),
        "first column lost": out[:, 1:],
    }[change]
    if change == "longer":
        changed[changed == S1.eos_token_id] = encode(S1, "a")[0]
    with pytest.raises(RuntimeError, match="(is not|or not,) what this processor has seen being generated"):
        p.reports(changed)
    assert p.reports(out) == p.reports()


@pytest.mark.parametrize("kind", ["list", "text", "one row", "no row", "the prompt alone"])
def test_reports_on_what_is_no_generated_batch_are_refused(kind):
    """With the package's words: what `sequences` has to be, and what it is."""
    p = processor(max_thinking_tokens=6)
    out = generated(p)
    given = {"list": out.tolist(), "text": "abc", "one row": out[0], "no row": out[:0], "the prompt alone": IDS}[kind]
    with pytest.raises((TypeError, ValueError, RuntimeError)) as error:
        p.reports(given)
    assert "`sequences` has to be" in str(error.value)


def test_reports_after_beam_search_ask_for_the_beams():
    config = GenerationConfig(num_beams=2, eos_token_id=S1.eos_token_id, pad_token_id=S1.pad_token_id)
    p = processor(max_thinking_tokens=6, generation_config=config)
    out = generated(p, num_beams=2)
    with pytest.raises(
        RuntimeError, match=r"After beam search say which beams were returned: `reports\(model.generate"
    ):
        p.reports()
    assert len(p.reports(out)) == 1


def test_reports_after_sampling_need_no_sequences():
    """The processor has made all draws, so that it knows the last token as well."""
    p = processor(max_thinking_tokens=6, generation_config=GenerationConfig(do_sample=True, top_k=50))
    out = generated(p, do_sample=True)
    assert p.reports() == p.reports(out)
    assert p.reports(out)[0].ended in ("natural", "cut")


def test_reports_after_sampling_that_was_not_announced_ask_for_the_sequences():
    torch.manual_seed(0)  # with which the first thinking token is not an end
    p = processor(max_thinking_tokens=6)
    with pytest.warns(BudgetWarning, match="does not decode greedily"):
        out = generated(p, do_sample=True, top_k=0, temperature=5.0)
    with pytest.raises(RuntimeError, match="pass what `generate` returned, `reports"):
        p.reports()
    assert p.reports(out)[0].ended in ("natural", "cut")


def test_every_call_of_a_processor_has_its_reports():
    """An unbatched pipeline calls `generate` once for each prompt."""
    tokenizer, _ = family_of("opened")
    wants = {prompt_of(tokenizer, user): "ab" * 20 for user in ("q", "rst", "q" * 9)}
    model = wanting(tokenizer, wants)
    processor = BudgetForcingLogitsProcessor(tokenizer, max_thinking_tokens=3)
    expected = []
    for prompt in wants:
        model.generate(id_rows(tokenizer, prompt), max_new_tokens=12, logits_processor=[processor])
        expected.append(processor.reports())
    assert processor.reports_of_calls() == expected
    assert [len(reports) for reports in expected] == [1, 1, 1]


def test_an_unbatched_pipeline_gives_every_prompts_report():
    model, tokenizer = embedded.load()
    kwargs = budget_forcing(model, tokenizer, max_thinking_tokens=8, max_new_tokens=60)
    chats = [[{"role": "user", "content": Problem(2, 7, 3, steps).question}] for steps in (2, 5, 8)]
    outputs = pipeline("text-generation", model=model, tokenizer=tokenizer)(chats, **kwargs)
    reports = kwargs["logits_processor"][-1].reports_of_calls()
    assert len(outputs) == len(reports) == 3
    assert {(report.thinking_tokens, report.ended) for (report,) in reports} == {(8, "cut")}


def test_reports_after_assisted_decoding_ask_for_the_sequences():
    case = one_row(7) | {"max_new_tokens": 20}
    model = qwen2_like(case, 7)
    tokenizer, _, _ = setting(case["family"])
    processor = processor_for(case)
    inputs = padded(case["prompts"], tokenizer.pad_token_id)
    out = model.generate(**inputs, **options_of(case), logits_processor=[processor], prompt_lookup_num_tokens=4)
    assert len(processor.reports(out)[0].forced) <= 20
    if not processor._rows.record.is_linear:
        with pytest.raises(RuntimeError, match="pass what `generate` returned"):
            processor.reports()


def test_padding_that_is_the_end_of_sequence_is_counted_once():
    """GPT-2's way: rows that have ended are padded with their own end."""
    tokenizer = toy_tokenizer("opened")
    tokenizer.pad_token = tokenizer.eos_token
    wants = {
        prompt_of(tokenizer, "q"): "ab</think>x<|im_end|>",
        prompt_of(tokenizer, "rs"): "ababab</think>xyz<|im_end|>",
    }
    short, long = generate(wanting(tokenizer, wants), tokenizer, ["q", "rs"], max_new_tokens=30)
    assert (short.token_ids, long.token_ids) == tuple(encode(tokenizer, want) for want in wants.values())
    assert (short.report.answer_tokens, long.report.answer_tokens) == (1, 3)


class Stop(StoppingCriteria):
    """Stops every row once a deadline, given as a length, has come."""

    def __call__(self, input_ids, scores, **kwargs):
        return torch.ones(len(input_ids), dtype=torch.bool)


def test_a_row_stopped_by_the_user_while_thinking_is_unfinished():
    tokenizer, _ = family_of("opened")
    model = wanting(tokenizer, {prompt_of(tokenizer, "q"): "abcdef"})
    (completion,) = generate(model, tokenizer, "q", stopping_criteria=[Stop()], max_new_tokens=30)
    assert (completion.text, completion.report.ended, completion.report.thinking_tokens) == ("a", "unfinished", 1)
