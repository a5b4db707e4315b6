"""How sure the model is of each token is told of rows that are thrown about, and rows are given up by it, as slow rules
say."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest
import torch
from flat_cases import Thrown, run_thrown, settings_for, setup_for
from hypothesis import given, settings

from cases import EXAMPLES, SEEDS, case_of, setting
from s1_hf.forcing.confidence import Confidence, losing_token, measured, thinking_runs
from s1_hf.forcing.report import Ended

CONFIDENCES = [Confidence(1), Confidence(3), Confidence(None)]


def laws(one: Thrown, ids: list[int], top: int | None) -> list[int]:
    """How sure the model is of each token, one forward pass each."""
    found = []
    for i in range(len(ids)):
        scores = one.model.next_logits([*one.prompt, *ids[:i]]).float()
        found.append(int(measured(scores[None], top)))
    return found


@pytest.mark.parametrize("shows_tokens", [True, False], ids=["V1", "V2"])
@settings(max_examples=40, **EXAMPLES)
@given(SEEDS)
def test_rows_are_measured_and_given_up_wherever_they_go(shows_tokens, seed):
    """Each has a measure of its own; tokens that were thrown away, or taken back, leave nothing."""
    case = case_of(seed)
    rng, eos, setup = random.Random(seed), setting(case["family"])[2].eos, setup_for(case["family"])
    asked = []
    for row, prompt in enumerate(case["prompts"]):
        for copy in range(3):
            own = settings_for(case, row, key=f"{row} {copy}", confidence=rng.choice(CONFIDENCES))
            asked.append(Thrown(case["model"], prompt, own, eos))
    requests = run_thrown(setup, asked, rng, shows_tokens)
    whole = [requests.told(one.settings.key, one.generated) for one in asked]
    given_up = []
    for one, told in zip(asked, whole, strict=True):
        top = one.settings.confidence.top
        assert list(told.measured) == laws(one, one.generated, top)
        # With the mean of all, below which about half of all windows are.
        mean = sum(told.measured) / len(told.measured) / 10_000
        own = replace(one.settings, confidence=Confidence(top, window=rng.choice([1, 2, 5]), below=mean))
        given_up.append(Thrown(one.model, one.prompt, own, eos))
    requests = run_thrown(setup, given_up, rng, shows_tokens)
    for one, before, told_before in zip(given_up, asked, whole, strict=True):
        told = requests.told(one.settings.key, one.generated)
        automaton = setup.automaton(one.settings.budget, ())
        runs = thinking_runs(automaton, one.prompt, before.generated, told_before.report.thinking_tokens)
        # The stop message is thinking by its text, but comes when thinking has been ended.
        open_before = [state.ended in (Ended.NEVER_STARTED, Ended.UNFINISHED) for state in told_before.states]
        runs = runs._replace(lengths=[n if thinks else 0 for n, thinks in zip(runs.lengths, open_before, strict=True)])
        last = losing_token(one.settings.confidence, told_before.measured, runs)
        length = len(before.generated) if last is None else last + 1
        assert one.generated[:length] == before.generated[:length]
        assert told.measured == told_before.measured[:length] and len(told.report.forced) == length


def test_rows_that_are_not_measured_are_told_without():
    case = case_of(3)
    one = Thrown(case["model"], case["prompts"][0], settings_for(case, 0, key="a"), setting(case["family"])[2].eos)
    requests = run_thrown(setup_for(case["family"]), [one], random.Random(0))
    assert requests.told("a", one.generated).measured is None


def test_a_model_without_a_law_is_told_as_such():
    assert measured(torch.tensor([[float("nan"), 0.0]]), 1).tolist() == [-1]
