"""The confidence of a token, in whole ten-thousandths; and where a row loses it."""

from __future__ import annotations

import math
import random

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from s1_hf.conformance.toys import toy_format, toy_tokenizer
from s1_hf.forcing.automaton import Automaton
from s1_hf.forcing.confidence import (
    NO_LAW,
    SCALE,
    Confidence,
    Runs,
    as_confidences,
    in_parts,
    losing_token,
    measured,
    thinking_runs,
)

INF = math.inf
common = {"deadline": None, "derandomize": True, "database": None}


def by_definition(logits: list[float], top: int | None) -> float:
    """-(1/k) * the sum of log p over the k most likely tokens that are possible."""
    largest = max(logits)
    total = largest + math.log(math.fsum(math.exp(one - largest) for one in logits))
    log_p = sorted((one - total for one in logits), reverse=True)[:top]
    possible = [one for one in log_p if one >= -10_000]
    return -math.fsum(possible) / len(possible)


LOGITS = st.lists(st.floats(-300, 300, width=32) | st.just(-INF) | st.just(-65504.0), min_size=1, max_size=12)


@given(LOGITS.filter(lambda row: max(row) > -1000), st.none() | st.integers(1, 15))
@settings(max_examples=300, **common)
def test_the_formula(logits, top):
    given = torch.tensor([logits, logits])
    before = given.clone()
    found = measured(given, top)
    assert found.dtype == torch.long and torch.equal(given, before)
    for one in found.tolist():
        assert one / SCALE == pytest.approx(by_definition(logits, top), rel=1e-5, abs=2e-3)


def test_figures_by_hand():
    logits = torch.tensor([[0.7, 0.2, 0.1], [1.0, 0.0, 0.0]]).log()
    assert measured(logits, 1).tolist() == [3567, 0]  # -log 0.7 = 0.35667
    assert measured(logits, 2).tolist() == [9831, 0]  # (0.35667 + 1.60944) / 2 = 0.98306; only one is possible
    assert measured(logits, None).tolist() == measured(logits, 3).tolist() == measured(logits, 20).tolist()
    uniform = torch.zeros(1, 1000)
    assert {measured(uniform, top).item() for top in (1, 20, None)} == {69078}  # log 1000 = 6.90776


def test_rows_without_a_law_do_not_touch_the_others():
    nan, own = math.nan, [1.0, 2.0, 3.0]
    rows = torch.tensor([own, [nan, 1.0, 2.0], [INF, 1.0, 2.0], [-INF] * 3, own])
    for top in (1, 2, None):
        first, *without, last = measured(rows, top).tolist()
        assert without == [NO_LAW] * 3 and first == last == measured(torch.tensor([own]), top).item() > 0


def test_a_row_without_a_law_is_named():
    assert as_confidences([12345, 0]) == (1.2345, 0.0) and as_confidences([]) == ()
    with pytest.raises(ValueError, match="NaN or infinite at its generated token 2.*float32"):
        as_confidences([1, 2, NO_LAW, 3, NO_LAW])


@given(st.lists(st.integers(0, 10**8)))
@settings(max_examples=100, **common)
def test_nats_and_parts_are_the_same(values):
    assert in_parts(as_confidences(values)) == values


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"top": 0}, "`top` has to be an integer of at least 1, or None, but is 0"),
        ({"top": 2.0}, "`top`"),
        ({"top": True}, "`top`"),
        ({"window": 0, "below": 1.0}, "`window`"),
        ({"window": 5}, "given together"),
        ({"below": 5.0}, "given together"),
        ({"window": 5, "below": math.nan}, "`below` has to be a number"),
        ({"window": 5, "below": "1"}, "`below` has to be a number"),
    ],
)
def test_what_is_refused(given, said):
    with pytest.raises(ValueError, match=said):
        Confidence(**given)


@given(st.lists(st.integers(0, 10**6), min_size=1, max_size=50))
@settings(max_examples=200, **common)
def test_a_mean_is_not_below_itself(values):
    """Whatever a float makes of it: thresholds are means of other rows."""
    mean = sum(values) / len(values) / SCALE
    assert Confidence(window=len(values), below=mean).least == sum(values)
    assert Confidence(window=len(values), below=math.nextafter(mean + 1e-4, INF)).least > sum(values)


@given(st.integers(0, 2**32))
@settings(max_examples=100, **common)
def test_the_losing_token_is_that_of_the_first_low_window(seed):
    rng = random.Random(seed)
    confidence = Confidence(window=rng.randint(1, 5), below=rng.choice([0.5, 1.0, 1.5]))
    values = [rng.randrange(20_000) for _ in range(rng.randint(0, 20))]
    lengths, run = [], 0
    for _ in values:
        run = run + 1 if rng.random() < 0.9 else 0
        lengths.append(run)
    runs = Runs(lengths, [rng.random() < 0.9 for _ in values])
    expected = None
    for i in range(len(values)):
        window = values[max(i + 1 - confidence.window, 0) : i + 1]
        is_looked_at = lengths[i] >= confidence.window and runs.certain[i]
        if is_looked_at and sum(window) / confidence.window / SCALE < confidence.below:
            expected = i
            break
    assert losing_token(confidence, values, runs) == expected


def test_runs_of_thinking():
    tokenizer = toy_tokenizer("think")
    automaton = Automaton.of(tokenizer, toy_format("think"))
    start, close = list(automaton.format.start), list(automaton.format.close)
    a = tokenizer.encode("a")[-1]
    ids = [*start, a, a, a, *close, a, a]
    runs = thinking_runs(automaton, [a], ids, 3)
    assert runs.lengths == [0] * len(start) + [1, 2, 3] + [0] * (len(close) + 2)
    # The prompt's thinking was not measured; and what comes behind so many thinking tokens is none.
    assert thinking_runs(automaton, [*start, a, a], [a, a, a], 4).lengths == [1, 2, 0]
    assert thinking_runs(automaton, [a], [a, a], 0).lengths == [0, 0]
