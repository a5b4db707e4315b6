"""Thinking formats: what is detected, the delimiters' ids, and where a prompt leaves its assistant's turn."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from misuse import MODEL, S1, forcing, generating, processor
from s1_hf import (
    AnswerLengthCriteria,
    BudgetForcingLogitsProcessor,
    ThinkingEndCriteria,
    ThinkingFormat,
    budget_forcing,
    generate,
)
from s1_hf.forcing.vocabulary import Vocabulary, encode
from shared_data import needs_shared, qwen
from stances import BY_FAMILY
from toys import WORDS, ToyModel, byte_tokenizer, toy_tokenizer

# -- shipped families on toy tokenizers ---------------------------------------------------------------------------


@BY_FAMILY
@pytest.mark.parametrize("named", [False, True])
def test_a_shipped_format_has_its_delimiters_whether_named_or_detected(row, named):
    """Name, start, close, ends, turn and flags of every shipped family on its toy tokenizer."""
    family, name, start, close, ends, turn, force_start, plain = row
    tokenizer = toy_tokenizer(family)
    fmt = ThinkingFormat.from_tokenizer(tokenizer, name if named else None)
    assert fmt.name == name
    assert [tokenizer.decode(ids) for ids in (fmt.start, fmt.close, fmt.ends, fmt.turn)] == [start, close, ends, turn]
    assert (fmt.start_text, fmt.close_text) == (start, close)
    assert (fmt.force_start, fmt.plain, fmt.interleaved) == (bool(force_start), bool(plain), name == "harmony")


# -- custom delimiters --------------------------------------------------------------------------------------------


def test_custom_delimiters_keep_what_they_were_given():
    """Name, flags, texts and turn of one's own go into the format."""
    tokenizer = toy_tokenizer("think")
    fmt = ThinkingFormat.from_delimiters(
        tokenizer,
        start="<think>",
        close="</think>",
        force_start=True,
        interleaved=True,
        turn="<|im_start|>system",
        name="mine",
    )
    assert (fmt.name, fmt.force_start, fmt.interleaved, fmt.plain) == ("mine", True, True, False)
    assert fmt.turn == encode(tokenizer, "<|im_start|>system") != ThinkingFormat.from_tokenizer(tokenizer).turn


def test_an_end_of_sequence_that_is_the_delimiter_is_one_end():
    """`ends` lists every id once, the delimiter's first."""
    tokenizer = byte_tokenizer(["<|im_start|>", "<|im_end|>", "</r>"], eos="</r>")
    fmt = ThinkingFormat.from_delimiters(tokenizer, start="<r>", close="</r>")
    assert fmt.ends == fmt.close == (tokenizer.eos_token_id,)


# -- refusals -----------------------------------------------------------------------------------------------------


def test_every_field_can_be_overridden():
    """A family is a beginning: turn, interleaving, forced start, answer block and handovers are the caller's."""
    tokenizer = toy_tokenizer("think")
    fmt = ThinkingFormat.from_tokenizer(
        tokenizer, turn="A:", interleaved=True, force_start=True, answer_start="so", handovers=["<|im_end|>"]
    )
    assert (fmt.turn_text, fmt.interleaved, fmt.force_start, fmt.answer_start_text) == ("A:", True, True, "so")
    assert fmt.handovers == (tokenizer.eos_token_id,)
    assert fmt.ends == fmt.close


def test_what_ends_a_tool_call_is_read_off_the_vocabulary_or_said():
    """Known ends of calls that are one token and no delimiter; a caller's own instead, or none."""
    tokenizer = byte_tokenizer(
        ["<|im_start|>", "<|im_end|>", "<|tool_calls_section_end|>"], added=["<think>", "</think>", "</done>"]
    )
    assert ThinkingFormat.from_tokenizer(toy_tokenizer("think")).call_ends == ()
    assert call_ends_of(tokenizer, ThinkingFormat.from_tokenizer(tokenizer)) == ["<|tool_calls_section_end|>"]
    own = ThinkingFormat.from_tokenizer(tokenizer, call_ends=["</done>", "</think>"])
    assert call_ends_of(tokenizer, own) == ["</done>"]
    assert ThinkingFormat.from_tokenizer(tokenizer, call_ends=()).call_ends == ()


def call_ends_of(tokenizer, fmt):
    return tokenizer.convert_ids_to_tokens(list(fmt.call_ends))


@pytest.mark.parametrize("name", ["s1", "harmony", "magistral", "seed"])
def test_a_named_format_needs_its_tokens(name):
    """The tokens that are missing are named; only `think` may be several plain tokens."""
    tokenizer = byte_tokenizer(["<eos>"], eos="<eos>", template=None)
    missing = {"s1": r"<\|im_start\|>", "harmony": r"<\|channel\|>", "magistral": r"\[/THINK\]", "seed": "<seed:think>"}
    with pytest.raises(ValueError, match=f"The thinking format '{name}' needs .*'{missing[name]}'.* as single tokens"):
        ThinkingFormat.from_tokenizer(tokenizer, name)
    assert ThinkingFormat.from_tokenizer(tokenizer, "think").plain


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"start": ""}, "`start` has to be a text such as '<think>', but is ''"),
        ({"close": " \n"}, r"`close` has to be a text such as '<think>', but is ' \\n'"),
        ({"start": None}, "`start` has to be a text such as '<think>', but is None"),
        ({"close": 7}, "`close` has to be a text such as '<think>', but is 7"),
        ({"close": "<think>"}, "have to be told apart, but '<think>' is part of '<think>'"),
        ({"start": "think"}, "have to be told apart, but 'think' is part of '</think>'"),
        ({"close": "<think>!"}, "have to be told apart, but '<think>' is part of '<think>!'"),
    ],
)
def test_delimiters_that_are_none_are_refused(options, match):
    with pytest.raises(ValueError, match=match):
        ThinkingFormat.from_delimiters(toy_tokenizer("s1"), **({"start": "<think>", "close": "</think>"} | options))


def test_interleaved_needs_delimiters_that_begin_differently():
    with pytest.raises(ValueError, match="`interleaved` has to be False when both delimiters begin with the same"):
        ThinkingFormat.from_delimiters(
            toy_tokenizer("s1"), start="<|im_start|>think", close="<|im_start|>answer", interleaved=True
        )


def test_delimiters_that_the_tokenizer_cannot_write_are_refused():
    """A tokenizer that makes one unknown token of both delimiters cannot tell them apart."""
    core = Tokenizer(models.WordLevel({"[UNK]": 0, "a": 1, "</s>": 2}, unk_token="[UNK]"))
    core.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=core, eos_token="</s>", unk_token="[UNK]")
    with pytest.raises(ValueError, match="begin"):
        ThinkingFormat.from_delimiters(tokenizer, start="begin", close="end")


@pytest.mark.parametrize("family", ["think", "magistral"])
def test_a_format_of_another_tokenizer_is_refused(family):
    """Wrong ids are the commonest silent failure of all (SGLang's Qwen3 class on Qwen3.5)."""
    foreign = ThinkingFormat.from_tokenizer(toy_tokenizer(family))
    with pytest.raises(ValueError, match="tokenizer"):
        BudgetForcingLogitsProcessor(toy_tokenizer("s1"), format=foreign)


def test_a_format_of_another_tokenizer_with_ids_that_exist_is_refused():
    """Here the foreign ids exist and stand for other texts, so that budgets would silently do nothing."""
    other = byte_tokenizer(["<|im_start|>", "<|im_end|>"], words=WORDS[:-1], added=["<think>", "</think>"])
    foreign = ThinkingFormat.from_tokenizer(other)
    with pytest.raises(ValueError, match="tokenizer"):
        BudgetForcingLogitsProcessor(toy_tokenizer("think"), format=foreign)


# -- real tokenizers and templates --------------------------------------------------------------------------------


@needs_shared
def test_qwen2_5_is_s1():
    """The ids that s1's own harness uses."""
    tokenizer = qwen("qwen2.5-instruct")
    fmt = ThinkingFormat.from_tokenizer(tokenizer, "s1")
    assert (fmt.name, fmt.start, fmt.close) == ("s1", (151644, 26865), (151644, 9217))
    assert (fmt.ends, fmt.turn) == ((151644, 151645), (151644, 77091))
    assert (encode(tokenizer, "Wait"), len(Vocabulary.of(tokenizer).texts)) == ((14190,), 151665)


@needs_shared
def test_qwen2_5_has_think_as_plain_tokens():
    fmt = ThinkingFormat.from_tokenizer(qwen("qwen2.5-instruct"), "think")
    assert (fmt.start, fmt.close, fmt.ends) == ((13708, 766, 29), (522, 26865, 29), (151645,))
    assert (fmt.plain, fmt.force_start) == (True, False)


@needs_shared
def test_qwen3_is_think():
    fmt = ThinkingFormat.from_tokenizer(qwen("qwen3"))
    assert (fmt.name, fmt.start, fmt.close) == ("think", (151667,), (151668,))
    assert (fmt.ends, fmt.turn, fmt.plain) == ((151668, 151645), (151644, 77091), False)


def test_a_delimiter_that_generate_stops_inside_is_refused():
    """`eos_token_id=[<|im_start|>, <|im_end|>]`, as in s1's vLLM harness, would stop every row at its first token."""
    both = [S1.convert_tokens_to_ids("<|im_start|>"), S1.eos_token_id]
    with pytest.raises(ValueError, match="eos_token_id"):
        budget_forcing(MODEL, S1, eos_token_id=both, max_thinking_tokens=4)


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
    with pytest.raises(
        ValueError, match=rf"'harmony' needs '<\|start\|>' and .* as single tokens, .* \({len(S1)} tokens\)"
    ):
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


def test_a_tokenizer_of_mistral_common_is_refused_with_what_to_load_instead():
    """It never makes control tokens from text: `[THINK]` would be letters that the model never writes."""

    class MistralCommonBackend(type(S1)):
        pass

    tokenizer = toy_tokenizer("magistral")
    tokenizer.__class__ = MistralCommonBackend
    for build in TAKES_TOKENIZER:
        with pytest.raises(TypeError, match=r"is MistralCommonBackend, .*PreTrainedTokenizerFast.from_pretrained\("):
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


@pytest.mark.parametrize("change", [{"close": ()}, {"start": ()}], ids=lambda c: next(iter(c)))
def test_a_format_without_a_delimiter_is_refused(change):
    with pytest.raises(ValueError, match=f"`{next(iter(change))}`"):
        processor(format=replace(ThinkingFormat.from_tokenizer(S1), **change))


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"handovers": ["nosuch"]}, "`handovers` have to be single tokens of this tokenizer, which ['nosuch'] are not"),
        ({"call_ends": "x"}, "'call_ends' has to be a list of texts, but is 'x'"),
        ({"force_start": "yes"}, "'force_start' has to be true or false"),
        ({"turn": 5}, "'turn' has to be a text, but is 5"),
        ({"interleave": True}, "'interleave' is none of .*; did you mean 'interleaved'"),
        ({"tool_results": ["<a>"]}, "'tool_results' has to be a list of pairs of texts"),
    ],
    ids=str,
)
def test_overrides_are_checked(given, message):
    with pytest.raises(ValueError, match=message.replace("[", r"\[")):
        ThinkingFormat.from_tokenizer(toy_tokenizer("think"), **given)
