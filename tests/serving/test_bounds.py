"""A prompt that cannot fit, whatever its texts are, is refused; one that might is not."""

from __future__ import annotations

import json

import pytest

from s1_hf import embedded
from s1_hf.serving import bounds
from s1_hf.serving.bounds import Bounds

BOUNDS = Bounds(10, 3)  # 30 characters
LONG = "a" * 31


def message(content) -> dict:
    return {"role": "u", "content": content}


@pytest.mark.parametrize(
    "body",
    [
        {"messages": [message("a" * 31)]},
        {"messages": [message([{"type": "text", "text": LONG}])]},
        {"messages": [message("a" * 8)] * 4},
        {"messages": [message("")] * 11},
        {"messages": [message([{}] * 5)] * 9},
        {"prompt": LONG},
        {"prompt": ["a", LONG]},
        {"prompt": [1] * 11},
        {"prompt": [[1], [1] * 11]},
        {"input": LONG},
        {"input": [{"content": LONG}]},
        {"instructions": LONG, "input": "a"},
        {"system": [{"text": LONG}], "messages": []},
        {"tools": [{"description": LONG}]},
    ],
    ids=lambda body: json.dumps(body)[:60],
)
def test_what_cannot_fit_is_refused(body):
    with pytest.raises(ValueError, match="The prompt has to fit into the context of 10 tokens, but would not"):
        BOUNDS.check(body)
    Bounds().check(body)


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"prompt": "a" * 30},
        {"prompt": ["a" * 30] * 30},
        {"prompt": [1] * 10},
        {"prompt": [[1] * 10] * 30},
        {"prompt": None, "messages": [message("a" * 20)]},
        {"messages": [message([{"type": "image_url", "image_url": {"url": LONG}}])]},
        {"stop": LONG, "metadata": {"a": LONG}},
    ],
    ids=lambda body: json.dumps(body)[:60],
)
def test_what_might_fit_is_not(body):
    BOUNDS.check(body)


def test_of_a_text_that_cannot_fit_no_more_is_read_than_would_fill_the_context(monkeypatch):
    monkeypatch.setattr(bounds, "_PIECE", 100)
    read = []

    def tokenize(text):
        read.append(len(text))
        return text.split()

    asked = {"messages": [message("1 2 3 4 5 " * 300)]}
    with pytest.raises(ValueError, match="context of 200 tokens, but its texts have more"):
        Bounds(200, 20, tokenize).check(asked)
    assert sum(read) < 1000 and max(read) == 100  # 50 tokens of each piece, less 20 of one that may have been cut
    Bounds(1400, 3, tokenize).check(asked)
    for cut in ({"truncate_prompt_tokens": 100}, {"truncation": "auto"}):
        Bounds(200, 20, tokenize).check({**asked, **cut})
    Bounds(200, 20, tokenize).check({"messages": [{**asked["messages"][0], "role": "assistant"}]})  # thinking goes


def test_no_text_that_fits_is_refused():
    """The longest token, as often as the context takes it."""
    tokenizer = embedded.load()[1]
    of_model = Bounds.of(tokenizer, 50)
    text = max(tokenizer.get_vocab(), key=len) * 50
    assert len(tokenizer(text)["input_ids"]) == 50
    of_model.check({"prompt": text})
    with pytest.raises(ValueError, match="has to fit"):
        of_model.check({"prompt": text + "a"})
    with pytest.raises(ValueError, match="its texts have more"):
        of_model.check({"prompt": "1 2 " * 60})
