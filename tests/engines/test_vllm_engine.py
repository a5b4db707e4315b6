"""The engine on vLLM gives what the one on transformers gives, request by request and sweep by sweep."""

from __future__ import annotations

import pytest

pytest.importorskip("vllm.sampling_params", reason="vLLM is not installed: make test-vllm")

from dataclasses import replace

from lamp_requests import Steers, in_steps, lamp_engine, lamp_requests, run_all
from s1_hf import Budget
from s1_hf.engines.checkpoint import Checkpoint
from s1_hf.engines.engine import Recorded
from s1_hf.engines.ledger import Ledger
from s1_hf.engines.vllm_engine import VllmEngine
from s1_hf.forcing.confidence import Confidence
from s1_hf.forcing.loops import LoopGuard
from s1_hf.forcing.pauses import Begun, Pause
from s1_hf.generation.grids import grid
from s1_hf.methods import BeamSearch, Bench, ParticleFiltering, Rebase
from s1_hf.scoring import LampsOracle
from searching import lamp_problems
from vllm import SamplingParams

QUIET = lambda rows: None  # noqa: E731
BLOCK = 32


@pytest.fixture(scope="module")
def engine():
    options = {"enforce_eager": True, "block_size": BLOCK}
    engine = VllmEngine(Checkpoint.find("embedded"), dtype="float32", max_length=1024, options=options)
    yield engine
    engine.forget_weights()


@pytest.fixture(scope="module")
def other():
    return lamp_engine()


@pytest.mark.parametrize(
    "fields",
    [
        {"max_thinking_tokens": 30, "num_ignores": 1},
        {"num_ignores": 2, "max_answer_tokens": 3},
        {"max_thinking_tokens": 40, "cut_text": "So:\n", "cut_window": 9},
        {"give_up_after": 40},
        {"num_ignores": 1, "temperature": 1.0},
        {"temperature": 0.7, "samples": 2, "max_answer_tokens": 12},
        {"max_new_tokens": 9},
    ],
    ids=str,
)
def test_completions_equal_those_of_transformers(engine, other, fields):
    """In float32, sampled ones too: the same seeds draw the same tokens."""
    requests = lamp_requests(other, 16, **fields)
    engine.check(requests)
    assert run_all(engine, requests) == run_all(other, requests)


@pytest.mark.parametrize("fields", [{}, {"temperature": 1.0}, {"max_answer_tokens": 5}], ids=str)
@pytest.mark.parametrize(
    "shared", [Budget(), Budget(cut_text="So:\n", cut_window=5), Budget(wait_text=None)], ids=lambda one: one.name
)
def test_a_sweep_equals_separate_runs_and_that_of_transformers(engine, other, fields, shared):
    settings = grid([None, 20, 60], [0, 1, 2], shared)
    requests = lamp_requests(other, 6, **fields)
    engine.check_sweep(settings)
    (ours,) = engine.sweep(requests, settings, QUIET)
    theirs: dict = {}
    for batch in other.sweep(requests, settings, QUIET):
        for of_setting in batch.of_settings:
            theirs |= {one.request.key: one.completion for one in of_setting}
    for setting, of_setting in zip(settings, ours.of_settings, strict=True):
        assert [one.completion for one in of_setting] == [theirs[one.request.key] for one in of_setting]
        assert [one.completion for one in of_setting] == run_all(engine, [one.request for one in of_setting])
        assert {one.request.budget for one in of_setting} == {setting}
    assert ours.cost.separate_tokens > ours.cost.trace_tokens + ours.cost.answer_tokens


PAUSING = [
    {"num_ignores": 2, "max_answer_tokens": 3},
    {"num_ignores": 1, "wait_text": None, "max_new_tokens": 150},
    {"max_thinking_tokens": 40, "temperature": 1.0},
    {"min_thinking_tokens": 90, "max_new_tokens": 150},
    {"num_ignores": 1, "temperature": 1.9, "max_new_tokens": 120},
    {"loop_guard": LoopGuard(max_period=8, repeats=2, min_tokens=20), "num_ignores": 4, "max_new_tokens": 220},
]


@pytest.mark.parametrize("fields", PAUSING, ids=str)
@pytest.mark.parametrize("pause", [Pause("\n"), Pause(" by "), Pause("\n", tokens=5)], ids=str)
def test_rows_pause_as_in_transformers_and_become_what_they_would_have_become(engine, other, fields, pause):
    """At the same tokens, in the same states, from pause to pause; at the end they are the rows that never paused."""
    requests = lamp_requests(other, 4, **fields)
    asked, pauses = [replace(one, pause=pause) for one in requests], 0
    whole = dict(zip([one.problem for one in requests], run_all(engine, requests), strict=True))
    while asked:
        engine.check(asked)
        ours = run_all(engine, asked)
        assert ours == run_all(other, asked)
        begun = [(one, done.begun) for one, done in zip(asked, ours, strict=True) if done.begun is not None]
        for one, done in zip(asked, ours, strict=True):
            assert done.begun is not None or done == whole[one.problem]
        asked = [replace(one, begun=where) for one, where in begun]
        pauses += len(begun)
    assert pauses >= 8


def test_what_pauses_is_kept_and_found(engine, other, tmp_path):
    requests = lamp_requests(other, 2, num_ignores=1)
    kept, pauses = in_steps(Recorded(engine, Ledger(tmp_path)), requests, Pause("\n"))
    before = engine.computed
    assert in_steps(Recorded(engine, Ledger(tmp_path)), requests, Pause("\n")) == (kept, pauses)
    assert kept == run_all(other, requests) and engine.computed == before


def test_rows_that_go_on_are_in_the_cache_but_for_a_block(engine, other):
    """Of each row no more is computed again than its last, unfinished block, and the token at which it paused."""
    requests = lamp_requests(other, 4, num_ignores=2)
    run_all(engine, [replace(one, max_new_tokens=1) for one in requests])  # the prompts
    engine.computed = engine.cached = 0
    done, pauses = in_steps(engine, requests, Pause("\n"))
    generated = sum(len(one.token_ids) for one in done)
    assert pauses > 20
    assert generated <= engine.computed <= generated + (pauses + len(requests)) * (BLOCK + 1)
    assert engine.cached > 5 * generated


def test_branches_differ_by_their_seeds(engine, other):
    (request,) = lamp_requests(other, 1, temperature=1.5)
    (trunk,) = run_all(engine, [replace(request, pause=Pause("\n"))])
    branches = [replace(request, begun=trunk.begun, seed=seed, sample=seed) for seed in range(5)]
    ours = run_all(engine, branches)
    assert len({one.token_ids for one in ours}) > 1
    assert ours == run_all(other, branches)


def test_a_row_that_pauses_is_not_streamed(engine, other):
    (request,) = lamp_requests(other, 1)
    with pytest.raises(ValueError, match="is not streamed"):
        engine.stream(replace(request, pause=Pause("\n")), lambda text, kind: None, QUIET)


MEASURED = [
    {"confidence": Confidence(20), "num_ignores": 1},
    {"confidence": Confidence(1), "temperature": 1.0, "max_answer_tokens": 3},
    {"confidence": Confidence(None), "max_thinking_tokens": 40},
    {"confidence": Confidence(20, window=8, below=12.0), "num_ignores": 2},
    {"confidence": Confidence(1, window=12, below=0.001), "temperature": 1.5},
]


@pytest.mark.parametrize("fields", MEASURED, ids=str)
def test_rows_are_measured_and_given_up_as_in_transformers(engine, other, fields):
    """Up to the last digit, which rounding may change."""
    requests = lamp_requests(other, 8, **fields)
    engine.check(requests)
    assert_alike(run_all(engine, requests), run_all(other, requests))


def assert_alike(ours, theirs):
    for one, wanted in zip(ours, theirs, strict=True):
        assert replace(one, confidences=None) == replace(wanted, confidences=None)
        assert one.confidences == pytest.approx(wanted.confidences, abs=3e-4)


def test_rows_lose_confidence_in_the_test_above(engine, other):
    whole = run_all(engine, lamp_requests(other, 8, num_ignores=2))
    given_up = run_all(engine, lamp_requests(other, 8, **MEASURED[3]))
    shorter = [
        one for one, all_of_it in zip(given_up, whole, strict=True) if len(one.token_ids) < len(all_of_it.token_ids)
    ]
    assert len(shorter) > 2 and all(one.report.ended == "unfinished" for one in shorter)


def test_rows_that_pause_are_measured_since_then(engine, other):
    requests = lamp_requests(other, 2, num_ignores=1, confidence=Confidence(5))
    asked = [replace(one, pause=Pause("\n")) for one in requests]
    for _ in range(3):
        ours = run_all(engine, asked)
        assert_alike(ours, run_all(other, asked))
        asked = [replace(one, begun=done.begun) for one, done in zip(asked, ours, strict=True)]


def test_a_sweep_measures_too(engine, other):
    settings = grid([None, 20, 60], [0, 1])
    requests = lamp_requests(other, 4, confidence=Confidence(20))
    (ours,) = engine.sweep(requests, settings, QUIET)
    theirs: dict = {}
    for batch in other.sweep(requests, settings, QUIET):
        for of_setting in batch.of_settings:
            theirs |= {one.request.key: one.completion for one in of_setting}
    for of_setting in ours.of_settings:
        assert_alike([one.completion for one in of_setting], [theirs[one.request.key] for one in of_setting])


SEARCHES = [
    Rebase(scorer=LampsOracle(), widths=[1, 4], separator="\n"),
    BeamSearch(scorer=LampsOracle(), widths=[4], separator="\n", expand=2, max_step_tokens=20),
    ParticleFiltering(scorer=LampsOracle(), widths=[3], separator="\n", point=Budget(num_ignores=1)),
]


@pytest.mark.parametrize("search", SEARCHES, ids=lambda one: type(one).__name__)
def test_searches_equal_those_of_transformers(engine, other, search):
    def rows(engine):
        return search.run(
            Bench(engine=engine, problems=lamp_problems(3), max_new_tokens=90, max_answer_tokens=12, temperature=1.2)
        )

    ours = rows(engine)
    assert ours == rows(other)
    assert max(row.tries for row in ours) >= 3


def test_the_cache_holds_what_a_branch_keeps(engine, other):
    before = engine.cached
    list(engine.sweep(lamp_requests(other, 4), grid([40, 60, None], [0, 1]), QUIET))
    assert engine.cached > before


def test_what_is_finished_is_kept_and_found(engine, other, tmp_path):
    """In lists of `batch_size`; and nothing is mixed with what another engine has finished."""
    requests = lamp_requests(other, 20)
    first = Recorded(engine, Ledger(tmp_path))
    sizes = [len(batch) for batch in first.run(requests[:12], QUIET)]
    assert sizes[0] == 0 and sum(sizes) == 12 and max(sizes) <= 12 and len(sizes) > 2
    again = Recorded(engine, Ledger(tmp_path))
    assert len(again.found(requests)) == 12
    assert not Recorded(other, Ledger(tmp_path)).found(requests)
    assert engine.identity != other.identity


def test_a_run_that_is_left_is_left_clean(engine, other):
    requests = lamp_requests(other, 24, num_ignores=2)
    run = engine.run(requests, QUIET)
    next(run)
    run.close()
    assert not engine.llm.llm_engine.has_unfinished_requests()
    assert run_all(engine, requests[:3]) == run_all(other, requests[:3])


def test_requests_of_others_are_not_lost(engine, other):
    """Only one caller at a time can see what an engine puts out."""
    engine.llm.enqueue([{"prompt_token_ids": [1, 2]}], SamplingParams(max_tokens=3), use_tqdm=False)
    with pytest.raises(RuntimeError, match="The engine has requests of others"):
        run_all(engine, lamp_requests(other, 1))
    (output,) = engine.llm.wait_for_completion(use_tqdm=False)
    assert len(output.outputs[0].token_ids) == 3


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"repetition_penalty": 1.1}, "`repetition_penalty` cannot be combined with budgets in vLLM"),
        ({"steering": Steers()}, "Steers steers rows by a processor of transformers, which vLLM cannot run"),
        ({"pause": Pause("\n"), "give_up_after": 9}, "A request that pauses can neither be given up nor be steered"),
        ({"pause": Pause("-" * 65)}, "`separator` has to be at most 32 characters for vLLM, but has 65"),
        ({"pause": Pause("\n"), "budget": Budget(max_thinking_tokens="auto")}, 'cannot have the cap "auto"'),
        ({"begun": Begun((1,), (False,), (0,) * 7)}, "paused under another format"),
        ({"max_new_tokens": 1000}, "have to fit into the model's context of 1024"),
        ({"budget": Budget(wait_text="<|im_start|>answer", num_ignores=1)}, "`wait_text` has to be free of delimiters"),
        ({"budget": Budget(min_thinking_tokens=500)}, "`min_thinking_tokens` has to fit"),
    ],
)
def test_what_it_cannot_do_is_refused_before_weights_are_read(change, message):
    engine = VllmEngine(Checkpoint.find("embedded"), max_length=1024)
    (request,) = lamp_requests(engine, 1)
    with pytest.raises(ValueError, match=message):
        engine.check([replace(request, **change)])
    assert engine._llm is None


def test_options_that_may_change_answers_are_its_identity():
    def identity(**options):
        return VllmEngine(Checkpoint.find("embedded"), options=options).identity

    assert identity(load_format="dummy") != identity()
    assert identity(tensor_parallel_size=8) == identity()


def test_what_is_its_own_is_refused():
    with pytest.raises(ValueError, match="`worker_extension_cls` has to be left out"):
        VllmEngine(Checkpoint.find("embedded"), options={"worker_extension_cls": "foo.Bar"})
    with pytest.raises(ValueError, match="`additional_config` has to be without 's1_hf'"):
        VllmEngine(Checkpoint.find("embedded"), options={"additional_config": {"s1_hf": {"wait_text": "Hmm"}}})


def test_an_adapter_is_refused():
    one = replace(Checkpoint.find("embedded"), adapter="my-adapter")
    with pytest.raises(ValueError, match="my-adapter is an adapter, which this engine does not load. Merge it"):
        VllmEngine(one)
