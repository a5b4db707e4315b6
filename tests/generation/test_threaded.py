"""`stream`: pieces while they are written; errors and hanging up."""

import itertools
import threading

import pytest
import torch
from transformers.modeling_outputs import CausalLMOutput

from s1_hf import BudgetWarning, ThinkingStreamer, embedded, generate, stream
from s1_hf.generation import threaded
from toys import ToyConfig, ToyModel, toy_tokenizer

QUESTION = embedded.Problem(2, 7, 3, 8).question


@pytest.fixture(scope="module")
def lamps():
    return embedded.load()


class Endless(ToyModel):
    """Thinks for ever, or fails after `fails_after` steps."""

    def __init__(self, tokenizer, fails_after=None) -> None:
        super().__init__(ToyConfig(vocab_size=len(tokenizer)))
        self.token, self.fails_after, self.steps = tokenizer.encode("a", add_special_tokens=False)[0], fails_after, 0

    def forward(self, input_ids, **kwargs) -> CausalLMOutput:
        self.steps += 1
        if self.fails_after is not None and self.steps > self.fails_after:
            raise MemoryError("no room")
        logits = torch.zeros(1, 1, self.config.vocab_size)
        logits[..., self.token] = 9.0
        return CausalLMOutput(logits=logits)


@pytest.mark.parametrize("settings", [{"num_ignores": 2}, {"max_thinking_tokens": 16}], ids=str)
def test_the_pieces_and_the_completion_are_those_of_generate(lamps, settings):
    (expected,) = generate(*lamps, QUESTION, max_new_tokens=300, **settings)
    with stream(*lamps, QUESTION, max_new_tokens=300, **settings) as pieces:
        assert "".join(text for text, _ in pieces) == expected.text
    assert pieces.completion == expected
    assert next(pieces, "nothing more") == "nothing more"


def test_the_kinds_tell_thinking_forced_text_and_answer_apart(lamps):
    runs = itertools.groupby(stream(*lamps, QUESTION, max_thinking_tokens=16), lambda piece: piece[1])
    assert [kind for kind, _ in runs] == ["forced", "thinking", "forced", "answer"]


@pytest.mark.parametrize("wrong", [{"max_thinking_tokens": -1}, {"num_ignore": 2}, {"num_beams": 2}], ids=str)
def test_what_is_wrong_is_raised_before_anything_is_generated(lamps, wrong):
    threads = threading.active_count()
    with pytest.raises((ValueError, TypeError)):
        stream(*lamps, QUESTION, **wrong)
    assert threading.active_count() == threads


def test_several_prompts_are_refused(lamps):
    with pytest.raises(ValueError, match="single prompt"):
        stream(*lamps, [QUESTION, QUESTION])


def test_several_rows_of_one_prompt_are_refused_with_their_cause(lamps):
    with pytest.raises(ValueError, match="`num_beams` or `num_return_sequences` make 2 rows"):
        stream(*lamps, QUESTION, num_beams=2)


def test_it_takes_no_streamer(lamps):
    with pytest.raises(ValueError, match="`stream` makes its streamer itself"):
        stream(*lamps, QUESTION, streamer=ThinkingStreamer(print))


def test_an_error_while_generating_is_raised_where_the_pieces_are_read():
    tokenizer = toy_tokenizer("opened")
    pieces = stream(Endless(tokenizer, fails_after=3), tokenizer, "x", max_new_tokens=9)
    assert [next(pieces), next(pieces), next(pieces)] == [("a", "thinking")] * 3
    with pytest.raises(MemoryError, match="no room"):
        next(pieces)
    assert pieces.completion is None and list(pieces) == []


def test_an_error_that_is_faster_than_the_reader_loses_no_piece(monkeypatch):
    class Late(threading.Event):
        """Wakes who waits only when all is over: set for the prompt, for each of three tokens, and at the end."""

        def __init__(self) -> None:
            super().__init__()
            self.times = threading.Semaphore(0)

        def set(self) -> None:
            super().set()
            self.times.release()

        def wait(self, timeout=None) -> bool:
            return all(self.times.acquire(timeout=60) for _ in range(5))

    class LateFeed(threaded._Feed):
        def __init__(self, write) -> None:
            super().__init__(write)
            self.has_begun = Late()

    monkeypatch.setattr(threaded, "_Feed", LateFeed)
    tokenizer = toy_tokenizer("opened")
    pieces = stream(Endless(tokenizer, fails_after=3), tokenizer, "x", max_new_tokens=9)
    assert [next(pieces) for _ in range(3)] == [("a", "thinking")] * 3
    with pytest.raises(MemoryError):
        next(pieces)


def test_leaving_the_block_stops_generation():
    tokenizer = toy_tokenizer("opened")
    model, threads = Endless(tokenizer), threading.active_count()
    with stream(model, tokenizer, "x") as pieces:
        next(pieces)
    assert threading.active_count() == threads
    assert pieces.completion is None and model.steps < 4_000


def test_dropping_the_last_reference_to_an_unread_generator_stops_it():
    """As a web server does with the response of a client that has hung up."""
    tokenizer = toy_tokenizer("opened")
    model, threads = Endless(tokenizer), threading.active_count()

    def events():
        with stream(model, tokenizer, "x") as pieces:
            yield from pieces

    response = events()
    next(response)
    del response
    assert threading.active_count() == threads


def test_it_can_be_closed_from_the_generating_thread_itself():
    """Where the garbage collection of a forgotten generator may happen to run."""
    tokenizer = toy_tokenizer("opened")
    found, is_known = [], threading.Event()

    class Closing(Endless):
        def forward(self, input_ids, **kwargs) -> CausalLMOutput:
            if self.steps == 3 and is_known.wait(60):
                found[0].close()
            return super().forward(input_ids, **kwargs)

    model = Closing(tokenizer)
    found.append(pieces := stream(model, tokenizer, "x"))
    is_known.set()
    assert all(piece == ("a", "thinking") for piece in pieces)
    assert pieces.completion is None and model.steps < 4_000


@pytest.mark.filterwarnings("error::s1_hf.forcing.budget.BudgetWarning")
def test_a_warning_that_is_an_error_arrives(lamps):
    with pytest.raises(BudgetWarning):
        list(stream(*lamps, QUESTION, max_thinking_tokens=50, max_new_tokens=50))
