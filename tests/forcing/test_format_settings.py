"""Thinking formats as files and the command line say them."""

from __future__ import annotations

import pytest

from s1_hf import ThinkingFormat
from s1_hf.forcing.formats import format_of_settings
from toys import toy_tokenizer


def test_settings_are_a_name_a_familys_changes_or_delimiters():
    """What a command line or a file says about the format; without a name the family is detected."""
    tokenizer = toy_tokenizer("think")
    assert format_of_settings(tokenizer, None) == format_of_settings(tokenizer, "think")
    for given in ({"force_start": True}, {"name": "think", "force_start": True}):
        assert format_of_settings(tokenizer, given) == ThinkingFormat.from_tokenizer(tokenizer, force_start=True)
    given = {"start": "<r>", "close": "</r>", "answer_start": "<a>", "turn": "<|im_start|>"}
    assert format_of_settings(tokenizer, given) == ThinkingFormat.from_delimiters(tokenizer, **given)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"start": "<r>", "closes": "</r>"}, "'closes' is none of 'start', 'close', .*; did you mean 'close'"),
        ({"start": "<r>"}, "'start' needs 'close' beside it"),
        ({"close": "</r>", "force_start": True}, "'close' needs 'start' beside it"),
        ({"force_start": "yes"}, "'force_start' has to be true or false, but is 'yes'"),
        ({"start": 1, "close": "</r>"}, "'start' has to be a text, but is 1"),
        ({"handovers": "<|call|>"}, "'handovers' has to be a list of texts, but is '<|call|>'"),
        ({1: "a", "turn": 2}, "1 is none of .*; 'turn' has to be a text, but is 2"),
        ({"call_ends": [1]}, "'call_ends' has to be a list of texts"),
        ({"name": "thinks"}, "name has to be one of 's1', 'think'"),
    ],
)
def test_settings_that_a_format_has_not_are_named(given, message):
    with pytest.raises(ValueError, match=message.replace("|", r"\|")):
        format_of_settings(toy_tokenizer("think"), given)
