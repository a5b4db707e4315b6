"""The bench of the package itself: rows and numbers are those through lighteval, and so is what is on the disk."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace

import pytest

import made_benchmarks
from s1_hf import Budget
from s1_hf.engines.checkpoint import Checkpoint
from s1_hf.engines.request import Sampling
from s1_hf.evaluation.bench import evaluate
from s1_hf.evaluation.lighteval import BudgetForcingConfig
from s1_hf.tasks.problems import names_in, task_of

pytest.importorskip("lighteval")
pytest.importorskip("datasets")

from s1_hf.evaluation.lighteval import run
from s1_hf.evaluation.lighteval.sweeping import sweep

# huggingface_hub renames an argument that a task of lighteval uses while it is imported
pytestmark = pytest.mark.filterwarnings("ignore:Deprecated argument:FutureWarning")

GRID = [Budget(max_thinking_tokens=16), Budget(max_thinking_tokens=120)]
DRAWN = {"sampling": Sampling(), "seed": 5}


@pytest.fixture
def no_weights(monkeypatch):
    """Called, it makes reading weights an error."""
    return lambda: monkeypatch.setattr(
        Checkpoint, "load", lambda *args, **options: pytest.fail("the weights were read")
    )


def by_problem(rows):
    return sorted(rows, key=lambda row: (row.setting, row.task, row.problem, row.sample))


@pytest.mark.parametrize(
    ("names", "drawing"),
    [("s1,s1_more", {}), ("s1_agg8:embedded,s1_agg8:gpqa_diamond,s1:math500", DRAWN)],
    ids=["greedy", "sampled"],
)
def test_rows_and_numbers_are_those_through_lighteval(names, drawing, settings, tmp_path):
    """All shipped tasks, on made-up rows; greedy, sampled, and with votes."""
    folder = str(made_benchmarks.write(tmp_path / "data", count=2))
    common = {"max_answer_tokens": 10, "max_new_tokens": 160, "batch_size": 32, **drawing}
    here = settings(**common, cache_dir=str(tmp_path / "here"))
    there = settings(**common, cache_dir=str(tmp_path / "there"))
    tasks = [task_of(name, folder).drawn(2) for name in names_in(names)]
    ours = evaluate(here, tasks, grid=GRID, transcripts=False)
    options = {"output_dir": str(tmp_path), "data_folder": folder, "max_samples": 2, "save_details": False}
    theirs = sweep(BudgetForcingConfig.of(there), names, settings=GRID, **options)
    rows = [replace(row, transcript=()) for row in theirs.rows]
    assert len(rows) == 2 * 2 * sum(task.samples or 1 for task in tasks)
    assert by_problem(ours.rows) == by_problem(rows)
    assert any(row.correct for row in rows) and any(row.kind == "choice" for row in tasks)
    for scores, results in zip(ours.results, theirs.results, strict=True):
        for name, found in scores.items():
            assert found == pytest.approx(results["results"][f"{name}|0"])


def test_a_run_begun_one_way_resumes_the_other_way(settings, tmp_path, no_weights):
    budget = Budget(max_thinking_tokens=24, num_ignores=1)
    common = settings(budget=budget, system_prompt="Be brief.")
    task = task_of("s1:embedded")
    evaluate(common, [task.drawn(2)])
    options = {"output_dir": str(tmp_path), "save_details": False}
    more = run.evaluate(BudgetForcingConfig.of(common), "s1:embedded", max_samples=4, **options)
    no_weights()
    rest = evaluate(common, [task.drawn(4)])
    assert rest.results[0]["s1:embedded"] == pytest.approx(more["results"]["s1:embedded|0"])


def test_settings_for_lighteval_are_the_same_settings(settings):
    for given in ({}, {"sampling": Sampling(temperature=0.5, top_p=0.9, top_k=3, min_p=0.1), "seed": 3}):
        one = settings(**given, max_new_tokens=50, repetition_penalty=1.5, chat_template=False, system_prompt="x")
        assert BudgetForcingConfig.of(one).settings == one


def test_neither_lighteval_nor_what_it_brings_is_needed(tmp_path):
    """Nor any library that reads data, for the shipped problems: rows are then JSON lines."""
    code = f"""
import sys
for name in ("lighteval", "inspect_ai", "datasets", "pyarrow", "accelerate", "matplotlib"):
    sys.modules[name] = None
from s1_hf.__main__ import main
sys.argv = ["s1-hf", "eval", "embedded", "--tasks", "s1:embedded", "--max-samples", "1", "--max-new-tokens", "40"]
sys.argv += ["--output-dir", {str(tmp_path)!r}]
main()
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert {"rows.jsonl", "about.json", "results.json"} <= {file.name for file in tmp_path.iterdir()}
