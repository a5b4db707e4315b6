"""The tables of a format: cells, forced runs, what each token does, and texts that may not be forced."""

from __future__ import annotations

import pytest
from transformers import GenerationConfig

from misuse import PLAIN, S1, forcing, generating, processor
from s1_hf import BudgetForcingLogitsProcessor, ThinkingFormat
from s1_hf.forcing.vocabulary import encode
from stances import forced_texts
from toys import byte_tokenizer, metaspace_tokenizer

UNFREE = "has to be free of delimiters and ends of sequence of the '{}' format, but is "


@pytest.mark.parametrize("build", [processor, forcing, generating])
@pytest.mark.parametrize("name", ["wait_text", "answer_prefix"])
@pytest.mark.parametrize("text", ["<|im_start|>", "a<|im_start|>think", "b <|im_start|>answer", "c<|im_end|>"])
def test_a_forced_text_with_a_delimiter_or_an_end_is_refused(build, name, text):
    """It would end the thinking, open it again, or end the sequence."""
    with pytest.raises(ValueError, match=f"`{name}` " + UNFREE.format("s1")):
        build(**{name: text})


def test_one_bad_wait_text_among_several_is_named():
    with pytest.raises(ValueError, match=r"`wait_text` has to be free .* but is 'b<\|im_end\|>' \(ids"):
        processor(wait_text=["a", "b<|im_end|>", "c"])


def test_an_end_of_sequence_of_the_generation_config_is_an_end_too():
    """Every id at which `generate` stops counts, not the tokenizer's alone."""
    config = GenerationConfig(eos_token_id=[S1.eos_token_id, encode(S1, "Hmm")[0]])
    processor(wait_text="Hmm")
    with pytest.raises(ValueError, match="`wait_text` " + UNFREE.format("s1") + "'Hmm'"):
        processor(wait_text="Hmm", generation_config=config)


@pytest.mark.parametrize("text", ["a</think>", "<think>"])
def test_an_answer_prefix_with_a_plain_delimiter_is_refused(text):
    """After closing, thinking does not reopen, and no second end delimiter is emitted."""
    with pytest.raises(ValueError, match="`answer_prefix` " + UNFREE.format("think")):
        BudgetForcingLogitsProcessor(PLAIN, answer_prefix=text)


def test_a_single_token_close_behind_a_plain_start_is_never_spelled_out():
    """If only `start` is plain, `close` is still one token: `<` is text, and the token itself is forced."""
    tokenizer = byte_tokenizer(["<|im_start|>", "<|im_end|>"], added=["</think>"])
    fmt = ThinkingFormat.from_delimiters(tokenizer, start="Hm begin", close="</think>")
    assert not fmt.plain
    prompts = ["<|im_start|>assistant\nHm begin ab <", "<|im_start|>assistant\nHm begin ab </"]
    assert forced_texts(tokenizer, fmt, prompts) == ["\n</think>", "\n</think>"]


SPACED = "{% for m in messages %}<|{{ m['role'] }}|>{{ m['content'] }}{% endfor %}<|assistant|><think>"


def test_forced_texts_have_no_space_of_the_tokenizers_own():
    """Tokenizers that put a space before a text (Llama 2, Mistral) add none to what is forced inside a text."""
    tokenizer = metaspace_tokenizer(["<|user|>", "<|assistant|>", "<think>", "</think>"], ["▁Wait", "Wait"], SPACED)
    fmt = ThinkingFormat.from_tokenizer(tokenizer)
    texts = ["<|assistant|><think>ab", "<|assistant|><think>ab\n"]
    forced = forced_texts(tokenizer, fmt, texts, answer_prefix="So:")
    assert forced == ["\n</think>\nSo:", "</think>\nSo:"]


def test_a_begun_plain_close_is_completed_without_a_space():
    """`</` is completed to `</think>`, not to `</ think>`, which the model does not know."""
    tokenizer = metaspace_tokenizer(["<|user|>", "<|assistant|>"], ["▁</", "</", "think", "▁think"], SPACED)
    fmt = ThinkingFormat.from_tokenizer(tokenizer)
    assert fmt.plain
    assert forced_texts(tokenizer, fmt, ["<|assistant|><think>ab</"]) == ["think>"]
