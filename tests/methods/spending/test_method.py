"""A total spent on a bench: beside its replay from a sweep, and its tokens beside those counted."""

from __future__ import annotations

import dataclasses
import functools

import pytest

pytest.importorskip("math_verify")

from benches import random_bench

from counted import tokens_fed
from s1_hf.forcing.budget import Budget
from s1_hf.forcing.confidence import Confidence
from s1_hf.methods import BudgetForcing, Spending, run_methods, spend_rows
from searching import lamp_bench

CAPS = [16, 32, 48, 64, 80]
SAME = (
    "method", "setting", "problem", "sample", "extracted", "correct", "ended", "thinking_tokens", "answer_tokens",
    "total_tokens", "tries", "digest",
)  # fmt: skip
POLICIES = ("uniform", "stability", "confidence")


def lamps(count: int = 6, **options):
    return lamp_bench(count, **{"max_new_tokens": 200, "temperature": 1.0} | options)


def named(rows, names=SAME):
    return [tuple(getattr(row, name) for name in names) for row in rows]


@functools.cache
def swept(ignores: int, samples: int | None):
    bench = lamps(samples=samples, confidence=Confidence(top=1))
    return BudgetForcing(max_thinking_tokens=CAPS, num_ignores=[ignores]).run(bench)


@pytest.mark.parametrize("ignores", [0, 2])
@pytest.mark.parametrize("samples", [None, 2], ids=["greedy", "sampled"])
def test_a_run_is_its_replay_token_for_token_and_never_exceeds_its_total(ignores, samples):
    bench, totals = lamps(samples=samples), [60, 250, 450, 700]
    method = Spending(caps=CAPS, totals=totals, policies=POLICIES, round_size=2, num_ignores=ignores)
    rows, terms = method.run(bench), method.terms(bench)
    replayed = spend_rows(
        swept(ignores, samples), totals, POLICIES, reserve=terms.reserve, opening_tokens=2,
        opening_reserve=terms.opening, round_size=2,
    )  # fmt: skip
    assert sorted(named(rows)) == sorted(named(replayed))
    for total in totals:
        for policy in POLICIES:
            for sample in range(samples or 1):
                own = [
                    row for row in rows
                    if row.setting == f"total {total}" and row.method.endswith(policy) and row.sample == sample
                ]  # fmt: skip
                assert sum(row.total_tokens for row in own) <= total
    assert len({row.thinking_tokens for row in rows}) > 4


def test_each_task_has_a_total_of_its_own_as_in_a_replay():
    bench = lamps(confidence=Confidence(top=1))
    halves = [dataclasses.replace(one, task=f"half {i % 2}") for i, one in enumerate(bench.problems)]
    bench = dataclasses.replace(bench, problems=halves)
    method = Spending(caps=CAPS, totals=[100, 250], policies=POLICIES, round_size=2)
    rows, terms = method.run(bench), method.terms(bench)
    swept = BudgetForcing(max_thinking_tokens=CAPS).run(bench)
    replayed = spend_rows(
        swept, [100, 250], POLICIES, reserve=terms.reserve, opening_tokens=2, opening_reserve=terms.opening,
        round_size=2,
    )  # fmt: skip
    assert sorted(named(rows, ("task", *SAME))) == sorted(named(replayed, ("task", *SAME)))
    assert {row.task for row in rows if row.thinking_tokens} == {"half 0", "half 1"}


@pytest.mark.parametrize("family", ["s1", "think", "harmony"])
def test_random_models_are_replayed_too(family):
    """Rows that end anywhere, never think, and Waits across the levels."""
    bench = random_bench(8, family, max_new_tokens=60, samples=1)
    method = Spending(caps=[3, 6, 9, 20], totals=[80, 150, 300], policies=("uniform", "stability"), num_ignores=2)
    terms = method.terms(bench)
    sweep = BudgetForcing(max_thinking_tokens=[3, 6, 9, 20], num_ignores=[2]).run(bench)
    request = bench.request(bench.problems[0])
    start = bench.thinking_format.start
    opens = bench.complete([request])[request.key].token_ids[: len(start)] == start
    rows = method.run(bench)
    replayed = spend_rows(
        sweep, [80, 150, 300], ["uniform", "stability"], reserve=terms.reserve,
        opening_tokens=len(start) if opens else 0, opening_reserve=terms.opening,
    )  # fmt: skip
    assert sorted(named(rows)) == sorted(named(replayed))


def test_every_token_is_counted(monkeypatch):
    """All that goes through the model but prompts and rows that are read again while they wait: of one problem none."""
    fed = tokens_fed(monkeypatch)
    bench = lamps(1)
    prompt = len(bench.encode(bench.problems[0].prompt))
    for policy in ("uniform", "stability"):
        fed.clear()
        (row,) = Spending(caps=CAPS, totals=[150], policies=[policy]).run(bench)
        assert sum(fed) == prompt + row.total_tokens - 1


def test_batches_change_nothing():
    method = Spending(caps=CAPS, totals=[300], round_size=3)
    assert method.run(lamps(batch_size=1)) == method.run(lamps(batch_size=16))


def test_killed_anywhere_it_goes_on_to_what_an_unbroken_run_gives(tmp_path):
    bench, method = lamps(3, batch_size=2), Spending(caps=CAPS, totals=[150, 250], round_size=2)
    whole = run_methods([method], bench, tmp_path / "whole")
    lines = (tmp_path / "whole" / "finished.jsonl").read_bytes().splitlines(keepends=True)
    for kept in sorted({0, 1, 4, len(lines) // 2, len(lines) - 1}):
        folder = tmp_path / str(kept)
        folder.mkdir()
        (folder / "finished.jsonl").write_bytes(b"".join(lines[:kept]) + lines[kept][:50])
        assert run_methods([method], bench, folder) == whole


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"caps": []}, "`caps` has to be"),
        ({"caps": [16, 16]}, "`caps` has to be"),
        ({"totals": []}, "`totals` has to be"),
        ({"policies": ["oracle"]}, "`policies` has to be different ones of 'uniform', 'stability', 'confidence'"),
        ({"round_size": 0}, "`round_size` has to be"),
        ({"num_ignores": -1}, "`num_ignores` has to be"),
    ],
)
def test_misuse_is_refused(options, said):
    with pytest.raises(ValueError, match=said):
        Spending(**{"caps": CAPS, "totals": [100]} | options)


def test_what_cannot_be_set_aside_is_refused_before_anything_is_generated():
    method = Spending(caps=CAPS, totals=[100])
    with pytest.raises(ValueError, match="`max_answer_tokens` of the bench has to be given"):
        method.run(lamps(max_answer_tokens=None))
    with pytest.raises(ValueError, match="have to be less than the bench's `max_new_tokens`"):
        method.run(lamps(max_new_tokens=80))
    with pytest.raises(ValueError, match="`cut_text` and `cut_window`"):
        method.run(dataclasses.replace(lamps(), budget=Budget(cut_window=3)))
