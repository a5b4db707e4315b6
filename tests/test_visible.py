"""Visible text is left unchanged; characters that would hide or reorder it are spelled out."""

import pytest
from hypothesis import given

from hostile import ANY_TEXT, all_examples
from s1_hf.visible import visible


@all_examples
@given(ANY_TEXT)
def test_visible_text_can_be_encoded_and_is_not_changed_again(text):
    shown = visible(text)
    shown.encode("utf-8")
    assert visible(shown) == shown
    assert not set(shown) & {*map(chr, range(9)), "\r", "\x1b", "\u202e", "\u2066", "\ud800", "\uffff"}


@pytest.mark.parametrize("text", ["plain\n\ttext", "äßλ 思考 🙂", "👩\u200d🔬", "שלום", "x\u0301"])
def test_visible_text_is_left_unchanged(text):
    assert visible(text) == text
