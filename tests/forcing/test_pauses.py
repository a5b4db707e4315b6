"""Where steps end, in whatever tokens they are written, and what may be gone on from."""

from __future__ import annotations

import random

import pytest
import torch

from s1_hf.conformance.toys import toy_format, toy_tokenizer
from s1_hf.forcing import pauses
from s1_hf.forcing.automaton import Automaton
from s1_hf.forcing.budget import Budget
from s1_hf.forcing.pauses import Begun, Pause, check_begun, step_table
from s1_hf.forcing.prompts import read_prompt
from s1_hf.forcing.spelling import Spelling

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def automaton() -> Automaton:
    tokenizer = toy_tokenizer("think")
    return Automaton.of(tokenizer, toy_format("think"), Budget(num_ignores=1))


def ended_by_text(pieces: list[str], separator: str) -> list[int]:
    """After which tokens steps end, by the text that they make."""
    ends, text = [], ""
    for i, piece in enumerate(pieces):
        text = (text + piece).lstrip()
        if separator in text:
            ends.append(i)
            text = ""
    return ends


@pytest.mark.parametrize("separator", ["\n", "\n\n", "ab", "aab", ". "])
def test_steps_end_where_their_texts_do(automaton, separator):
    rng = random.Random(separator)
    table = step_table(automaton, separator, CPU)
    symbols = automaton.spelling.symbols
    texts = [i for i, text in enumerate(symbols) if text and ord(text[0]) < 0xF0000]
    likely = [i for i in texts if set(symbols[i]) & set(separator)] or texts
    for _ in range(50):
        ids = [rng.choice(likely if rng.random() < 0.7 else texts) for _ in range(30)]
        state, ends = torch.zeros(1, dtype=torch.long), []
        for i, token in enumerate(ids):
            state = table.step(state, torch.tensor([token]))
            if int(state) == table.ended:
                ends.append(i)
        assert ends == ended_by_text([symbols[i] for i in ids], separator)


def test_a_separator_that_no_token_has_ends_no_step():
    table = pauses._kept(Spelling(["a", " ", None]), "qq", CPU)
    assert table.after.T.tolist() == [[1, 1, 1], [0, 1, 1], [0, 1, 2], [0, 1, 2]]


def test_ids_beyond_the_tokenizer_and_delimiters_are_no_text(automaton):
    table = step_table(automaton, "\n", CPU)
    opening = automaton.format.start[0]
    blank = torch.zeros(2, dtype=torch.long)
    assert table.step(blank, torch.tensor([10**6, opening])).tolist() == [0, 0]


@pytest.mark.parametrize("given", [{}, {"separator": ""}, {"separator": 3}, {"tokens": 0}, {"tokens": True}])
def test_what_is_no_pause(given):
    with pytest.raises(ValueError, match="separator|tokens"):
        Pause(**given)


def test_what_cannot_be_gone_on_from(automaton):
    opened = read_prompt(automaton, automaton.format.start)
    check_begun(Begun((), (), tuple(map(int, opened))), automaton)
    answering = read_prompt(automaton, automaton.format.close)
    with pytest.raises(ValueError, match="paused under another format"):
        check_begun(Begun((), (), tuple(map(int, answering))), automaton)
    with pytest.raises(ValueError, match="paused under another format"):
        check_begun(Begun((), (), (1, 2)), automaton)
    with pytest.raises(ValueError, match="forced or not"):
        check_begun(Begun((1,), (), tuple(map(int, opened))), automaton)
