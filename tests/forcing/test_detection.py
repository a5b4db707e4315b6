"""Which family a tokenizer belongs to: what its folder says, whole tokens, the chat template's tags."""

from __future__ import annotations

import pytest
from transformers import AutoTokenizer

from s1_hf import ThinkingFormat
from s1_hf.forcing.detection import detect_with_reason
from s1_hf.forcing.families import SIGN
from toys import CHATML, CHATML_OPENED, FAMILIES, byte_tokenizer, toy_tokenizer


def test_a_tokenizer_with_no_delimiters_is_told_what_was_looked_for():
    """The error names every family's tokens and both ways out."""
    tokenizer = byte_tokenizer(["<eos>"], eos="<eos>", template=None)
    with pytest.raises(ValueError, match="has the delimiters of none") as error:
        ThinkingFormat.from_tokenizer(tokenizer)
    told = str(error.value)
    wanted = ["<|im_start|>", "<think> </think>", "<|channel|>", "[THINK]", "<seed:think>", "from_delimiters(tokenizer"]
    assert [part for part in wanted if part not in told] == []


def test_a_tokenizer_with_two_families_is_not_guessed():
    """Both families are named; naming one of them resolves it."""
    tokenizer = byte_tokenizer(["<eos>"], added=["<think>", "</think>", "[THINK]", "[/THINK]"], eos="<eos>")
    with pytest.raises(ValueError, match=r"has the delimiters of several \(think, magistral\)"):
        ThinkingFormat.from_tokenizer(tokenizer)
    assert ThinkingFormat.from_tokenizer(tokenizer, "magistral").start_text == "[THINK]"


def test_think_wins_over_the_chatml_vocabulary_it_stands_in():
    """A ChatML vocabulary says nothing by itself: `s1`, which forces tokens, is never guessed."""
    both = byte_tokenizer(["<|im_start|>", "<|im_end|>"], added=["<think>", "</think>"])
    half = byte_tokenizer(["<|im_start|>", "<|im_end|>"], added=["<think>"])
    assert ThinkingFormat.from_tokenizer(both).name == "think"
    for tokenizer in (half, byte_tokenizer(["<|im_start|>", "<|im_end|>"])):
        with pytest.raises(ValueError, match="has the delimiters of none.*has to be named: `format='s1'`"):
            ThinkingFormat.from_tokenizer(tokenizer)
        assert ThinkingFormat.from_tokenizer(tokenizer, "s1").force_start


def test_s1_is_known_by_the_sign_of_its_folder_or_its_name():
    """What s1-hf saves says it in tokenizer_config.json; simplescaling's own models by their names."""
    assert ThinkingFormat.from_tokenizer(toy_tokenizer("s1")).name == "s1"
    names = ["simplescaling/s1.1-32B", "/cache/models--simplescaling--s1-32B/snapshots/a", "models/s1.1-7B"]
    for name in names:
        tokenizer = byte_tokenizer(["<|im_start|>", "<|im_end|>"])
        tokenizer.name_or_path = name
        assert ThinkingFormat.from_tokenizer(tokenizer).name == "s1"


def test_a_folder_may_name_delimiters_of_its_own(tmp_path):
    """The sign holds a family's name or the arguments of `from_delimiters`, and survives being saved."""
    tokenizer = byte_tokenizer(["<|im_start|>", "<|im_end|>"])
    tokenizer.init_kwargs[SIGN] = {"start": "<r>", "close": "</r>", "force_start": True}
    tokenizer.save_pretrained(tmp_path)
    fmt = ThinkingFormat.from_tokenizer(AutoTokenizer.from_pretrained(tmp_path), interleaved=True)
    assert (fmt.start_text, fmt.close_text, fmt.force_start, fmt.interleaved) == ("<r>", "</r>", True, True)


def test_the_reason_of_a_detection_is_said():
    """By what a family was found: the folder's sign, whole tokens, the template's tags, simplescaling's names."""
    signed = byte_tokenizer(["<|im_start|>", "<|im_end|>"])
    signed.init_kwargs[SIGN] = "s1"
    tagged = byte_tokenizer(["<|im_start|>", "<|im_end|>"], template=CHATML_OPENED + "{# </think> #}")
    half = byte_tokenizer(["<|im_start|>", "<|im_end|>"], template=CHATML_OPENED)
    named = byte_tokenizer(["<|im_start|>", "<|im_end|>"])
    named.name_or_path = "simplescaling/s1-32B"
    several = byte_tokenizer(["<|im_start|>"], added=["<think>", "</think>", "[THINK]", "[/THINK]"], eos="<|im_start|>")
    several.chat_template = CHATML_OPENED + "{# </think> #}"
    reasons = {
        "s1: the folder says so: `thinking_format` in its tokenizer_config.json": signed,
        "magistral: whole tokens of the vocabulary": toy_tokenizer("magistral"),
        "think: delimiters that the chat template names": tagged,
        "think: a delimiter that the chat template names": half,
        "s1: the name of simplescaling's models": named,
        "think: whole tokens of the vocabulary, and of several families the one whose delimiters the chat template "
        "names": several,
    }
    assert {": ".join(map(str, detect_with_reason(tokenizer))) for tokenizer in reasons.values()} == reasons.keys()


@pytest.mark.parametrize("sign", [{}, {"force_start": True}, ["think"], "of a later version", 1, None])
def test_a_sign_that_names_nothing_is_passed_over(sign):
    tokenizer = toy_tokenizer("think")
    tokenizer.init_kwargs[SIGN] = sign
    assert detect_with_reason(tokenizer) == ("think", "whole tokens of the vocabulary")


def test_a_sign_may_name_a_family_and_change_a_part_of_it():
    tokenizer = toy_tokenizer("think")
    tokenizer.init_kwargs[SIGN] = {"name": "think", "force_start": True}
    fmt = ThinkingFormat.from_tokenizer(tokenizer)
    assert (fmt.name, fmt.force_start) == ("think", True)


@pytest.mark.parametrize("tag", ["mm:think", "longcat_think"])
def test_a_tag_that_ends_like_another_is_not_that_one(tag):
    """`<mm:think>` holds `think>` and is not `<think>`."""
    template = "{{ messages[0].content }}{% if add_generation_prompt %}<a><" + tag + ">{% endif %}{# </" + tag + "> #}"
    for added in ([f"<{tag}>", f"</{tag}>"], []):
        tokenizer = byte_tokenizer(["<a>", "<eos>"], added=added, eos="<eos>", template=template)
        assert ThinkingFormat.from_tokenizer(tokenizer).start_text == f"<{tag}>"


@pytest.mark.parametrize(
    "pair",
    [
        ("<reasoning>", "</reasoning>"),
        ("<|think_start|>", "<|think_end|>"),
        ("[REASON]", "[/REASON]"),
        ("<|begin_of_cot|>", "<|end_of_cot|>"),
    ],
)
@pytest.mark.parametrize("added", [[], ["<think>", "</think>"]], ids=["no tags", "think in the vocabulary"])
def test_unknown_tags_of_a_template_are_named(pair, added):
    """Also where the vocabulary has a family's tokens that the template never uses."""
    template = CHATML + "{# " + " ".join(pair) + " #}"
    tokenizer = byte_tokenizer(["<|im_start|>", "<|im_end|>"], added=added, template=template)
    with pytest.raises(ValueError) as error:
        ThinkingFormat.from_tokenizer(tokenizer)
    assert f"start={pair[0]!r}, close={pair[1]!r}" in str(error.value)


def test_a_template_that_names_the_tags_does_not_outweigh_the_vocabulary():
    """Templates strip `<think>` of other models from earlier turns; whole tokens say more than a template's text."""
    tokenizer = toy_tokenizer("magistral")
    tokenizer.chat_template = "{# not </think> #}" + FAMILIES["magistral"]["template"]
    assert ThinkingFormat.from_tokenizer(tokenizer).name == "magistral"


def test_a_delimiter_with_a_line_end_is_named_by_a_template_that_escapes_it():
    """Gemma-4's opens with a line end, which its template writes as `\\n`; that outweighs tokens it never uses."""
    template = CHATML + "{% if thinks is defined %}{{ '<|channel>thought\\n<channel|>' }}{% endif %}"
    tokenizer = byte_tokenizer(["<|im_start|>", "<|im_end|>"], added=["<think>", "</think>"], template=template)
    assert detect_with_reason(tokenizer) == ("gemma4", "delimiters that the chat template names")


def test_a_template_that_names_the_tags_is_enough_for_think():
    """Plain tags are detected by the chat template, be it one text or several by name."""
    tokenizer = byte_tokenizer(["<|im_start|>", "<|im_end|>"])
    tokenizer.chat_template = {"default": CHATML_OPENED, "tool_use": CHATML}
    fmt = ThinkingFormat.from_tokenizer(tokenizer)
    assert (fmt.name, fmt.plain, tokenizer.decode(fmt.turn)) == ("think", True, "<|im_start|>assistant")


@pytest.mark.parametrize(
    ("tokens", "opening"),
    [
        (["<|open|>", "<|close|>", "<|sep|>"], "<|open|>reflect<|sep|>"),
        (["<|start|>", "<|channel|>", "<|message|>", "<|end|>"], "<|channel|>thinking<|message|>"),
        (["<|channel>", "<channel|>"], "<|channel>reasoning"),
        (["<think>", "</think>"], "<<think>>"),
        ([], "<<think>>x<</think>>"),
        ([], "<think effort=high>x</think>"),
    ],
)
def test_tokens_of_a_family_with_other_words_are_not_that_family(tokens, opening):
    """`<|channel|>` and the like belong to messages; what stands behind them says whether it is thinking."""
    template = CHATML.replace("assistant\n{% endif %}", "assistant\n" + opening + "{% endif %}")
    tokenizer = byte_tokenizer(["<|im_start|>", "<|im_end|>", *tokens], template=template)
    with pytest.raises(ValueError, match="where that family opens thinking by"):
        ThinkingFormat.from_tokenizer(tokenizer)


def test_a_tag_without_a_pair_is_shown():
    tokenizer = byte_tokenizer(["<|im_start|>", "<|im_end|>"], template=CHATML + "{# <|reasoning|> and <|response|> #}")
    with pytest.raises(ValueError, match=r"though its chat template names '<\|reasoning\|>'"):
        ThinkingFormat.from_tokenizer(tokenizer)
