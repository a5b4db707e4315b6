"""Every argument of the public names with a wrong type, range or length: the error names it, the rule and the value."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from test_formats import byte_tokenizer
from transformers import (
    BertConfig,
    BertModel,
    GenerationConfig,
    Qwen2Config,
    Qwen2ForCausalLM,
    T5Config,
    T5ForConditionalGeneration,
)
from transformers.generation.streamers import BaseStreamer

from s1_hf import (
    AnswerLengthCriteria,
    Budget,
    BudgetForcingLogitsProcessor,
    LoopGuard,
    ThinkingEndCriteria,
    ThinkingFormat,
    budget_forcing,
    generate,
)
from s1_hf.forcing.vocabulary import encode
from toys import ToyConfig, ToyModel, toy_model, toy_tokenizer


class Untouched(ToyModel):
    """A model that must not be run: its errors come too late."""

    def forward(self, *args, **kwargs):
        raise AssertionError("a forward pass was run")


S1 = toy_tokenizer("s1")
PLAIN = toy_tokenizer("plain")
MODEL = Untouched(ToyConfig(vocab_size=len(S1) + 64)).eval()
PROMPT = encode(S1, S1.apply_chat_template([{"role": "user", "content": "a"}], tokenize=False, add_generation_prompt=1))
IDS = torch.tensor([PROMPT])


def processor(**options: Any) -> BudgetForcingLogitsProcessor:
    return BudgetForcingLogitsProcessor(S1, **options)


def forcing(**options: Any) -> dict[str, Any]:
    return budget_forcing(MODEL, S1, **options)


def generating(**options: Any) -> Any:
    return generate(MODEL, S1, "a", **options)


def tiny_qwen2(tokenizer: Any, **options: Any) -> Qwen2ForCausalLM:
    shape = {"hidden_size": 8, "intermediate_size": 8, "num_hidden_layers": 1, "num_attention_heads": 1}
    config = Qwen2Config(**({"vocab_size": len(tokenizer), "num_key_value_heads": 1} | shape | options))
    return Qwen2ForCausalLM(config).eval()


# -- budgets ------------------------------------------------------------------------------------------------------

EVERYWHERE = pytest.mark.parametrize("build", [Budget, processor, forcing, generating])
COUNT = r"an integer of at least 0"
COUNTS = [True, False, 1.0, float("inf"), float("nan"), "5", -1, [1, -1], [1, 2.0], [True], [[1]], {3}, 1j, {"a": 1}]


@EVERYWHERE
@pytest.mark.parametrize("value", COUNTS, ids=repr)
@pytest.mark.parametrize("name", ["max_thinking_tokens", "min_thinking_tokens", "num_ignores"])
def test_a_budget_that_is_no_count_is_refused(build, name, value):
    """Named, with the rule and the value, before the model is run."""
    more = ', "auto" or None' if name == "max_thinking_tokens" else ""
    rule = f"`{name}` has to be {COUNT}{more}, or a sequence with one per prompt, but is {value!r}."
    with pytest.raises(ValueError) as error:
        build(**{name: value})
    assert str(error.value) == rule


@EVERYWHERE
@pytest.mark.parametrize("value", [None, "auto", [None], ["auto"]], ids=repr)
@pytest.mark.parametrize("name", ["min_thinking_tokens", "num_ignores"])
def test_only_the_cap_may_be_absent_or_auto(build, name, value):
    with pytest.raises(ValueError, match=f"`{name}` has to be {COUNT}, or a sequence"):
        build(**{name: value})


@EVERYWHERE
def test_auto_is_for_all_prompts_together(build):
    with pytest.raises(ValueError, match=r"`max_thinking_tokens` has to be .* but is \['auto', 4\]"):
        build(max_thinking_tokens=["auto", 4])


@EVERYWHERE
@pytest.mark.parametrize("name", ["max_thinking_tokens", "min_thinking_tokens", "num_ignores"])
@pytest.mark.parametrize("value", [[], (), range(0)], ids=repr)
def test_an_empty_sequence_of_budgets_is_refused(build, name, value):
    with pytest.raises(ValueError, match=f"`{name}` has to have one value per prompt, but is empty."):
        build(**{name: value})


@pytest.mark.parametrize("value", [torch.tensor(3), torch.tensor([3, 4]), np.array([3, 4]), np.float32(3)], ids=repr)
def test_tensors_and_arrays_are_no_budgets(value):
    """They compare elementwise; a list of numbers says the same."""
    with pytest.raises(ValueError, match="`num_ignores` has to be an integer of at least 0, or a sequence"):
        Budget(num_ignores=value)


def test_bytes_are_no_budgets():
    with pytest.raises(ValueError, match="`num_ignores` has to be an integer of at least 0, or a sequence"):
        Budget(num_ignores=b"34")


def test_numpy_integers_are_counts():
    """And so is anything that is an integer, alone or in a sequence."""
    budget = Budget(max_thinking_tokens=np.int64(7), num_ignores=(np.int32(1), 2), min_thinking_tokens=range(3, 5))
    assert (budget.column("max_thinking_tokens", 2), budget.num_prompts) == ([7, 7], 2)
    assert (budget.column("num_ignores", 2), budget.column("min_thinking_tokens", 2)) == ([1, 2], [3, 4])


def test_a_numpy_integer_is_an_answer_length_too():
    assert AnswerLengthCriteria(np.int64(7), S1).max_answer_tokens == 7


@EVERYWHERE
def test_budgets_per_prompt_have_one_length(build):
    with pytest.raises(ValueError, match="have to have the same length, but have .*'max_thinking_tokens': 2.*ores': 3"):
        build(max_thinking_tokens=[1, 2], num_ignores=[1, 2, 3])


@EVERYWHERE
@pytest.mark.parametrize(
    ("low", "high", "match"),
    [
        (5, 4, r"but 5 > 4\.$"),
        (1, 0, r"but 1 > 0\.$"),
        ([1, 5], 4, r"but 5 > 4 \(prompt 1\)\.$"),
        (3, [None, 3, 2], r"but 3 > 2 \(prompt 2\)\.$"),
        ([3, 9], [2, 8], r"but 3 > 2 \(prompt 0\)\. .* but 9 > 8 \(prompt 1\)\.$"),
    ],
)
def test_a_minimum_above_the_maximum_is_refused(build, low, high, match):
    """Every prompt where it is so is named; an equal minimum and an absent maximum are fine."""
    with pytest.raises(ValueError, match=match):
        build(min_thinking_tokens=low, max_thinking_tokens=high)
    Budget(min_thinking_tokens=[4, 9], max_thinking_tokens=[4, None])


@EVERYWHERE
@pytest.mark.parametrize("value", ["", [], (), ["a", ""], ["a", 3], 3, b"a", {"a"}, True], ids=repr)
def test_a_wait_text_that_is_no_text_is_refused(build, value):
    with pytest.raises(ValueError) as error:
        build(wait_text=value)
    rule = "`wait_text` has to be a text, a sequence of texts, or None for no text at all, but is "
    assert str(error.value) == f"{rule}{value!r}."


@EVERYWHERE
@pytest.mark.parametrize("value", ["", 3, ["a"], b"a", False], ids=repr)
def test_an_answer_prefix_that_is_no_text_is_refused(build, value):
    with pytest.raises(ValueError) as error:
        build(answer_prefix=value)
    assert str(error.value) == f"`answer_prefix` has to be a text, or None for none, but is {value!r}."


@EVERYWHERE
@pytest.mark.parametrize("value", [True, 4, {"repeats": 4}, LoopGuard], ids=str)
def test_a_loop_guard_that_is_none_is_refused(build, value):
    with pytest.raises(ValueError, match="`loop_guard` has to be a LoopGuard or None, but is "):
        build(loop_guard=value)


@EVERYWHERE
def test_everything_wrong_is_said_at_once(build):
    """Four bad arguments, four sentences, in the order of the arguments."""
    with pytest.raises(ValueError) as error:
        build(max_thinking_tokens=-1, num_ignores=2.5, wait_text="", answer_prefix="")
    named = [part.split("`")[1] for part in str(error.value).split(". ") if part.startswith("`")]
    assert named == ["max_thinking_tokens", "num_ignores", "wait_text", "answer_prefix"]


@pytest.mark.parametrize(
    ("name", "least", "values"),
    [("max_period", 1, [0, -3]), ("repeats", 2, [1, 0]), ("min_tokens", 2, [1, -1])],
)
def test_a_loop_guards_numbers_have_lower_limits(name, least, values):
    """Each limit itself is allowed, one less is not, nor is anything but an integer."""
    LoopGuard(**{name: least})
    for value in [*values, True, 4.0, "4", None]:
        with pytest.raises(ValueError) as error:
            LoopGuard(**{name: value})
        assert str(error.value) == f"`{name}` has to be an integer of at least {least}, but is {value!r}."


def test_a_loop_guard_names_all_bad_numbers():
    with pytest.raises(ValueError, match="`max_period` .*`repeats` .*`min_tokens` "):
        LoopGuard(max_period=0, repeats=0, min_tokens=0)


# -- texts that hold delimiters -----------------------------------------------------------------------------------

UNFREE = "has to be free of delimiters and ends of sequence of the '{}' format, but is "


@pytest.mark.parametrize("build", [processor, forcing, generating])
@pytest.mark.parametrize("name", ["wait_text", "answer_prefix"])
@pytest.mark.parametrize("text", ["<|im_start|>", "a<|im_start|>think", "b <|im_start|>answer", "c<|im_end|>"])
def test_a_forced_text_with_a_delimiter_or_an_end_is_refused(build, name, text):
    """It would end the thinking, open it again, or end the sequence."""
    with pytest.raises(ValueError, match=f"`{name}` " + UNFREE.format("s1")):
        build(**{name: text})


def test_one_bad_wait_text_among_several_is_named():
    with pytest.raises(ValueError, match=r"`wait_text` has to be free .* but is 'b<\|im_end\|>' \(ids"):
        processor(wait_text=["a", "b<|im_end|>", "c"])


def test_an_end_of_sequence_of_the_generation_config_is_an_end_too():
    """Every id at which `generate` stops counts, not the tokenizer's alone."""
    config = GenerationConfig(eos_token_id=[S1.eos_token_id, encode(S1, "Hmm")[0]])
    processor(wait_text="Hmm")
    with pytest.raises(ValueError, match="`wait_text` " + UNFREE.format("s1") + "'Hmm'"):
        processor(wait_text="Hmm", generation_config=config)


@pytest.mark.parametrize("text", ["a</think>", "<think>"])
def test_an_answer_prefix_with_a_plain_delimiter_is_refused(text):
    """After closing, thinking does not reopen, and no second end delimiter is emitted."""
    with pytest.raises(ValueError, match="`answer_prefix` " + UNFREE.format("think")):
        BudgetForcingLogitsProcessor(PLAIN, answer_prefix=text)


def test_a_delimiter_that_generate_stops_inside_is_refused():
    """`eos_token_id=[<|im_start|>, <|im_end|>]`, as in s1's vLLM harness, would stop every row at its first token."""
    both = [S1.convert_tokens_to_ids("<|im_start|>"), S1.eos_token_id]
    with pytest.raises(ValueError, match="eos_token_id"):
        budget_forcing(MODEL, S1, eos_token_id=both, max_thinking_tokens=4)


# -- format and tokenizer -----------------------------------------------------------------------------------------

TAKES_FORMAT = pytest.mark.parametrize(
    "build",
    [
        processor,
        forcing,
        generating,
        lambda **options: ThinkingEndCriteria(S1, **options),
        lambda **options: AnswerLengthCriteria(4, S1, **options),
    ],
    ids=["processor", "budget_forcing", "generate", "ThinkingEndCriteria", "AnswerLengthCriteria"],
)


@TAKES_FORMAT
@pytest.mark.parametrize("name", ["S1", "nope", ""])
def test_an_unknown_format_name_is_told_the_known_ones(build, name):
    with pytest.raises(
        ValueError, match=f"has to be one of 's1', 'think', 'harmony', .* but is '{name}'. .*from_delim"
    ):
        build(format=name)


@TAKES_FORMAT
def test_an_unknown_format_name_is_blamed_on_the_argument_it_came_in(build):
    with pytest.raises(ValueError) as error:
        build(format="nope")
    assert "`format` has to be" in str(error.value)


@TAKES_FORMAT
@pytest.mark.parametrize("value", [3, True, b"s1", ("<think>", "</think>"), {"start": "a"}, ThinkingFormat], ids=str)
def test_a_format_of_another_type_is_refused(build, value):
    with pytest.raises(TypeError, match="`format` has to be a ThinkingFormat, its name or None, but is "):
        build(format=value)


@TAKES_FORMAT
def test_a_format_that_the_tokenizer_lacks_is_refused(build):
    with pytest.raises(ValueError, match=r"'harmony' needs '<\|start\|>' and .* as single tokens, .*303|.*306 tokens"):
        build(format="harmony")


TOKENIZERS = [None, "Qwen/Qwen3-8B", 3, S1.backend_tokenizer, ToyModel]
TAKES_TOKENIZER = [
    BudgetForcingLogitsProcessor,
    ThinkingEndCriteria,
    lambda tokenizer: AnswerLengthCriteria(4, tokenizer),
    lambda tokenizer: budget_forcing(MODEL, tokenizer),
    lambda tokenizer: generate(MODEL, tokenizer, "a"),
]
NAMES = ["processor", "ThinkingEndCriteria", "AnswerLengthCriteria", "budget_forcing", "generate"]


@pytest.mark.parametrize("tokenizer", TOKENIZERS, ids=["None", "name", "int", "backend", "class"])
@pytest.mark.parametrize("build", TAKES_TOKENIZER, ids=NAMES)
def test_a_tokenizer_that_is_none_is_refused(build, tokenizer):
    with pytest.raises(TypeError, match="`tokenizer` has to be a transformers tokenizer, but is .*from_pretrained"):
        build(tokenizer)


def test_a_tokenizer_without_delimiters_is_refused():
    tokenizer = byte_tokenizer(["<eos>"], eos="<eos>", template=None)
    builds: list[Callable] = [
        lambda: BudgetForcingLogitsProcessor(tokenizer),
        lambda: ThinkingEndCriteria(tokenizer),
        lambda: AnswerLengthCriteria(3, tokenizer),
        lambda: budget_forcing(MODEL, tokenizer),
        lambda: generate(MODEL, tokenizer, "a"),
    ]
    for build in builds:
        with pytest.raises(ValueError, match="could not be detected: this tokenizer has the delimiters of none"):
            build()


def test_a_plain_format_without_an_end_of_sequence_still_caps():
    """A tokenizer need not have an end of sequence; a cap needs none."""
    tokenizer = toy_tokenizer("plain")
    tokenizer.eos_token = None
    model = toy_model(len(tokenizer), 0, only=[encode(tokenizer, t)[0] for t in "abx"])
    (completion,) = generate(model, tokenizer, "a", max_thinking_tokens=2, max_new_tokens=9)
    assert completion.report.ended == "cut"


@pytest.mark.parametrize("name", ["num_ignores", "min_thinking_tokens"])
@pytest.mark.parametrize("value", [1, [0, 2]])
def test_plain_delimiters_can_be_capped_and_nothing_else(name, value):
    """That the model has ended is known too late to ignore it; zeros are fine."""
    with pytest.raises(ValueError, match="have to be 0 with the closing delimiter '</think>', which is 3 plain tokens"):
        BudgetForcingLogitsProcessor(PLAIN, **{name: value})
    BudgetForcingLogitsProcessor(PLAIN, **{name: [0, 0], "max_thinking_tokens": 4})


# -- model --------------------------------------------------------------------------------------------------------


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


@pytest.mark.parametrize("rows", [1, 256])
def test_a_model_with_too_small_a_vocabulary_is_refused_before_it_is_run(rows):
    """Model and tokenizer do not belong together."""
    model = Untouched(ToyConfig(vocab_size=rows))
    with pytest.raises(ValueError, match="Tokenizer and model do not belong together"):
        budget_forcing(model, S1, max_thinking_tokens=4)


@pytest.mark.parametrize("missing", [1, 2, 50])
def test_scores_that_lack_the_formats_tokens_are_refused(missing):
    """Each of the format's ids has to be a column of the scores; more columns than tokens are fine."""
    last = max(*processor().format.start, *processor().format.close, *processor().format.ends)
    scores = torch.zeros(1, last + 1 - missing)
    with pytest.raises(ValueError, match=f"has to hold the format's token {last}, but has {last + 1 - missing} rows"):
        processor()(IDS, scores)
    processor()(IDS, torch.zeros(1, last + 1))
    processor()(IDS, torch.zeros(1, last + 99))


def test_scores_that_lack_a_forced_tokens_column_are_refused():
    """Where delimiters come first in the vocabulary (Mistral), the Wait may be what is missing."""
    tokenizer = byte_tokenizer(["<|im_start|>", "<|im_end|>"], added=["Moreover"])
    p = BudgetForcingLogitsProcessor(tokenizer, wait_text="Moreover", num_ignores=1)
    (wait,) = encode(tokenizer, "Moreover")
    scores = torch.zeros(1, wait)
    scores[0, tokenizer.eos_token_id] = 9.0
    ids = torch.tensor([encode(tokenizer, "<|im_start|>assistant\n<|im_start|>think")])
    with pytest.raises(ValueError, match=f"token {wait}"):
        p(ids, scores)


# -- the processor's call -----------------------------------------------------------------------------------------


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


@pytest.mark.parametrize(
    ("rows", "config", "match"),
    [
        (1, None, r"2 budgets were given for prompts, but the batch has 1 rows \(num_return_sequences and num_beams"),
        (3, None, "2 budgets were given for prompts, but the batch has 3 rows"),
        (4, None, "2 budgets were given for prompts, but the batch has 4 rows"),
        (2, {"num_beams": 2}, r"2 budgets were given for prompts of 2 rows each, but the batch has 2 rows\."),
        (5, {"do_sample": True, "num_return_sequences": 3}, "2 budgets were given for prompts of 3 rows each"),
    ],
)
def test_a_batch_that_does_not_fit_the_budgets_is_refused(rows, config, match):
    config = None if config is None else GenerationConfig(**config)
    p = processor(max_thinking_tokens=[4, 5], generation_config=config)
    with pytest.raises(ValueError, match=match):
        p(IDS.expand(rows, -1), torch.zeros(rows, 320))


def test_generate_counts_prompts_and_budgets_before_the_model_is_run():
    with pytest.raises(ValueError, match="3 budgets were given"):
        generate(MODEL, S1, ["a", "b"], max_thinking_tokens=[1, 2, 3])


# -- "auto" -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "config", [None, GenerationConfig(), GenerationConfig(do_sample=True)], ids=["no", "empty", "x"]
)
def test_auto_without_a_length_is_refused(config):
    with pytest.raises(ValueError, match="has to know how much may be generated: give a `generation_config` with"):
        processor(max_thinking_tokens="auto", generation_config=config)


@pytest.mark.parametrize("prefix", ["Final Answer:", None])
def test_auto_without_room_is_refused(prefix):
    """Delimiters, a newline, the prefix and 100 tokens have to fit; just these are accepted, with no thinking."""
    closing = len(encode(S1, "\n")) + (0 if prefix is None else len(encode(S1, "\n" + prefix)))
    needed = 2 + 2 + closing + 100
    options = {"max_thinking_tokens": "auto", "answer_prefix": prefix}
    match = f"has to leave room for .* {needed} in all, but only {needed - 1} tokens may be generated. Raise `max_new"
    with pytest.raises(ValueError, match=match):
        processor(**options, generation_config=GenerationConfig(max_new_tokens=needed - 1))
    with pytest.raises(ValueError, match=match):
        generating(**options, max_new_tokens=needed - 1)
    processor(**options, generation_config=GenerationConfig(max_new_tokens=needed))


def test_auto_without_room_behind_this_prompt_is_refused():
    """With `max_length` the prompt takes its part."""
    p = processor(max_thinking_tokens="auto", generation_config=GenerationConfig(max_length=120))
    p(IDS[:, :3], torch.zeros(1, 320))
    with pytest.raises(ValueError, match="in all, but only 109 tokens may be generated"):
        p(IDS, torch.zeros(1, 320))


def test_auto_that_leaves_less_than_the_minimum_is_refused():
    config = GenerationConfig(max_new_tokens=130)
    p = processor(max_thinking_tokens="auto", min_thinking_tokens=40, generation_config=config)
    with pytest.raises(ValueError, match="`min_thinking_tokens` has to be at most .* is 40 and 'auto' leaves 10?5"):
        p(IDS, torch.zeros(1, 320))


def test_auto_that_leaves_less_than_the_minimum_is_refused_before_the_model_is_run():
    with pytest.raises(ValueError, match="`min_thinking_tokens` has to be at most"):
        generating(max_thinking_tokens="auto", min_thinking_tokens=40, max_new_tokens=130)


def test_auto_beyond_the_models_context_is_refused_or_kept_within_it():
    """The room is what `max_new_tokens` *and* the context leave: 64 positions are no 115."""
    model = Untouched(ToyConfig(vocab_size=len(S1), max_position_embeddings=64))
    with pytest.raises(ValueError, match="has to leave room"):
        generate(model, S1, "a", max_thinking_tokens="auto", max_new_tokens=200)


def test_no_length_and_no_context_is_refused():
    """Without any limit the model's context is the limit, so that it has to be known."""
    config = ToyConfig(vocab_size=len(S1))
    del config.max_position_embeddings
    with pytest.raises(ValueError, match="`max_new_tokens` has to be given: this model's configuration does not say"):
        budget_forcing(Untouched(config), S1)


# -- decoding modes -----------------------------------------------------------------------------------------------

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


@pytest.mark.parametrize("value", [{"max_new_tokens": 4}, "greedy", GenerationConfig, 3], ids=str)
def test_a_generation_config_of_another_type_is_refused(value):
    with pytest.raises(
        TypeError, match="`generation_config` has to be a GenerationConfig, such as `model.generation_con"
    ):
        processor(generation_config=value)


@pytest.mark.parametrize("value", [0, -1, True, 1.5, "3", [3]], ids=repr)
def test_an_answer_length_that_is_no_length_is_refused(value):
    for build in (
        lambda: AnswerLengthCriteria(value, S1),
        lambda: forcing(max_answer_tokens=value),
        lambda: generating(max_answer_tokens=value),
    ):
        with pytest.raises(ValueError) as error:
            build()
        assert str(error.value) == f"`max_answer_tokens` has to be an integer of at least 1, but is {value!r}."


def test_an_answer_length_has_to_be_given():
    with pytest.raises(ValueError, match="`max_answer_tokens` has to be an integer of at least 1, but is None"):
        AnswerLengthCriteria(None, S1)


@pytest.mark.parametrize("name", ["thinking_limit", "thinking_budget"])
def test_a_misspelt_argument_is_no_silent_no_op(name):
    """What is no argument of ours goes to `generate`, which does not know it either, and says so before it runs."""
    model = tiny_qwen2(S1)
    model.model.forward = MODEL.forward
    with pytest.raises(ValueError, match=f"{name}.*typos in the generate arguments"):
        generate(model, S1, "a", **{name: 5})


@pytest.mark.parametrize("build", [processor, forcing, generating])
@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("max_think_tokens", "max_thinking_tokens"),
        ("max_thinking_token", "max_thinking_tokens"),
        ("num_ignore", "num_ignores"),
        ("wait_texts", "wait_text"),
        ("loopguard", "loop_guard"),
    ],
)
def test_a_misspelt_budget_is_answered_with_the_nearest_name(build, name, meant):
    with pytest.raises(ValueError, match=f"`{name}` is not an argument. Did you mean `{meant}`?"):
        build(**{name: 5})


@pytest.mark.parametrize("build", [processor, forcing, generating])
def test_a_budget_is_a_budget_and_stands_alone(build):
    with pytest.raises(TypeError, match=r"`budget` has to be a Budget, such as `Budget\(max_thinking_tokens=500\)`"):
        build(budget=5)
    with pytest.raises(ValueError, match="`budget` has to stand alone, but `num_ignores` came with it"):
        build(budget=Budget(max_thinking_tokens=5), num_ignores=1)


# -- prompts ------------------------------------------------------------------------------------------------------

NO_PROMPTS = [
    None,
    3,
    [],
    (),
    {"role": "user", "content": "a"},
    {"a"},
    pytest.param(iter("a"), id="iterator"),
    torch.tensor([[1]]),
]


@pytest.mark.parametrize("prompts", NO_PROMPTS, ids=str)
def test_what_is_no_list_of_prompts_is_refused(prompts):
    with pytest.raises(
        ValueError, match="`prompts` has to be a text, a chat, or a list of these with at least one, but"
    ):
        generate(MODEL, S1, prompts)


BAD_CHATS = [
    [[]],
    [{}],
    [{"content": "a"}],
    ["a", None],
    ["a", {"role": "user", "content": "b"}],
    [["a"]],
    [[1, 2, 3]],
    [{"role": "user", "content": "a"}, "b"],
    b"abc",
]


@pytest.mark.parametrize("prompts", BAD_CHATS, ids=repr)
def test_a_malformed_chat_is_refused(prompts):
    with pytest.raises(ValueError, match=r"A prompt has to be a text or a chat, a list of messages such as \{'role'"):
        generate(MODEL, S1, prompts)


@pytest.mark.parametrize("message", [{"role": "user"}, {"role": "user", "content": None}], ids=["absent", "None"])
def test_a_user_message_without_content_is_refused(message):
    with pytest.raises(ValueError, match="content"):
        generate(MODEL, S1, [message])


def test_prompts_that_are_no_tokens_are_refused():
    """Without a chat template a text is the whole prompt, and an empty one is none."""
    tokenizer = toy_tokenizer("seed")
    for prompts in ("", ["a", ""]):
        with pytest.raises(ValueError, match="A prompt has to be at least one token, but '' is none"):
            generate(MODEL, tokenizer, prompts)


def test_a_chat_without_a_template_is_refused():
    with pytest.raises(
        ValueError, match="A chat needs a chat template, which this tokenizer does not have. Pass texts"
    ):
        generate(MODEL, toy_tokenizer("seed"), [{"role": "user", "content": "a"}])


class Silent(BaseStreamer):
    def put(self, value):
        pass

    def end(self):
        pass


@pytest.mark.parametrize(
    ("prompts", "options", "rows"),
    [(["a", "b"], {}, 2), ("a", {"do_sample": True, "num_return_sequences": 3}, 3)],
)
def test_a_streamer_takes_a_single_row(prompts, options, rows):
    with pytest.raises(ValueError, match="`streamer` has to have a single prompt, as in `generate`, but there are"):
        generate(MODEL, S1, prompts, streamer=Silent(), **options)


def test_a_streamer_is_told_the_number_of_rows():
    with pytest.raises(ValueError) as error:
        generate(MODEL, S1, "a", streamer=Silent(), do_sample=True, num_return_sequences=3)
    assert "3 rows" in str(error.value)


# -- reports ------------------------------------------------------------------------------------------------------


def generated(p: BudgetForcingLogitsProcessor, seed: int = 0, **options: Any) -> torch.Tensor:
    only = [*(encode(S1, t)[0] for t in ("a", "b", "\n")), S1.eos_token_id]
    model = toy_model(len(S1), seed, only=only)
    ends = {"eos_token_id": S1.eos_token_id, "pad_token_id": S1.pad_token_id}
    return model.generate(IDS, logits_processor=[p], **({"max_new_tokens": 25} | ends | options))


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


def test_sampling_that_was_not_announced_is_noticed():
    """A processor that takes greedy decoding for granted does not report on a sampled row: 1 in 2,000 would agree."""
    p = processor(max_thinking_tokens=40)
    torch.manual_seed(0)
    out = generated(p, do_sample=True, temperature=3.0, max_new_tokens=60, suppress_tokens=list(p.format.ends))
    with pytest.raises(
        RuntimeError, match=r"was not decoded greedily.*`generation_config`.*`budget_forcing\(model, tok"
    ):
        p.reports(out)


def test_reports_after_beam_search_ask_for_the_beams():
    config = GenerationConfig(num_beams=2, eos_token_id=S1.eos_token_id, pad_token_id=S1.pad_token_id)
    p = processor(max_thinking_tokens=6, generation_config=config)
    out = generated(p, num_beams=2)
    with pytest.raises(
        RuntimeError, match=r"After beam search say which beams were returned: `reports\(model.generate"
    ):
        p.reports()
    assert len(p.reports(out)) == 1


def test_reports_after_sampling_ask_for_the_sequences():
    p = processor(max_thinking_tokens=6, generation_config=GenerationConfig(do_sample=True, top_k=50))
    out = generated(p, do_sample=True)
    with pytest.raises(RuntimeError, match="pass what `generate` returned, `reports"):
        p.reports()
    assert p.reports(out)[0].ended in ("natural", "cut")


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


# -- settings stay as they were checked ---------------------------------------------------------------------------


def test_changing_the_callers_list_does_not_change_a_checked_budget():
    """Settings are frozen: what was checked is what holds."""
    caps = [3, 4]
    budget = Budget(max_thinking_tokens=caps)
    caps[0] = -7
    assert budget.column("max_thinking_tokens", 2) == [3, 4]


@pytest.mark.parametrize("change", [{"close": ()}, {"start": ()}], ids=lambda c: next(iter(c)))
def test_a_format_without_a_delimiter_is_refused(change):
    with pytest.raises(ValueError, match=f"`{next(iter(change))}`"):
        processor(format=replace(ThinkingFormat.from_tokenizer(S1), **change))
