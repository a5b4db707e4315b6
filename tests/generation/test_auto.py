"""`max_thinking_tokens="auto"`: all the room there is, less the closing sequences and a reserve for the answer."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from transformers import GenerationConfig

from misuse import IDS, S1, generating, processor
from s1_hf import ThinkingFormat, generate
from s1_hf.forcing.vocabulary import encode
from toys import ToyConfig, Untouched
from wishes import babbler, chat, family_of, length, prompt_of


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


def test_auto_in_a_context_without_room_is_refused():
    """Where nothing is said of lengths, the room is what the context leaves: 64 positions are no 115."""
    model = Untouched(ToyConfig(vocab_size=len(S1), max_position_embeddings=64))
    with pytest.raises(ValueError, match="has to leave room for delimiters"):
        generate(model, S1, "a", max_thinking_tokens="auto")


def closing_length(tokenizer: Any, fmt: ThinkingFormat, prefix: str | None) -> int:
    return 1 + len(fmt.close) + (0 if prefix is None else length(tokenizer, "\n" + prefix))


@pytest.mark.parametrize("prefix", ["Final Answer:", None])
@pytest.mark.parametrize("new", [150, 200])
def test_auto_leaves_100_tokens_for_the_answer(prefix, new):
    """All of `max_new_tokens` but the forced start, newline, close and prefix, and 100 tokens of answer."""
    tokenizer, fmt = family_of("s1")
    model = babbler(tokenizer, ends=False)
    options = {"max_thinking_tokens": "auto", "answer_prefix": prefix, "max_new_tokens": new}
    for completion in generate(model, tokenizer, ["a", "bcdefghi"], **options):
        report = completion.report
        assert report.ended == "cut"
        assert report.thinking_tokens == new - len(fmt.start) - closing_length(tokenizer, fmt, prefix) - 100
        newline = report.thinking_tokens + 2 + len(fmt.close) + 1 + report.answer_tokens == new
        forced_prefix = 0 if prefix is None else length(tokenizer, "\n" + prefix)
        assert report.answer_tokens == forced_prefix + 100 + (not newline)


@pytest.mark.parametrize("limit", ["max_length", "context", "max_length of the model"])
def test_auto_counts_the_prompt_where_the_whole_length_is_limited(limit):
    """With `max_length`, or the model's context, the padded prompt takes its part of the room."""
    tokenizer, fmt = family_of("s1")
    model = babbler(tokenizer, ends=False, max_position_embeddings=190 if limit == "context" else 4096)
    if limit == "max_length of the model":
        model.generation_config.max_length = 190
    options = {"max_length": 190} if limit == "max_length" else {}
    users = ["a", "b" * 20]
    completions = generate(model, tokenizer, users, max_thinking_tokens="auto", **options)
    prompt = length(tokenizer, prompt_of(tokenizer, users[1]))
    room = 190 - prompt - len(fmt.start) - closing_length(tokenizer, fmt, "Final Answer:") - 100
    assert [c.report.thinking_tokens for c in completions] == [room, room]
    assert [len(c.token_ids) for c in completions] == [190 - prompt] * 2


def test_auto_adds_what_the_prompt_has_thought_already():
    """The cap is on all thinking tokens, the room is for new ones, and an open block needs no opening delimiter."""
    tokenizer, fmt = family_of("s1")
    model = babbler(tokenizer, ends=False)
    options = {"max_thinking_tokens": "auto", "max_new_tokens": 150}
    plain, thought = generate(model, tokenizer, [chat("q"), chat("q", "<|im_start|>think" + "ab" * 10)], **options)
    assert thought.report.thinking_tokens - plain.report.thinking_tokens == 20 + len(fmt.start)


def test_auto_uses_all_the_room_where_the_template_opens_thinking():
    tokenizer, fmt = family_of("opened")
    model = babbler(tokenizer, ends=False)
    (completion,) = generate(model, tokenizer, "q", max_thinking_tokens="auto", max_new_tokens=150)
    assert completion.report.thinking_tokens == 150 - closing_length(tokenizer, fmt, "Final Answer:") - 100


@pytest.mark.parametrize("share", [0.001, 0.25, 0.5, 0.999, 1])
@pytest.mark.parametrize("user", ["q", chat("q", "<|im_start|>think" + "ab" * 10)], ids=["new", "begun"])
def test_a_share_is_of_what_auto_allows(user, share):
    """Rounded to whole tokens; thinking that the prompt has begun counts, and is more than the smallest share."""
    tokenizer, _ = family_of("s1")
    model = babbler(tokenizer, ends=False)
    options = {"max_thinking_tokens": "auto", "max_new_tokens": 250}
    (whole,) = generate(model, tokenizer, user, **options)
    (part,) = generate(model, tokenizer, user, **options, thinking_share=share)
    begun = 0 if user == "q" else 20
    assert whole.report.thinking_tokens > 100
    assert part.report.thinking_tokens == max(begun, round(share * whole.report.thinking_tokens))
    assert part.report.ended == "cut" and part.report.answer_tokens >= whole.report.answer_tokens


def test_each_row_has_its_share_of_its_own_room():
    tokenizer, _ = family_of("s1")
    model = babbler(tokenizer, ends=False)
    options = {"max_thinking_tokens": "auto", "max_new_tokens": 250}
    prompts = [chat("q"), chat("q", "<|im_start|>think" + "ab" * 10)]
    whole = [c.report.thinking_tokens for c in generate(model, tokenizer, prompts, **options)]
    part = [c.report.thinking_tokens for c in generate(model, tokenizer, prompts, **options, thinking_share=0.5)]
    assert part == [round(n / 2) for n in whole] and part[0] != part[1]


def test_a_share_that_leaves_less_than_the_minimum_or_the_stop_message_is_refused():
    auto = {"max_thinking_tokens": "auto", "max_new_tokens": 150}
    with pytest.raises(ValueError, match="`min_thinking_tokens` has to be at most .* is 20 and 'auto' leaves"):
        generating(**auto, min_thinking_tokens=20, thinking_share=0.5)
    with pytest.raises(ValueError, match="`thinking_share` has to leave room for `cut_text`, 20 tokens"):
        generating(**auto, cut_text="a" * 20, thinking_share=0.3)


def test_a_share_without_auto_is_refused():
    with pytest.raises(ValueError, match='`thinking_share` has no effect without `max_thinking_tokens="auto"`'):
        generating(max_thinking_tokens=50, thinking_share=0.5)
