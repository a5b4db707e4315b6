"""Text that can be seen is left alone; what would hide or reorder it is spelled out."""

import pytest
from hypothesis import given

from hostile import ANY_TEXT, all_examples
from s1_hf.visible import visible


@all_examples
@given(ANY_TEXT)
def test_what_is_visible_can_be_written_and_is_left_as_it_is_when_seen_again(text):
    shown = visible(text)
    shown.encode("utf-8")
    assert visible(shown) == shown
    assert not set(shown) & {*map(chr, range(9)), "\r", "\x1b", "\u202e", "\u2066", "\ud800", "\uffff"}


@pytest.mark.parametrize("text", ["plain\n\ttext", "äßλ 思考 🙂", "👩\u200d🔬", "שלום", "x\u0301"])
def test_text_that_can_be_seen_is_left_alone(text):
    assert visible(text) == text
