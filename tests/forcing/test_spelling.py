"""Tokens as text in which delimiters are looked for: special ones are letters of their own."""

from __future__ import annotations

from s1_hf.forcing.spelling import Spelling, is_whole
from s1_hf.forcing.vocabulary import encode
from toys import toy_tokenizer


def test_special_tokens_are_letters_and_the_rest_is_text():
    spelling = Spelling(("<|a|>", "b", None, "<|a|>", " c"), [0])
    letter, *rest = spelling.text_of([0, 1, 3, 4])
    assert is_whole(letter) and not any(map(is_whole, rest))
    assert "".join(rest) == "b<|a|> c"
    assert spelling.written(spelling.text_of([0, 1])) == "<|a|>b"


def test_ids_that_are_no_token_are_no_text():
    spelling = Spelling(("a", None))
    assert spelling.pieces_of([0, 1, 2, 99]) == ["a", "", "", ""]


def test_a_delimiter_of_one_id_is_found_as_itself_alone():
    tokenizer = toy_tokenizer("plain")
    alone = encode(tokenizer, "Wait")
    assert is_whole(Spelling.of(tokenizer, [alone]).text_of(alone))
    assert Spelling.of(tokenizer).text_of(alone) == "Wait"


def test_text_is_written_in_tokens_again():
    tokenizer = toy_tokenizer("s1")
    spelling = Spelling.of(tokenizer)
    ids = encode(tokenizer, "a<|im_start|>think\n<|im_end|>")
    assert spelling.ids_of(spelling.text_of(ids), tokenizer) == ids


def test_tokens_are_found_by_the_letters_they_begin_with_and_hold():
    spelling = Spelling(("ab", "b", "<|b|>", "cb"), [2])
    assert (spelling.beginning("b"), spelling.holding("b"), spelling.beginning("x")) == ([1], [0, 1, 3], [])
    assert spelling.holding(spelling.symbols[2]) == [2]
