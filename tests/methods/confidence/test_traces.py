"""The numbers of a trace, against their definitions written out."""

from __future__ import annotations

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


def made_up_trace(values: list[int]) -> Trace:
    """A trace of these values."""
    return Trace(tuple(values), Runs(list(range(1, len(values) + 1)), [True] * len(values)))


@given(st.lists(st.integers(0, 10**6), min_size=1, max_size=60), st.integers(1, 20))
@settings(max_examples=200, **common)
def test_measures_by_definition(values, window):
    trace = made_up_trace(values)
    nats = [value / SCALE for value in values]
    means = [fmean(nats[i : i + window]) for i in range(len(nats) - window + 1)] or [fmean(nats)]
    assert groups(trace, window) == pytest.approx(means)
    lowest_tenth = sorted(means)[: max(1, len(means) // 10)]
    expected = {
        "average": fmean(nats),
        "lowest": min(means),
        "bottom": fmean(lowest_tenth),
        "tail": fmean(nats[-window:]),
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
    trace = made_up_trace([1, 2, 3, 4])
    assert trace.until(1) == made_up_trace([1, 2])
    assert measure(made_up_trace([]), "lowest", 3) == measure(made_up_trace([]), "tail", 3) == 0


def test_traces_of_completions():
    """Everything is measured; the runs are of those tokens that the report counts as thinking."""
    bench = lamp_bench(2)
    points = [Budget(), Budget(max_thinking_tokens=9), Budget(num_ignores=1)]
    for _, _, request, done in bench.answers(bench.problems, points, samples=3, confidence=Confidence(5)):
        trace = trace_of(done, bench.automaton, request.prompt)
        assert sum(length > 0 for length in trace.runs.lengths) == done.report.thinking_tokens > 0
        assert len(trace.values) == len(trace.runs.certain) == len(done.token_ids)
