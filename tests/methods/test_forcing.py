"""Budget forcing on a bench, and its cues."""

from __future__ import annotations

import dataclasses

import pytest
from benches import random_bench, recording

from s1_hf import Budget
from s1_hf.generation.grids import curve
from s1_hf.methods import BudgetForcing, CueAblation


def test_budget_forcing_promises_its_caps_and_nothing_for_ignores():
    rows = BudgetForcing([4, None], [0, 1]).run(random_bench(1))
    assert [(row.setting, row.max_thinking_tokens) for row in rows] == [
        ("cap 4", 4), ("cap 4, 1 ignore", 4), ("no intervention", None), ("1 ignore", None),
    ]  # fmt: skip


def test_cues_are_those_of_separate_budget_forcing_and_the_baseline_comes_once():
    bench = random_bench(3, max_new_tokens=40, samples=5)
    cues = ["Wait", "Hmm", ["Wait", "Hmm"], None]
    rows = CueAblation(cues, num_ignores=2).run(bench)
    names = ["no extrapolation", '2x "Wait"', '2x "Hmm"', '2x "Wait", "Hmm"', "2x without string"]
    assert list(dict.fromkeys(row.setting for row in rows)) == names and len(rows) == 75
    for name, cue in zip(names[1:], cues, strict=True):
        separate = BudgetForcing(num_ignores=[2], wait_text=cue).run(bench)
        assert [r.transcript for r in rows if r.setting == name] == [r.transcript for r in separate]
    assert len({str([r.transcript for r in rows if r.setting == name]) for name in names}) == 5


def test_without_a_cue_of_its_own_a_method_takes_the_benchs():
    mine = random_bench(3, max_new_tokens=40, samples=3, wait_text="Hmm")
    other = dataclasses.replace(mine, budget=Budget())
    method = BudgetForcing(num_ignores=[2])
    assert method.run(mine) == BudgetForcing(num_ignores=[2], wait_text="Hmm").run(other) != method.run(other)


def test_points_are_run_with_what_the_bench_shares():
    bench, engine = recording(random_bench(2, answer_prefix=None))
    rows = BudgetForcing(points=curve([4], [1])).run(bench)
    assert [row.setting for row in rows[::2]] == ["cap 4", "no intervention", "1 ignore"]
    (settings,) = engine.settings
    assert {setting.answer_prefix for setting in settings} == {None}


def test_points_with_settings_of_their_own_are_refused():
    with pytest.raises(ValueError, match="`points` have to leave all but caps and ignores to the bench"):
        BudgetForcing(points=curve([4], [1], Budget(wait_text="Hmm")))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: CueAblation("Wait"), "`wait_texts` has to be a sequence of different wait texts, but is 'Wait'"),
        (lambda: CueAblation(["Wait", "Wait"]), "`wait_texts` has to be a sequence of different"),
        (lambda: CueAblation(["Wait", ["Wait"]]), "`wait_texts` has to be a sequence of different"),
        (lambda: CueAblation([""]), "`wait_text` has to be a text"),
        (lambda: CueAblation(num_ignores=0), "`num_ignores` has to be an integer of at least 1"),
        (lambda: BudgetForcing([-1]), "`max_thinking_tokens` has to be an integer of at least 0"),
        (lambda: BudgetForcing(num_ignores=[]), "`num_ignores` has to be a sequence"),
        (lambda: BudgetForcing(points=[16]), "`settings` has to hold different settings"),
    ],
)
def test_bad_settings_of_methods_are_refused_when_they_are_built(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_a_cue_that_a_format_cannot_have_is_refused_before_anything_is_run():
    bench, engine = recording(random_bench(2, family="plain"))
    with pytest.raises(ValueError, match="`num_ignores` and `min_thinking_tokens` have to be 0"):
        CueAblation().run(bench)
    with pytest.raises(ValueError, match="`wait_text` has to be free of delimiters"):
        BudgetForcing(num_ignores=[1], wait_text="<|im_start|>").run(recording(random_bench(2))[0])
    assert not engine.asked
