"""What a visitor asks becomes requests, or a sentence that says what is wrong."""

from __future__ import annotations

import pytest

pytest.importorskip("gradio")

from lamp_requests import lamp_engine
from s1_hf import Budget, embedded
from s1_hf.forcing.budget import NO_INTERVENTION
from s1_hf.playground.asking import Most, check, compared, curved, request_of
from s1_hf.playground.handling import Settings

QUESTION = embedded.Problem(2, 7, 3, 8).question
LAMPS = lamp_engine()
SET = Settings(QUESTION, 32, True, 0, 1, "Wait", 0, "line", 200, 0, 0)


def asked(question=QUESTION, budget=NO_INTERVENTION, **how):
    request = request_of(LAMPS, Most(new_tokens=900), question, budget, **{"max_new_tokens": 200} | how)
    check(LAMPS, request)
    return request


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"question": None}, "empty"),
        ({"question": "\n\t "}, "empty"),
        ({"question": "x" * 20_001}, "20,001"),
        ({"question": "\ud800"}, "Unicode"),
        ({"question": QUESTION * 60}, "context"),
        ({"max_new_tokens": 901}, "900"),
        ({"max_new_tokens": 0}, "from 1"),
        ({"temperature": float("nan")}, "temperature"),
        ({"temperature": -1.0}, "temperature"),
        ({"seed": -1}, "seed"),
        ({"budget": Budget(cut_window=9)}, "cut_window"),
    ],
)
def test_what_cannot_be_asked_is_said_before_anything_is_computed(given, said):
    with pytest.raises(ValueError, match=said):
        asked(**given)
    assert LAMPS._loaded is None  # its weights were not read


@pytest.mark.parametrize("changed", [{"cap": None}, {"least": 1.5}, {"ignores": "2"}, {"cut_window": float("nan")}])
def test_fields_that_hold_no_whole_number_are_named(changed):
    with pytest.raises(ValueError, match="has to be a whole number"):
        SET._replace(has_no_cap=False, **changed).budget  # noqa: B018


def test_settings_become_the_budget_that_they_say():
    assert SET.budget == Budget(num_ignores=1)
    assert SET._replace(has_no_cap=False, wait_text="", cut_window=4.0).budget == Budget(
        max_thinking_tokens=32, num_ignores=1, wait_text=None, cut_window=4
    )


def test_lists_of_budgets_are_read_as_they_are_typed():
    names = [budget.name for budget in compared(" 16;NONE ", "0,2", Budget(), Most())]
    assert names == ["cap 16", "cap 16, 2 ignores", "no intervention", "2 ignores"]
    names = [budget.name for budget in curved("16, none", "0, 1", Budget(), Most())]
    assert names == ["cap 16", "no intervention", "1 ignore"]


@pytest.mark.parametrize(
    ("caps", "ignores", "said"),
    [
        ("16,", "0", "one is ''"),
        ("16, x", "0", "'x'"),
        ("1, 1", "0", "different numbers"),
        ("٣", "0", "'٣'"),
        ("none", "0", "from 2 to 8"),
        ("1,2,3", "0,1,2", "are 9"),
    ],
)
def test_lists_that_are_none_or_too_long_are_refused(caps, ignores, said):
    with pytest.raises(ValueError, match=said):
        compared(caps, ignores, Budget(), Most())
