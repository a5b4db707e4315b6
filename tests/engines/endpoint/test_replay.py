"""A row that a server has decoded is followed from outside, and what became of it is told exactly."""

from __future__ import annotations

from dataclasses import replace

import pytest

from s1_hf.conformance.cases import case_of, setting
from s1_hf.engines.endpoint.replay import Mismatch, Replay
from toy_servers import asked_of, plug_in_row, setup_of

CASES = [case_of(seed) for seed in range(200, 320)]


@pytest.mark.parametrize("limit", [{}, {"max_answer_tokens": 3}, {"give_up_after": 4}], ids=str)
def test_what_is_told_is_what_the_plug_in_tells(limit):
    """From the ids and what the model wanted at each place."""
    for case in CASES if not limit else CASES[:40]:
        for row in range(len(case["prompts"])):
            asked = asked_of(case, row, **limit)
            ids, picks, told = plug_in_row(case, asked)
            replay = Replay(setup_of(case), asked)
            replay.follow(ids, picks)
            assert replay.told() == told


def test_without_ignores_the_ids_suffice():
    """Unless a delimiter is spelled out of plain tokens, which the model may as well have written."""
    for case in CASES:
        if setting(case["family"])[1].plain:
            continue
        asked = asked_of(case, 0)
        if asked.budget.ignores_ends:
            asked = replace(asked, budget=replace(asked.budget, num_ignores=0, min_thinking_tokens=0))
        ids, _, told = plug_in_row(case, asked)
        replay = Replay(setup_of(case), asked)
        replay.follow(ids)
        assert replay.told() == told


def test_what_a_budget_forbids_is_noticed():
    """Rows of a model without budgets do not pass for rows with one, wherever the budget did anything."""
    noticed = passed = 0
    for case in CASES:
        asked = asked_of(case, 0)
        free = replace(asked, budget=replace(asked.budget, **FREE))
        without, picks, _ = plug_in_row(case, free)
        with_budget, _, _ = plug_in_row(case, asked)
        replay = Replay(setup_of(case), asked)
        if with_budget == without:
            replay.follow(without, picks)
            passed += 1
            continue
        with pytest.raises(Mismatch, match="its token"):
            replay.follow(without, picks)
        noticed += 1
    assert noticed > 30 and passed > 10


FREE = {"max_thinking_tokens": None, "min_thinking_tokens": 0, "num_ignores": 0, "cut_text": None, "cut_window": 0,
        "cut_at": "line"}  # fmt: skip
