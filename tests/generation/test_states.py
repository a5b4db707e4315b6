"""Where the rows of a call stand, followed by their own prefixes."""

from __future__ import annotations

import warnings

import pytest
import torch

from placed_rows import PlacedRows
from s1_hf import BudgetWarning
from s1_hf.forcing.decisions import Field
from s1_hf.forcing.report import Ended
from s1_hf.forcing.vocabulary import encode
from s1_hf.generation.states import RowStates

OPENED = "<|im_start|>assistant\n<think>\n"


def ids_of(rows: PlacedRows, text: str) -> torch.Tensor:
    return torch.tensor([encode(rows.tokenizer, text)])


def states(rows: PlacedRows, rule: str = "greedy", told: list[str] | None = None) -> RowStates:
    told = [] if told is None else told
    return RowStates(rows.automaton, rule, before_new=lambda: told.append("new"))  # type: ignore[arg-type]


def test_a_prompt_begins_a_call_and_its_tokens_go_on_with_it():
    rows, told = PlacedRows("think"), []
    followed = states(rows, told=told)
    first, is_new = followed.follow(ids_of(rows, OPENED))
    then, goes_on = followed.follow(ids_of(rows, OPENED + "a"))
    assert (is_new, goes_on, told) == (True, False, ["new"])
    assert [int(step.state[Field.THINKING, 0]) for step in (first, then)] == [0, 1]
    _, is_new = followed.follow(ids_of(rows, "x" + OPENED))
    assert (is_new, told) == (True, ["new", "new"])


def test_what_stands_after_the_last_token_can_be_asked_for():
    rows = PlacedRows("think")
    followed = states(rows)
    followed.follow(ids_of(rows, OPENED))
    after = followed.after(ids_of(rows, OPENED + "</think>"))
    assert (int(after[Field.ENDED, 0]), int(after[Field.CELL, 0])) == (Ended.NATURAL, rows.automaton.answer)


def test_a_call_that_resumes_does_not_read_its_prompts():
    rows = PlacedRows("think")
    followed = states(rows)
    followed.resumed = torch.full((7, 1), 5)
    step, _ = followed.follow(ids_of(rows, OPENED))
    assert step.state.tolist() == [[5]] * 7


@pytest.mark.parametrize(("rule", "token"), [("unknown", "b"), ("unknown", "a"), ("greedy", "b")])
def test_rule_10_the_first_token_that_was_not_the_pick_is_warned_about_once(rule, token):
    rows = PlacedRows("think")
    followed = states(rows, rule)
    step, _ = followed.follow(ids_of(rows, OPENED))
    step.pick = ids_of(rows, "a")[0]
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        step, _ = followed.follow(ids_of(rows, OPENED + token))
        step.pick = ids_of(rows, "a")[0]
        followed.follow(ids_of(rows, OPENED + token + "b"))
    assert len(caught) == (1 if rule == "unknown" else 0)
    assert all(one.category is BudgetWarning for one in caught)
    assert followed.is_followed == (rule != "unknown")
