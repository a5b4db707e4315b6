"""The table of families: every row can be resolved, and says where it comes from."""

from __future__ import annotations

import pytest

from s1_hf import ThinkingFormat
from s1_hf.forcing.families import FAMILIES
from toys import byte_tokenizer

ROWS = pytest.mark.parametrize("name", FAMILIES)


@ROWS
def test_a_row_resolves_on_a_vocabulary_with_its_tokens(name):
    family = FAMILIES[name]
    tokenizer = byte_tokenizer([*family.tokens, *family.handovers, "<eos>"], eos="<eos>", template=None)
    if name == "kimi_vl":  # letters of several bytes, which this tokenizer splits
        tokenizer = byte_tokenizer([family.start, family.close, "<eos>"], eos="<eos>", template=None)
    fmt = ThinkingFormat.from_tokenizer(tokenizer, name)
    assert tokenizer.decode(fmt.start) == fmt.start_text == family.start
    assert tokenizer.decode(fmt.close) == family.close
    assert tokenizer.decode(fmt.answer_start) == family.answer_start
    assert [tokenizer.decode(i) for i in fmt.handovers] == list(family.handovers)
    assert (fmt.force_start, fmt.interleaved) == (family.force_start, family.interleaved)


@ROWS
def test_a_row_says_whose_it_is_and_where_that_was_read(name):
    assert FAMILIES[name].models and FAMILIES[name].source


@ROWS
def test_a_rows_tokens_are_part_of_its_delimiters(name):
    family = FAMILIES[name]
    assert all(token in "".join(family.texts) for token in family.tokens)


def test_delimiters_that_a_tokenizer_splits_inside_letters_are_refused():
    """Kimi-VL's `◁think▷`: it could not be found in what the model writes."""
    with pytest.raises(ValueError, match="of '◁think▷' it splits one over several tokens"):
        ThinkingFormat.from_tokenizer(byte_tokenizer(["<eos>"], eos="<eos>", template=None), "kimi_vl")
