"""Greedy budget forcing equals stop-and-reprompt token for token, reports included, on random everything."""

from __future__ import annotations

import os

import pytest
from hypothesis import given, settings

from cases import EXAMPLES, SEEDS, case_of, check_case, processor_for, run_case

CASES = int(os.environ.get("S1_HF_CASES", "600"))


@settings(max_examples=CASES, **EXAMPLES)
@given(SEEDS)
def test_greedy_equals_stop_and_reprompt(seed):
    """Ids, forced mask and report of every row are the oracle's: batches, budgets, formats, prompts, Waits."""
    case = case_of(seed)
    processor = processor_for(case)
    check_case(case, processor, run_case(case, processor))


@pytest.mark.long
@settings(max_examples=20_000, **EXAMPLES)
@given(SEEDS)
def test_greedy_equals_stop_and_reprompt_on_many_more(seed):
    """The same on 20,000 other cases: `pytest -m long`."""
    case = case_of(seed ^ 0x51)
    processor = processor_for(case)
    check_case(case, processor, run_case(case, processor))
