"""Rows that pause and go on, in an engine that throws them about: the rows that never paused, and where they paused."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest
import torch
from flat_cases import Thrown, run_thrown, settings_for, setup_for
from hypothesis import given, settings

from cases import EXAMPLES, SEEDS, case_of, expected, setting
from s1_hf import Budget
from s1_hf.forcing.automaton import Automaton
from s1_hf.forcing.pauses import Pause
from s1_hf.forcing.report import Ended
from s1_hf.forcing.spelling import is_whole
from s1_hf.forcing.tables import State, after_effect
from s1_hf.vllm.requests import Refused, Requests
from s1_hf.vllm.row import Told
from s1_hf.vllm.settings import RequestSettings
from s1_hf.vllm.setup import Setup
from toys import toy_model

CPU = torch.device("cpu")
PAUSES = [
    Pause("b"), Pause("x"), Pause("\n"), Pause("\n\n"), Pause("bx"), Pause("o", tokens=4),
    Pause("\n", tokens=2), Pause(tokens=1), Pause(tokens=2), Pause("it\n", tokens=3),
]  # fmt: skip


def states_after(automaton: Automaton, told: Told, ids: list[int]) -> list[State]:
    """The state after each token."""
    effects = [automaton.effect_of(token, state.cell) for token, state in zip(ids, told.states, strict=True)]
    return [after_effect(state, effect) for state, effect in zip(told.states, effects, strict=True)]


def pauses_of(automaton: Automaton, first: int, states: list[State], ids: list[int], pause: Pause) -> list[int]:
    """After how many tokens a row pauses, by its text; `first`: the thinking tokens of its prompt."""
    found, text, thought = [], "", first
    for i, state in enumerate(states[:-1]):  # behind the last one nothing follows
        text = text + "".join(automaton.spelling.pieces_of(ids[i : i + 1])) if state.thinking_tokens else ""
        while text and (text[0].isspace() or is_whole(text[0])):
            text = text[1:]
        is_whole_step = pause.separator is not None and pause.separator in text
        if is_whole_step:
            text = ""
        is_long = pause.tokens is not None and state.thinking_tokens - state.pending - thought >= pause.tokens
        is_free = state.ended == Ended.UNFINISHED and not state.pending and automaton.cells[state.cell].thinking
        if (is_whole_step or is_long) and is_free:
            found.append(i + 1)
            text, thought = "", state.thinking_tokens
    return found


def never_paused(setup: Setup, asked: list[Thrown], rng: random.Random) -> list[tuple[list[int], Told]]:
    requests = run_thrown(setup, asked, rng)
    return [(one.generated, requests.told(one.settings.key, one.generated)) for one in asked]


def in_steps(
    setup: Setup, asked: list[Thrown], rng: random.Random, shows_tokens: bool
) -> list[tuple[list[int], tuple[bool, ...], list[int], Told]]:
    """Of each row its tokens, which of them were forced, after how many it paused, and what was told at its end."""
    whole: dict[str, tuple[list[int], tuple[bool, ...], list[int], Told]] = {}
    got = {one.settings.key: ([], (), []) for one in asked}
    prompts = {one.settings.key: one.prompt for one in asked}
    while asked:
        requests = run_thrown(setup, asked, rng, shows_tokens)
        again = []
        for one in asked:
            key = one.settings.key
            told = requests.told(key, one.generated)
            ids, forced, pauses = got[key]
            new = one.generated[: len(told.report.forced)]
            assert len(new) == len(one.generated) - (told.paused is not None)
            got[key] = ids, forced, pauses = [*ids, *new], (*forced, *told.report.forced), pauses
            if told.paused is None:
                whole[key] = ids, forced, pauses, told
                continue
            pauses.append(len(ids))
            left = one.settings.max_tokens - len(new)
            own = replace(one.settings, max_tokens=left, start=tuple(map(int, told.paused)), steps=len(ids))
            again.append(Thrown(one.model, [*prompts[key], *ids], own, one.eos))
        assert not requests._by_key or not shows_tokens
        asked = again
    return [whole[key] for key in got]


@pytest.mark.parametrize("temperature", [0.0, 1.3], ids=["greedy", "sampled"])
@pytest.mark.parametrize("shows_tokens", [True, False], ids=["V1", "V2"])
@settings(max_examples=40, **EXAMPLES)
@given(SEEDS)
def test_rows_that_pause_become_what_they_would_have_become(shows_tokens, temperature, seed):
    """Tokens, forced masks and reports, and they pause where their texts and counts say; each has its own pause."""
    case = case_of(seed)
    rng, eos, setup = random.Random(seed), setting(case["family"])[2].eos, setup_for(case["family"])
    plain, pausing = [], []
    for row, prompt in enumerate(case["prompts"]):
        for copy in range(2):
            own = settings_for(case, row, key=f"{row} {copy}", seed=copy, temperature=temperature)
            plain.append(Thrown(case["model"], prompt, own, eos))
            pausing.append(Thrown(case["model"], prompt, replace(own, pause=rng.choice(PAUSES)), eos))
    pauses = [one.settings.pause for one in pausing]
    whole = never_paused(setup, plain, rng)
    steps = in_steps(setup, pausing, rng, shows_tokens)
    for one, pause, (ids, told), (in_parts, forced, paused, last) in zip(plain, pauses, whole, steps, strict=True):
        assert in_parts == ids and forced == told.report.forced
        assert replace(last.report, forced=()) == replace(told.report, forced=())
        automaton = setup.automaton(one.settings.budget, ())
        first = Requests(setup, CPU, 1).enter(one.settings, one.prompt, [])._start.thinking_tokens
        assert paused == pauses_of(automaton, first, states_after(automaton, told, ids), ids, pause)
        if not temperature:
            assert ids == expected(case, int(one.settings.key.split()[0])).new


def test_rows_do_pause():
    """The law above is not empty."""
    pauses = 0
    for seed in range(40):
        case = case_of(seed)
        rng, eos = random.Random(seed), setting(case["family"])[2].eos
        asked = []
        for row, prompt in enumerate(case["prompts"]):
            own = settings_for(case, row, key=str(row), pause=PAUSES[seed % len(PAUSES)])
            asked.append(Thrown(case["model"], prompt, own, eos))
        pauses += sum(len(one[2]) for one in in_steps(setup_for(case["family"]), asked, rng, True))
    assert pauses > 60


def test_nothing_pauses_with_its_last_token():
    """Who has all the tokens that it may have has ended."""
    tokenizer = setting("think")[0]
    setup, model = setup_for("think"), toy_model(len(tokenizer), 0, {setting("think")[1].ends[0]: -50.0})
    prompt, key = tokenizer.encode("<think>"), "a"
    for most, paused in ((5, False), (6, True)):
        own = RequestSettings(budget=Budget(), max_tokens=most, key=key, pause=Pause(tokens=5))
        one = Thrown(model, prompt, own, setting("think")[2].eos)
        requests = run_thrown(setup, [one], random.Random(0))
        told = requests.told(key, one.generated)
        assert (told.paused is not None) == paused and told.report.thinking_tokens == 5
        assert len(one.generated) == most


def test_a_state_that_is_none_is_refused():
    requests = Requests(setup_for("think"), CPU, 4)
    own = RequestSettings(budget=Budget(), pause=Pause("\n"), start=(10**6, *(0,) * 6))
    assert isinstance(requests.enter(own, [1, 2], []), Refused)
