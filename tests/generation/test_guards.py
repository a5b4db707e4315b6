"""Misuse that would otherwise go unnoticed is refused, with what to do."""

from __future__ import annotations

import threading
import warnings

import pytest
import torch
from transformers import BertConfig, BertModel, GenerationConfig, T5Config, T5ForConditionalGeneration

from misuse import IDS, MODEL, PLAIN, S1, forcing, generated, generating, processor
from s1_hf import BudgetForcingLogitsProcessor, BudgetWarning, budget_forcing, generate
from s1_hf.forcing.vocabulary import encode
from toys import ToyModel, tiny_qwen2, toy_model
from wishes import babbler, family_of, id_rows, prompt_of


@pytest.mark.parametrize("call", [budget_forcing, lambda m, t: generate(m, t, "a")], ids=["forcing", "generate"])
def test_a_model_that_cannot_generate_is_refused(call):
    shape = {"hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 1, "intermediate_size": 8}
    encoder = BertModel(BertConfig(vocab_size=len(S1), **shape))
    for model in (None, "Qwen/Qwen3-8B", S1, torch.nn.Linear(1, 1), encoder, ToyModel):
        with pytest.raises(TypeError, match="`model` has to be a transformers model that can .*AutoModelForCausalLM"):
            call(model, S1)


@pytest.mark.parametrize("call", [budget_forcing, lambda m, t: generate(m, t, "a")], ids=["forcing", "generate"])
def test_an_encoder_decoder_model_is_refused(call):
    config = T5Config(vocab_size=len(S1), d_model=8, d_kv=4, d_ff=8, num_layers=1, num_heads=1)
    model = T5ForConditionalGeneration(config)
    model.forward = MODEL.forward
    with pytest.raises(
        ValueError, match="`model` has to be decoder-only, but T5ForConditionalGeneration is an encoder"
    ):
        call(model, S1)


@pytest.mark.parametrize(
    ("ids", "scores"),
    [
        ((3,), (3, 320)),
        ((3,), (1, 320)),
        ((1, 3), (320,)),
        ((2, 3), (1, 320)),
        ((1, 3), (1, 3, 320)),
        ((1, 1, 3), (1, 320)),
    ],
    ids=str,
)
def test_what_is_no_batch_of_whole_sequences_is_refused(ids, scores):
    """Continuous batching gives 1-D ids, each request's last token alone; the error says so and what to use."""
    with pytest.raises(ValueError, match=r"`input_ids` of shape \(batch_size, sequence_length\) .*generate_batch"):
        processor()(torch.ones(ids, dtype=torch.long), torch.zeros(scores))


def test_an_empty_prompt_is_refused():
    """As when `inputs_embeds` are given alone."""
    with pytest.raises(ValueError, match="`input_ids` is empty. Pass `input_ids` to `generate`, also beside"):
        processor()(torch.ones(2, 0, dtype=torch.long), torch.zeros(2, 320))


UNSUPPORTED = [
    {"do_sample": True, "typical_p": 0.9},
    {"do_sample": True, "epsilon_cutoff": 0.1},
    {"do_sample": True, "eta_cutoff": 0.1},
    {"do_sample": True, "top_h": 0.3},
    {"num_beams": 4, "num_beam_groups": 2, "diversity_penalty": 0.5},
    {"penalty_alpha": 0.6, "top_k": 4},
    {"dola_layers": "high"},
    {"watermarking_config": {"bias": 2.0}},
]


CONSTRAINED = [{"num_beams": 2, "force_words_ids": [[5]]}, {"num_beams": 2, "constraints": [object()]}]


@pytest.mark.parametrize("mode", UNSUPPORTED, ids=lambda mode: [*mode][-2] if "penalty_alpha" in mode else [*mode][1:2])
@pytest.mark.parametrize(
    "build",
    [lambda **mode: processor(generation_config=GenerationConfig(**mode)), forcing, generating],
    ids=["processor", "budget_forcing", "generate"],
)
def test_a_decoding_mode_that_is_not_exact_is_refused(build, mode):
    """The settings at fault are named, with their values."""
    with pytest.raises(ValueError, match=" is not supported") as error:
        build(**mode)
    names = {"typical_p", "epsilon_cutoff", "eta_cutoff", "top_h", "num_beam_groups", "penalty_alpha", "dola_layers"}
    named = str(error.value).split("min_p; ")[1]
    assert [n for n in (names | {"watermarking_config"}) & set(mode) if f"{n}=" not in named] == []
    assert "Unset it." in named


@pytest.mark.parametrize("mode", CONSTRAINED, ids=["force_words_ids", "constraints"])
def test_constrained_beam_search_is_refused(mode):
    with pytest.raises(ValueError, match=r"Constrained beam search \(.*\) is not supported"):
        forcing(**mode)


def test_settings_that_greedy_decoding_ignores_are_no_reason_to_refuse():
    """`typical_p` in a model's defaults does nothing without sampling."""
    processor(generation_config=GenerationConfig(do_sample=False, epsilon_cutoff=0.1, typical_p=0.9))
    processor(generation_config=GenerationConfig(do_sample=True, epsilon_cutoff=0.0, typical_p=1.0, top_h=None))


@pytest.mark.parametrize("value", ["someone/recipe", lambda model, **kwargs: None], ids=["repository", "callable"])
def test_custom_generate_is_refused(value):
    for build in (forcing, generating):
        with pytest.raises(ValueError, match="does not know what `custom_generate` does with the scores. Leave it out"):
            build(custom_generate=value)
    forcing(custom_generate=None)


def test_the_paged_cache_is_refused():
    """`generate(cache_implementation="paged")` turns to continuous batching, which drops processors and criteria."""
    for build in (forcing, generating):
        with pytest.raises(
            ValueError, match="has to see whole sequences, which continuous batching does not hand over"
        ):
            build(cache_implementation="paged")


def test_transformers_turns_to_continuous_batching_for_the_argument_alone():
    """In a configuration "paged" is no continuous batching in transformers 5: budgets hold."""
    tokenizer = S1
    config = GenerationConfig(max_new_tokens=30)
    config.cache_implementation = "paged"
    options = {"max_thinking_tokens": 3, "generation_config": config}
    (completion,) = generate(tiny_qwen2(tokenizer, max_position_embeddings=64), tokenizer, "a", **options)
    assert completion.report.thinking_tokens <= 3
    assert completion.text.startswith("<|im_start|>think")


@pytest.mark.parametrize("seed", range(5))
def test_rule_10_sampling_that_was_not_announced_keeps_caps_minimums_and_ignores(seed):
    """One warning with the remedy; no end while one would be ignored, and no answer is lost to an early end."""
    p = processor(min_thinking_tokens=10, max_thinking_tokens=20, num_ignores=1)
    model = babbler(S1, seed, likely=dict.fromkeys(p.format.ends, 1.0))
    torch.manual_seed(seed)
    options = {"do_sample": True, "temperature": 2.0, "max_new_tokens": 90, "pad_token_id": S1.pad_token_id}
    with pytest.warns(BudgetWarning, match=r"does not decode greedily.*`budget_forcing\(model, tokenizer") as caught:
        out = model.generate(IDS.expand(16, -1), logits_processor=[p], **options)
    assert len(caught) == 1
    for report in p.reports(out):
        assert 10 <= report.thinking_tokens <= 20
        assert report.ended in ("natural", "cut") and report.ends_ignored > 0


def test_rule_10_greedy_decoding_of_a_bare_processor_is_exact_and_silent():
    p = processor(max_thinking_tokens=9, num_ignores=2)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        out = generated(p)
        assert p.reports(out) == p.reports()


class Meddler:
    """A processor behind ours that wants another token."""

    def __call__(self, input_ids, scores):
        return torch.full_like(scores, -50.0).index_fill_(1, torch.tensor([encode(S1, "x")[0]]), 50.0)


def test_a_processor_behind_ours_that_changes_forced_tokens_is_noticed():
    p = processor(max_thinking_tokens=2)
    model = toy_model(len(S1), 0)
    out = model.generate(IDS, logits_processor=[p, Meddler()], max_new_tokens=12, pad_token_id=S1.pad_token_id)
    with pytest.raises(RuntimeError, match="does not have the tokens that were forced: something after this processor"):
        p.reports(out)


def test_two_threads_in_one_processor_are_noticed():
    """Two calls at once, their steps in turn, as the interpreter may switch between them."""
    tokenizer, fmt = family_of("opened")
    processor = BudgetForcingLogitsProcessor(tokenizer, format=fmt, max_thinking_tokens=9)
    scores = torch.zeros(1, 400)
    mine, other = id_rows(tokenizer, prompt_of(tokenizer, "q")), id_rows(tokenizer, prompt_of(tokenizer, "abc"))
    processor(mine, scores)
    thread = threading.Thread(target=processor, args=(other, scores))
    thread.start()
    thread.join()
    with pytest.raises(RuntimeError, match="one call of `generate` at a time"):
        processor(torch.cat([mine, mine[:, -1:]], 1), scores)


@pytest.mark.parametrize("name", ["num_ignores", "min_thinking_tokens"])
@pytest.mark.parametrize("value", [1, [0, 2]])
def test_plain_delimiters_can_be_capped_and_nothing_else(name, value):
    """That the model has ended is known too late to ignore it; zeros are fine."""
    with pytest.raises(ValueError, match="have to be 0 with the closing delimiter '</think>', which is 3 plain tokens"):
        BudgetForcingLogitsProcessor(PLAIN, **{name: value})
    BudgetForcingLogitsProcessor(PLAIN, **{name: [0, 0], "max_thinking_tokens": 4})


@pytest.mark.parametrize("caps", [1, [9, 1], [None, 1]], ids=str)
def test_a_cap_smaller_than_the_stop_message_is_refused(caps):
    """Its tokens are thinking tokens, so that no row could keep its cap; a cap of just its length can."""
    match = "has to be at least the length of `cut_text`, 2 tokens, whose tokens are thinking tokens, but is 1"
    with pytest.raises(ValueError, match=match):
        processor(max_thinking_tokens=caps, cut_text="ab")
    processor(max_thinking_tokens=[None, 2], cut_text="ab")
