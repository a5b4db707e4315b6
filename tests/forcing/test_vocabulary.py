"""Texts of ids as they stand inside other text, and ids that belong to no token."""

from __future__ import annotations

from s1_hf.forcing.vocabulary import Vocabulary, encode
from toys import byte_tokenizer, metaspace_tokenizer, toy_tokenizer


def test_every_token_has_the_text_that_it_adds():
    tokenizer = toy_tokenizer("think")
    vocabulary = Vocabulary.of(tokenizer)
    ids = encode(tokenizer, "Hm Wait</think>\n")
    assert [vocabulary.texts[i] for i in ids] == ["Hm", " ", "Wait", "</think>", "\n"]
    assert len(vocabulary.texts) == len(tokenizer) and vocabulary.unused == []


def test_a_leading_space_is_part_of_a_tokens_text():
    """By itself such a token would be decoded without it."""
    tokenizer = metaspace_tokenizer(["<think>"], ["▁Wait"], None)
    (token,) = (tokenizer.convert_tokens_to_ids(t) for t in ["▁Wait"])
    assert tokenizer.decode([token]) == "Wait"
    assert Vocabulary.of(tokenizer).texts[token] == " Wait"


def test_special_and_added_tokens_are_told_from_text():
    tokenizer = toy_tokenizer("think")
    special = Vocabulary.of(tokenizer).special
    assert set(tokenizer.convert_tokens_to_ids(["<think>", "</think>", "<|im_end|>", "<|pad|>"])) <= special
    assert not {tokenizer.convert_tokens_to_ids("a"), tokenizer.convert_tokens_to_ids("Wait")} & special


def test_a_vocabulary_is_read_once_and_again_when_it_has_grown():
    tokenizer = byte_tokenizer(["<|im_start|>", "<|im_end|>"])
    before = Vocabulary.of(tokenizer)
    assert Vocabulary.of(tokenizer) is before
    tokenizer.add_tokens(["<new>"])
    assert Vocabulary.of(tokenizer).texts[-1] == "<new>" and len(before.texts) == len(tokenizer) - 1


def test_a_text_is_encoded_without_a_space_or_an_end_of_its_own():
    tokenizer = metaspace_tokenizer(["<think>"], ["▁Wait", "Wait"], None)
    assert tokenizer.encode("Wait", add_special_tokens=False) == [tokenizer.convert_tokens_to_ids("▁Wait")]
    assert encode(tokenizer, "Wait") == (tokenizer.convert_tokens_to_ids("Wait"),)
    assert encode(tokenizer, " Wait") == (tokenizer.convert_tokens_to_ids("▁Wait"),)
    assert encode(tokenizer, "") == ()
