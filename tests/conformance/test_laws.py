"""Laws by enumeration, and chi-square, beside scipy's."""

from __future__ import annotations

from collections import Counter

import pytest
import torch
from scipy.stats import chisquare

from s1_hf.conformance.laws import RARE, TRANSFORMERS, VLLM, chi_square, exact_law, warped


def test_chi_square_is_scipys():
    law = {"a": 0.5, "b": 0.3, "c": 0.2}
    counts = Counter(a=430, b=350, c=220)
    wanted = chisquare([430, 350, 220], [500, 300, 200]).pvalue
    assert chi_square(counts, law, 1000) == pytest.approx(wanted, rel=1e-6)


def test_rare_outcomes_are_counted_together():
    law = {"a": 0.98, "b": 0.01, "c": 0.01}
    assert law["b"] * 500 < RARE
    wanted = chisquare([480, 20], [490, 10]).pvalue
    assert chi_square(Counter(a=480, b=20), law, 500) == pytest.approx(wanted, rel=1e-6)


def test_an_impossible_outcome_is_certain_proof():
    assert chi_square(Counter(a=999, z=1), {"a": 1.0}, 1000) == 0.0


def test_the_exact_law_takes_every_choice():
    scores = torch.tensor([0.0, 1.0, 2.0])
    p = scores.double().softmax(-1).tolist()
    law = exact_law(lambda choose: (choose(scores), choose(scores)), {})
    assert len(law) == 9 and sum(law.values()) == pytest.approx(1)
    assert law[0, 2] == pytest.approx(p[0] * p[2])


def test_hosts_narrow_in_their_own_order():
    """Min-p first leaves the 0.1 out, so that top-p 0.85 of the rest needs one token fewer."""
    scores = torch.tensor([0.5, 0.3, 0.1, 0.1]).log()
    law = {"top_p": 0.85, "min_p": 0.25}
    assert (warped(scores, law, TRANSFORMERS) > 0).tolist() == [True, True, False, False]
    narrow = {"top_p": 0.6, "min_p": 0.25}
    assert (warped(scores, narrow, VLLM) > 0).tolist() == [True, False, False, False]
    assert (warped(scores, narrow, TRANSFORMERS) > 0).tolist() == [True, True, False, False]
