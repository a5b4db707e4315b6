"""Text as it is generated: whole characters, in order, and what each piece is."""

import itertools

import pytest
import torch
from transformers.modeling_outputs import CausalLMOutput

from s1_hf import budget_forcing, embedded, generate
from s1_hf.generation.chats import Completion
from s1_hf.generation.streaming import ThinkingStreamer
from toys import ToyConfig, ToyModel, toy_tokenizer

QUESTION = embedded.Problem(2, 7, 3, 8).question


@pytest.fixture(scope="module")
def lamps():
    return embedded.load()


class Scripted(ToyModel):
    """Writes `script`, whatever it is asked; a forced token takes the place of one of the script's."""

    def __init__(self, tokenizer, script: str) -> None:
        super().__init__(ToyConfig(vocab_size=len(tokenizer)))
        self.script, self.start = tokenizer.encode(script, add_special_tokens=False), 0

    def forward(self, input_ids, **kwargs) -> CausalLMOutput:
        self.start = self.start or input_ids.shape[1]
        logits = torch.zeros(1, 1, self.config.vocab_size)
        logits[..., self.script[input_ids.shape[1] - self.start]] = 9.0
        return CausalLMOutput(logits=logits)


def streamed(model, tokenizer, prompt=QUESTION, **settings) -> tuple[list[tuple[str, str]], Completion]:
    """The pieces, and what `generate` returned."""
    pieces: list[tuple[str, str]] = []
    streamer = ThinkingStreamer(lambda text, kind: pieces.append((text, kind)))
    (completion,) = generate(model, tokenizer, prompt, streamer=streamer, **settings)
    return pieces, completion


def texts_by_kind(pieces: list[tuple[str, str]]) -> list[tuple[str, str]]:
    """Neighbours of one kind joined."""
    return [(kind, "".join(t for t, _ in run)) for kind, run in itertools.groupby(pieces, lambda piece: piece[1])]


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"num_ignores": 2},
        {"max_thinking_tokens": 16},
        {"max_new_tokens": 20},
        {"do_sample": True, "num_ignores": 1},
    ],
    ids=str,
)
def test_the_pieces_are_the_completions_text(lamps, settings):
    pieces, completion = streamed(*lamps, **{"max_new_tokens": 300} | settings)
    assert "".join(text for text, _ in pieces) == completion.text


def test_forced_pieces_are_the_forced_tokens(lamps):
    model, tokenizer = lamps
    pieces, completion = streamed(model, tokenizer, num_ignores=2, max_new_tokens=300)
    forced = [t for t, f in zip(completion.token_ids, completion.forced, strict=True) if f]
    assert "".join(text for text, kind in pieces if kind == "forced") == tokenizer.decode(forced)
    assert sum(text == "Wait" for text, kind in pieces if kind == "forced") == 2


def test_a_cut_is_forced_between_thinking_and_answer(lamps):
    pieces, completion = streamed(*lamps, max_thinking_tokens=16, max_new_tokens=300)
    (_, opening), (thinks, thought), (_, closing), (kind, answer) = texts_by_kind(pieces)
    assert opening == "<|im_start|>think" and closing == "\n<|im_start|>answer\nFinal Answer:"
    assert thinks == "thinking" and thought.strip() == completion.thinking
    assert kind == "answer" and "Final Answer:" + answer == completion.answer


def test_the_models_own_opening_belongs_to_its_thinking():
    tokenizer = toy_tokenizer("think")
    pieces, _ = streamed(Scripted(tokenizer, "<think>a</think>b<|im_end|>"), tokenizer, "x", max_new_tokens=20)
    assert texts_by_kind(pieces) == [("thinking", "<think>a"), ("forced", "</think>"), ("answer", "b")]


def test_what_the_prompt_has_opened_is_thinking():
    tokenizer = toy_tokenizer("opened")
    pieces, _ = streamed(Scripted(tokenizer, "a</think>b<|im_end|>"), tokenizer, "x", max_new_tokens=20)
    assert texts_by_kind(pieces) == [("thinking", "a"), ("forced", "</think>"), ("answer", "b")]


def test_a_character_of_several_tokens_comes_whole():
    tokenizer = toy_tokenizer("opened")
    assert len(tokenizer.encode("é€😀")) == 2 + 3 + 4
    pieces, _ = streamed(Scripted(tokenizer, "é€😀</think>é<|im_end|>"), tokenizer, "x", max_new_tokens=20)
    assert [text for text, _ in pieces] == ["é", "€", "😀", "</think>", "é"]


def test_a_character_that_a_cut_breaks_off_is_told_before_the_cut():
    tokenizer = toy_tokenizer("opened")
    model = Scripted(tokenizer, "é€€€€</think>")
    pieces, completion = streamed(model, tokenizer, "x", max_thinking_tokens=4, answer_prefix=None, max_new_tokens=6)
    assert texts_by_kind(pieces) == [("thinking", "é\ufffd"), ("forced", "\n</think>")]
    assert "".join(text for text, _ in pieces) == completion.text


def test_a_character_that_the_length_limit_breaks_off_is_told_at_the_end():
    tokenizer = toy_tokenizer("opened")
    pieces, _ = streamed(Scripted(tokenizer, "a€€"), tokenizer, "x", max_new_tokens=3)
    assert pieces == [("a", "thinking"), ("\ufffd", "thinking")]


def test_under_model_generate_it_has_to_be_told_the_processor(lamps):
    model, tokenizer = lamps
    inputs = tokenizer(QUESTION, return_tensors="pt")
    kwargs = budget_forcing(model, tokenizer, max_new_tokens=5)
    pieces: list[str] = []
    streamer = ThinkingStreamer(lambda text, kind: pieces.append(text))
    with pytest.raises(RuntimeError, match="streamer.follow"):
        model.generate(**inputs, streamer=streamer, **kwargs)
    streamer.follow(kwargs["logits_processor"][-1])
    out = model.generate(**inputs, streamer=streamer, **kwargs)
    assert "".join(pieces) == tokenizer.decode(out[0, inputs["input_ids"].shape[1] :])


def test_it_needs_something_to_call():
    with pytest.raises(TypeError, match="`write` has to be a function of a text and its kind, but is None"):
        ThinkingStreamer(None)


def test_it_can_be_used_for_another_prompt(lamps):
    pieces: list[str] = []
    streamer = ThinkingStreamer(lambda text, kind: pieces.append(text))
    texts = [
        generate(*lamps, embedded.Problem(2, 7, 3, b).question, streamer=streamer, max_new_tokens=40)[0].text
        for b in (8, 11)
    ]
    assert "".join(pieces) == "".join(texts)


def test_several_tokens_at_once_are_told_apart(lamps):
    """Assisted decoding hands over all tokens that it accepts."""
    settings = {"num_ignores": 1, "max_new_tokens": 200}
    pieces, completion = streamed(*lamps, prompt_lookup_num_tokens=4, **settings)
    plain, _ = streamed(*lamps, **settings)
    assert texts_by_kind(pieces) == texts_by_kind(plain)
    assert completion.report.ends_ignored == 1
