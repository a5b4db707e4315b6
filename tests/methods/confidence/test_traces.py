"""The numbers of a trace, against their definitions written out."""

from __future__ import annotations

import dataclasses
import random
from statistics import fmean

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

pytest.importorskip("math_verify")

from s1_hf.forcing.budget import Budget
from s1_hf.forcing.confidence import SCALE, Confidence, Runs
from s1_hf.methods.confidence.traces import Trace, groups, measure, reaches, threshold, trace_of
from searching import lamp_bench

common = {"deadline": None, "derandomize": True, "database": None}


def thinking_trace(values: list[int], before: int = 0, after: int = 0) -> Trace:
    """A trace whose thinking has these values, between tokens that are none."""
    lengths = [0] * before + list(range(1, len(values) + 1)) + [0] * after
    return Trace((10**7,) * before + tuple(values) + (0,) * after, Runs(lengths, [True] * len(lengths)))


@given(
    st.lists(st.integers(0, 10**6), min_size=1, max_size=60), st.integers(1, 20), st.integers(0, 3), st.integers(0, 3)
)
@settings(max_examples=200, **common)
def test_measures_by_definition(values, window, before, after):
    trace = thinking_trace(values, before, after)
    nats = [value / SCALE for value in values]
    means = [fmean(nats[i : i + window]) for i in range(len(nats) - window + 1)] or [fmean(nats)]
    assert groups(trace, window) == pytest.approx(means)
    lowest_tenth = sorted(means)[: max(1, len(means) // 10)]
    expected = {
        "average": fmean(nats),
        "lowest": min(means),
        "bottom": fmean(lowest_tenth),
        "tail": fmean(trace.values[-window:]) / SCALE,
    }
    for name, value in expected.items():
        assert measure(trace, name, window) == pytest.approx(value)


@given(st.lists(st.floats(0, 50), min_size=1, max_size=40), st.floats(1, 100))
@settings(max_examples=200, **common)
def test_the_threshold_is_a_percentile_between_two_values(values, top):
    ordered = sorted(values)
    place = (len(ordered) - 1) * (100 - top) / 100
    low = min(int(place), len(ordered) - 1)
    high = min(low + 1, len(ordered) - 1)
    expected = ordered[low] + (ordered[high] - ordered[low]) * (place - low)
    least = threshold(values, top)
    assert least == pytest.approx(expected, abs=1e-9)
    kept = [value for value in values if reaches(value, least)]
    assert kept and max(values) in kept
    assert threshold(values, 100) == min(values)


def test_a_cut_off_trace():
    trace = thinking_trace([1, 2, 3, 4], before=1)
    assert trace.until(2).thinking == [1, 2] and trace.until(0).thinking == []
    assert measure(trace.until(0), "lowest", 3) == 0


def test_traces_of_completions():
    """Thinking is what the report counts; of a row that never thought it is all; delimiters are no thinking."""
    bench = lamp_bench(2)
    points = [Budget(), Budget(max_thinking_tokens=9), Budget(num_ignores=1)]
    for _, _, request, done in bench.answers(bench.problems, points, samples=3, confidence=Confidence(5)):
        trace = trace_of(done, bench.automaton, request.prompt)
        assert trace.thinks and len(trace.thinking) == done.report.thinking_tokens > 0
        assert len(trace.values) == len(done.token_ids)
    never = dataclasses.replace(
        done, token_ids=(65, 66), forced=(False,) * 2, confidences=(1.0, 2.0),
        report=dataclasses.replace(done.report, thinking_tokens=0, ended="never_started", forced=(False,) * 2),
    )  # fmt: skip
    trace = trace_of(never, bench.automaton, request.prompt)
    assert not trace.thinks and trace.thinking == [10_000, 20_000]


def test_random_groups_are_those_that_are_looked_at():
    """Not in the midst of what may be a delimiter, and not over the end of a block."""
    rng = random.Random(0)
    for _ in range(50):
        lengths, run = [], 0
        for _ in range(20):
            run = run + 1 if rng.random() < 0.8 else 0
            lengths.append(run)
        runs = Runs(lengths, [rng.random() < 0.8 for _ in lengths])
        values = [rng.randrange(10**5) for _ in lengths]
        expected = [fmean(values[i - 2 : i + 1]) / SCALE for i in range(20) if lengths[i] >= 3 and runs.certain[i]]
        if expected:
            assert groups(Trace(tuple(values), runs), 3) == pytest.approx(expected)
