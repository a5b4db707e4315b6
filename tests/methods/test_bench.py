"""Benches: what all methods share, how requests are made, what is refused."""

from __future__ import annotations

import dataclasses
import math

import pytest
import torch
from benches import Recording, problems, random_bench, recording

from s1_hf import Budget, LoopGuard
from s1_hf.engines.request import seed_of
from s1_hf.forcing.confidence import Confidence
from s1_hf.methods import (
    Bench,
    BudgetForcing,
    ClassConditional,
    CueAblation,
    Parallel,
    RejectionSampling,
    StepConditional,
    TokenConditional,
    run_methods,
)
from s1_hf.results.rows import Problem

ALL = [
    BudgetForcing([4, None], [0, 1]),
    CueAblation(["Hmm", None], 1),
    TokenConditional([8], forced=True),
    StepConditional([2], forced=True),
    ClassConditional(),
    RejectionSampling([3, 10], max_tries=2),
    Parallel(2, votes=[2], max_thinking_tokens=[5]),
]
SHARED = {"loop_guard": LoopGuard(min_tokens=9), "answer_prefix": "So:"}


@pytest.mark.parametrize("method", ALL, ids=lambda method: type(method).__name__)
def test_what_the_bench_shares_reaches_every_request_of_every_method(method):
    bench, engine = recording(random_bench(2, **SHARED))
    method.run(bench)
    assert engine.settings
    for settings in engine.settings:
        for setting in settings:
            assert {name: getattr(setting, name) for name in SHARED} == SHARED


def test_what_needs_a_cap_reaches_those_that_have_one_and_is_left_out_elsewhere():
    bench, engine = recording(random_bench(1, cut_text="Stop.\n", cut_window=2))
    TokenConditional([9], forced=True).run(bench)
    assert {setting.cut_text for settings in engine.settings for setting in settings} == {"Stop.\n"}
    engine.settings.clear()
    rows = TokenConditional([9]).rows(bench, bench.problems)
    assert engine.settings == [[Budget()]] and rows == TokenConditional([9]).run(random_bench(1))


def test_what_has_no_effect_under_any_method_is_refused(tmp_path):
    bench = random_bench(1, cut_text="Stop.\n")
    with pytest.raises(ValueError, match="`cut_text` has no effect without `max_thinking_tokens`"):
        ClassConditional().run(bench)
    with pytest.raises(ValueError, match="`cut_text` has no effect"):
        run_methods([ClassConditional(), RejectionSampling([9], max_tries=2)], bench, tmp_path)
    assert len(run_methods([ClassConditional(), BudgetForcing([9, None])], bench, tmp_path)) == 5


def test_what_is_shared_can_be_a_budget_or_single_keywords():
    assert random_bench(1, **SHARED).budget == random_bench(1, budget=Budget(**SHARED)).budget == Budget(**SHARED)
    with pytest.raises(ValueError, match="`budget` has to stand alone, but `answer_prefix` came with it"):
        random_bench(1, budget=Budget(), answer_prefix="So:")
    with pytest.raises(ValueError, match="`answer_prefx` is not an argument. Did you mean `answer_prefix`"):
        random_bench(1, answer_prefx="So:")


def test_caps_and_ignores_belong_to_the_methods():
    with pytest.raises(ValueError, match="has to leave `max_thinking_tokens`, .* to the methods, but is .*5"):
        random_bench(1, budget=Budget(max_thinking_tokens=5))


def test_an_engine_answers_in_place_of_a_model():
    bench = random_bench(3)
    other, engine = recording(bench)
    method = BudgetForcing([4, None])
    assert method.run(other) == method.run(bench)
    assert other.runner is engine and len(engine.asked) == 1


def test_seeds_are_those_of_every_run():
    bench, engine = recording(dataclasses.replace(random_bench(2, samples=2), seed=7))
    BudgetForcing().run(bench)
    RejectionSampling([3], max_tries=1).run(bench)
    for requests in engine.asked:
        assert [request.seed for request in requests] == [
            seed_of(7, "t", problem, sample) for problem in "01" for sample in (0, 1)
        ]


def test_one_setting_is_run_and_several_are_swept(monkeypatch):
    swept = []
    monkeypatch.setattr(Recording, "sweep", lambda self, requests, settings, on_step: swept.append(settings) or ())
    bench, engine = recording(random_bench(2))
    BudgetForcing([4]).run(bench)
    assert len(engine.asked) == 1 and not swept
    with pytest.raises(KeyError):
        BudgetForcing([4, 5]).run(bench)
    assert [setting.max_thinking_tokens for setting in swept[0]] == [4, 5]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"problems": []}, "`problems` has to be a sequence of `s1_hf.results.rows.Problem` with at least one"),
        ({"problems": ["1+1?"]}, "`problems` has to be a sequence of `s1_hf.results.rows.Problem`"),
        ({"problems": problems(2) + problems(1)}, "`problems` has to name each once, but has ...t., .0..."),
        ({"problems": [Problem(0, "Q", "7")]}, "`id`, `task` and `gold` of a problem have to be texts"),
        ({"problems": [Problem("0", "Q", 7)]}, "`id`, `task` and `gold` of a problem have to be texts"),
        ({"problems": [Problem("1", "Q", "Z", kind="choice")]}, "`gold` has to be a letter from A to J"),
        ({"max_new_tokens": 0, "batch_size": 0}, "`max_new_tokens` has to .* `batch_size` has to be an integer"),
        ({"samples": 0}, "`samples` has to be an integer of at least 1, but is 0"),
        (
            {"temperature": 0.0},
            "`temperature` has to be a number above 0, but is 0.0. For greedy answers leave `samples` out",
        ),
        ({"temperature": math.nan}, "`temperature` has to be a number above 0, but is nan"),
        ({"temperature": math.inf}, "`temperature` has to be a number above 0, but is inf"),
        ({"top_p": 1.5}, "`top_p` has to be a number above 0 and at most 1"),
        ({"min_p": -1}, "`min_p` has to be a number from 0 to 1"),
        ({"max_new_tokens": 500}, "have to fit into the model's context of 512"),
        ({"temperature": "hot"}, "`temperature` has to be a number above 0, but is 'hot'"),
        ({"engine": 5}, "Either `model` and `tokenizer` have to be given, or only `engine`"),
        ({"loop_guard": 5}, "`loop_guard` has to be a LoopGuard or None"),
        ({"format": "none"}, "`format` has to be one of"),
    ],
)
def test_bad_benches_are_refused_when_they_are_built(changes, message):
    with pytest.raises(ValueError, match=message):
        random_bench(2, **changes)


def test_an_engine_has_its_own_tokenizer_and_format():
    _, engine = recording(random_bench(1))
    other = random_bench(1, "opened")
    options = {"engine": engine, "problems": problems(1), "max_new_tokens": 8}
    with pytest.raises(ValueError, match="`tokenizer` has to be the engine's own"):
        Bench(tokenizer=other.tokenizer, **options)
    with pytest.raises(ValueError, match="`format` has to be the engine's, 's1'"):
        Bench(format=dataclasses.replace(engine.format, name="other"), **options)


def test_rows_have_the_confidence_of_their_answers():
    """In sweeps and runs, as one pass over the whole text says; with another `top` they have none."""
    grid = BudgetForcing([4, 8], num_ignores=[0, 1])
    long = {"max_new_tokens": 80, "max_answer_tokens": 30}
    bench = random_bench(3, confidence=Confidence(1), **long)
    rows = {(row.problem, row.setting): row for row in grid.run(bench)}
    assert len({row.confidence for row in rows.values()} - {None}) > 3
    for point, problem, request, done in bench.answers(bench.problems, grid.grid()):
        ids = torch.tensor([[*request.prompt, *done.token_ids]])
        with torch.no_grad():
            best = bench.model(ids).logits[0, len(request.prompt) - 1 : -1].float().log_softmax(-1).amax(-1).tolist()
        end = len(best) - (done.token_ids[-1] == bench.tokenizer.eos_token_id)
        own = [best[i] for i in range(end - done.report.answer_tokens, end) if not done.forced[i]]
        expected = pytest.approx(math.exp(sum(own) / len(own)), abs=1e-3) if own else None
        assert rows[problem.id, point.name].confidence == expected
    plain = grid.run(random_bench(3, **long))
    assert [dataclasses.replace(row, confidence=None, request=None) for row in rows.values()] == [
        dataclasses.replace(row, request=None) for row in plain
    ]
    assert {row.confidence for row in grid.run(random_bench(3, confidence=Confidence(2), **long))} == {None}


def test_what_is_no_confidence():
    with pytest.raises(ValueError, match=r"`confidence` has to be a Confidence, .* but is 20"):
        random_bench(1, confidence=20)
