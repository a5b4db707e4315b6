"""All methods into one folder: batches, kills and settings; and once on the embedded model."""

from __future__ import annotations

import dataclasses
import json
import shutil

import pytest
import torch
from benches import problems, random_bench, random_model, recording

from s1_hf import embedded
from s1_hf.engines.progress import Progress
from s1_hf.engines.transformers_engine import TransformersEngine
from s1_hf.methods import (
    Bench,
    BudgetForcing,
    ClassConditional,
    CueAblation,
    Parallel,
    RejectionSampling,
    StepConditional,
    TokenConditional,
    problems_of,
    run_methods,
)
from s1_hf.results.rows import load_rows
from s1_hf.results.summaries import summarize_methods, summarize_settings

ALL = [
    BudgetForcing([4, None], [0, 1]),
    CueAblation(["Wait", None], 1),
    TokenConditional([8], forced=True),
    StepConditional([2], forced=True),
    ClassConditional(),
    RejectionSampling([3, 10], max_tries=6),
    Parallel(4, votes=[1, 4], shortest=[(2, 4)]),
]


@pytest.mark.parametrize("method", ALL, ids=lambda method: type(method).__name__)
def test_rows_are_the_same_for_every_batch_size(method):
    """In float64, in which no rounding turns a token; three answers each, sampled."""
    options = {"samples": 3, "max_new_tokens": 20}
    one, other = (method.run(random_bench(3, batch_size=size, **options)) for size in (2, 9))
    assert one == other and len(one) >= 9


def test_rows_of_a_problem_do_not_depend_on_the_others():
    everything = {p.id: p for p in problems(5)}
    some = random_bench(problems=[everything["3"], everything["1"]], samples=2)
    whole = random_bench(5, samples=2)
    for method in (RejectionSampling([3, 10], max_tries=4), Parallel(3, votes=[3])):
        expected = [row for row in method.run(whole) if row.problem in "13"]
        key = lambda row: (row.setting, row.problem, row.sample)  # noqa: E731
        assert sorted(method.run(some), key=key) == sorted(expected, key=key)


def test_a_run_killed_anywhere_goes_on_to_what_an_unbroken_run_gives(tmp_path):
    """Killed after a number of batches, with half a line written beside them."""
    methods = [RejectionSampling([3, 10], max_tries=4), ClassConditional(), Parallel(2, votes=[2])]
    bench = random_bench(3, batch_size=1, max_new_tokens=12)
    whole = run_methods(methods, bench, tmp_path / "whole")
    lines = (tmp_path / "whole" / "finished.jsonl").read_bytes().splitlines(keepends=True)
    of_tries = len(lines) - 3 * 3 - 3 * 2  # a line for each batch, which here is one answer
    assert of_tries > 3
    # What each method has finished when so many of its lines are there.
    for kept, found in ((1, 0), (of_tries, 3), (of_tries + 4, 4), (of_tries + 9 + 3, 7), (len(lines) - 1, 8)):
        folder = tmp_path / str(kept)
        folder.mkdir()
        (folder / "finished.jsonl").write_bytes(b"".join(lines[:kept]) + lines[kept][:50])
        told: list[Progress] = []
        assert run_methods(methods, dataclasses.replace(bench, progress=told.append), folder) == whole
        assert load_rows(folder) == whole
        assert (folder / "finished.jsonl").read_bytes() == b"".join(lines)
        assert (told[0].found, told[-1].done, told[-1].total) == (found, 9, 9)
        assert told[-1].tokens > 0


def test_an_interruption_leaves_what_was_finished(tmp_path):
    def stop(progress: Progress) -> None:
        if progress.done == 3:
            raise KeyboardInterrupt

    bench = random_bench(5, batch_size=1)
    with pytest.raises(KeyboardInterrupt):
        run_methods([BudgetForcing([4])], dataclasses.replace(bench, progress=stop), tmp_path)
    assert len((tmp_path / "finished.jsonl").read_bytes().splitlines()) == 3
    assert len(run_methods([BudgetForcing([4])], bench, tmp_path)) == 5
    assert len((tmp_path / "finished.jsonl").read_bytes().splitlines()) == 5


@pytest.mark.parametrize("what", ["weights", "seed", "gold", "limits"])
def test_nothing_finished_is_used_again_for_anything_else(tmp_path, what):
    bench, method = random_bench(2), RejectionSampling([9], max_tries=3)
    run_methods([method], bench, tmp_path)
    before = (tmp_path / "finished.jsonl").read_bytes()
    if what == "weights":
        model, _ = random_model()
        model = type(model)(model.config).double().eval()
        bench = dataclasses.replace(bench, model=model)
    elif what == "seed":
        bench = dataclasses.replace(bench, seed=1)
    elif what == "gold":
        bench = dataclasses.replace(bench, problems=[dataclasses.replace(p, gold="77") for p in bench.problems])
    else:
        method = RejectionSampling([8], max_tries=3)
    assert run_methods([method], bench, tmp_path) == method.run(bench)
    after = (tmp_path / "finished.jsonl").read_bytes()
    # Completions do not depend on the gold answer: the rows are graded anew, and nothing is generated.
    assert after == before if what == "gold" else len(after.splitlines()) == 2 * len(before.splitlines())


def test_a_run_of_the_same_methods_generates_nothing_again(tmp_path, monkeypatch):
    bench = random_bench(3)
    rows = run_methods(ALL, bench, tmp_path)
    for name in ("run", "sweep"):
        monkeypatch.setattr(TransformersEngine, name, lambda *args: pytest.fail("generated again"))
    assert run_methods(ALL, bench, tmp_path) == rows
    assert len(run_methods(ALL[:1], bench, tmp_path)) < len(rows)


def test_what_methods_have_in_common_is_generated_once(tmp_path):
    """The samples of a vote are those of budget forcing, and conditional control's control is no intervention."""
    bench, engine = recording(random_bench(3, samples=2))
    run_methods([BudgetForcing(), Parallel(2, votes=[2]), ClassConditional()], bench, tmp_path)
    asked = [len(requests) for requests in engine.asked]
    assert sum(asked) == 3 * 2 + 2 * 3 * 2  # without instruction; short and long


def test_the_ledger_of_a_sweep_serves_single_settings(tmp_path):
    bench = random_bench(3)
    run_methods([BudgetForcing([4, None])], bench, tmp_path)
    single, engine = recording(bench)
    assert run_methods([BudgetForcing([4])], single, tmp_path) == BudgetForcing([4]).run(bench)
    assert engine.asked == []


def test_parquet_takes_the_place_of_lines_and_about_says_what_was_run(tmp_path):
    pytest.importorskip("pyarrow")
    bench = random_bench(2)
    run_methods(ALL[:1], bench, tmp_path)
    rows = run_methods(ALL[:1], bench, tmp_path, format="parquet")
    assert load_rows(tmp_path) == rows and not (tmp_path / "rows.jsonl").exists()
    about = json.loads((tmp_path / "about.json").read_text())
    assert about["methods"][0]["max_thinking_tokens"] == [4, None] and about["bench"]["batch_size"] == 8
    assert (about["tasks"], about["problems"], about["engine"]["engine"]) == (["t"], 2, "transformers")


def test_chats_and_tasks_of_choices_go_through_every_method():
    chat = [{"role": "system", "content": "S"}, {"role": "user", "content": "A or B?"}]
    asked = [dataclasses.replace(problems(1)[0], prompt=chat, gold="A", kind="choice"), *problems(1, "u")]
    bench = random_bench(problems=asked)
    for method in ALL:
        assert {row.task for row in method.run(bench)} == {"t", "u"}


@pytest.mark.parametrize(
    ("methods", "message"),
    [
        ([], "`methods` has to be a sequence of methods with at least one"),
        (BudgetForcing(), "`methods` has to be a sequence of methods"),
        ([BudgetForcing([4]), BudgetForcing([5])], "rows of different names, but budget forcing comes twice"),
    ],
)
def test_what_cannot_be_run_together_is_refused(tmp_path, methods, message):
    with pytest.raises(ValueError, match=message):
        run_methods(methods, random_bench(1), tmp_path)


def test_a_folder_with_something_else_is_refused(tmp_path):
    (tmp_path / "finished.jsonl").write_text('{"key": "a"}\n')
    with pytest.raises(ValueError, match="Line 1 of .* is not a line of finished work. Delete that line"):
        run_methods(ALL[:1], random_bench(1), tmp_path)
    shutil.rmtree(tmp_path)
    with pytest.raises(ValueError, match="`format` has to be 'jsonl' or 'parquet', but is 'csv'"):
        run_methods(ALL[:1], random_bench(1), tmp_path, format="csv")


def test_every_method_on_the_embedded_model_and_its_table(tmp_path):
    """Caps are kept, ignoring ends helps this model, and every method has a line."""
    model, tokenizer = embedded.load()
    bench = Bench(
        model=model, tokenizer=tokenizer, problems=problems_of("s1:embedded", max_samples=4), max_new_tokens=140,
        max_answer_tokens=12, batch_size=16,
    )  # fmt: skip
    torch.manual_seed(1)
    methods = [BudgetForcing([16, None], [0, 1]), *ALL[1:5], RejectionSampling([60, 90], max_tries=2), ALL[-1]]
    rows = run_methods(methods, bench, tmp_path)
    assert torch.initial_seed() == 1
    summaries = {summary.method: summary for summary in summarize_methods(summarize_settings(rows))}
    assert list(summaries) == [name for method in methods for name in method.names]
    assert summaries["budget forcing"].control == 100
    settings = {s.setting: s.accuracy for s in summarize_settings(rows) if s.method == "budget forcing"}
    assert settings["1 ignore"] > settings["no intervention"] >= settings["cap 16"]
    assert any(row.correct for row in rows if row.method == "rejection sampling")
