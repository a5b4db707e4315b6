"""lighteval's pipeline end to end: where results land, going on after `kill -9`, several processes, the command."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

pytest.importorskip("lighteval")
pytest.importorskip("typer")

import pyarrow.parquet as pq
from documents import lamps
from lighteval.logging.evaluation_tracker import EvaluationTracker
from lighteval.models.model_output import ModelResponse
from typer.testing import CliRunner

from s1_hf import embedded
from s1_hf.cli import app
from s1_hf.evaluation import BudgetForcingModel
from s1_hf.evaluation.lighteval.run import evaluate
from s1_hf.evaluation.scores import summary
from s1_hf.results.rows import load_rows

# huggingface_hub renames an argument that a task of lighteval uses while it is imported
pytestmark = pytest.mark.filterwarnings("ignore:Deprecated argument:FutureWarning")
ROOT = Path(__file__).parents[2]


def results_of(folder: Path) -> tuple[dict, list[dict]]:
    """The last results file without times and places, and the rows of the details."""
    path = max(folder.glob("results/**/results_*.json"))
    results = json.loads(path.read_text())
    general = results["config_general"]
    for name in ("start_time", "end_time", "total_evaluation_time_secondes"):
        assert general.pop(name) is not None
    general["model_config"].pop("cache_dir")
    (details,) = (folder / "details").glob(f"**/{path.stem.removeprefix('results_')}/*.parquet")
    return results, pq.read_table(details).to_pylist()


def command(folder: Path, *more: str) -> list[str]:
    arguments = [str(embedded.MODEL_PATH), "--dtype", "float32", "--output-dir", str(folder), "--max-new-tokens", "60"]
    return [*arguments, "--tasks", "s1_agg8:embedded", "--max-samples", "6", "--temperature", "1", *more]


def test_results_and_details_land_where_lighteval_puts_them(config, tmp_path, monkeypatch):
    seen, pushed = [], []
    monkeypatch.setattr(EvaluationTracker, "push_to_hub", lambda self, **kwargs: pushed.append(kwargs))
    settings = config(num_ignores=1, max_thinking_tokens=90, batch_size=4)
    options = {"output_dir": str(tmp_path), "push_to_hub": True, "hub_results_org": "me"}
    returned = evaluate(settings, "s1:embedded", max_samples=9, progress=seen.append, **options)
    results, details = results_of(tmp_path)
    scores = results["results"]["s1:embedded|0"]
    assert scores == returned["results"]["s1:embedded|0"]
    assert results["config_general"]["model_config"]["num_ignores"] == 1
    assert results["config_general"]["model_config"]["max_thinking_tokens"] == 90
    reports = [row["metric"]["thinking"] for row in details]
    assert {name: scores[name] for name in summary(reports)} == summary(reports)
    assert 0 < scores["ended_cut"] < 1 and scores["ended_cut"] + scores["ended_natural"] == 1
    assert scores["accuracy"] == sum(row["metric"]["accuracy"] for row in details) / 9
    assert [row["model_response"]["text"][0][:7] for row in details] == [
        "Final A" if report["ended"] == ["cut"] else "Answer:" for report in reports
    ]
    assert all(len(row["metric"]["thinking"]["output"]) == 1 for row in details)
    assert seen[0].done == 0 and seen[0].seconds_left is None
    assert seen[-1].done == seen[-1].total == 9 and seen[-1].seconds_left == 0
    assert pushed[0]["results_dict"]["results"]["s1:embedded|0"]["thinking_tokens"] == scores["thinking_tokens"]
    assert len(pushed[0]["details"]["s1:embedded|0"]) == 9
    assert seen[-1].tokens == sum(len(row["model_response"]["output_tokens"][0]) for row in details)


def test_responses_in_the_details_are_lightevals_own(config, tmp_path):
    """As its `load_responses_from_details_date_id` reads them."""
    evaluate(config(), "s1:embedded", output_dir=str(tmp_path), max_samples=2)
    _, details = results_of(tmp_path)
    responses = [ModelResponse(**row["model_response"]) for row in details]
    assert all(response.final_text[0].startswith("Answer:") for response in responses)


def test_a_killed_run_goes_on_and_gives_what_an_unbroken_run_gives(tmp_path):
    broken, unbroken = tmp_path / "broken", tmp_path / "unbroken"
    environment = os.environ | {"OMP_NUM_THREADS": "1", "OMP_WAIT_POLICY": "passive"}
    arguments = [sys.executable, "-m", "s1_hf.evaluation", *command(broken, "--batch-size", "4")]
    process = subprocess.Popen(
        arguments, env=environment, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        kept = _wait_for_lines(broken, 2, process)
    finally:
        process.kill()
        process.wait()
    assert not (broken / "results.json").exists()
    (file,) = broken.glob("generations/*/*/finished.jsonl")
    with file.open("ab") as torn:
        torn.write(b'{"0a1b2c": {"task": "')  # as if it had been killed while writing

    runner = CliRunner()
    for folder in (broken, unbroken):
        run = runner.invoke(app, ["eval", *command(folder, "--batch-size", "4")])
        assert run.exit_code == 0, run.output
    lines = file.read_bytes().splitlines(keepends=True)
    assert b"".join(lines).startswith(kept)
    keys = [key for line in lines for key in json.loads(line)]
    assert len(keys) == len(set(keys)) == 6 * 8
    assert load_rows(broken) == load_rows(unbroken)
    scores = [json.loads((folder / "results.json").read_text())["results"] for folder in (broken, unbroken)]
    assert scores[0] == scores[1]
    assert "avg@8" in run.output


def test_two_processes_share_the_work_and_all_have_the_answers(config, tmp_path):
    script = tmp_path / "script.py"
    settings = config(num_ignores=1, batch_size=2, cache_dir=str(tmp_path / "two"))
    script.write_text(f"""
import json, sys
from documents import lamps
from s1_hf.evaluation import BudgetForcingConfig, BudgetForcingModel
from s1_hf.engines.processes import part
model = BudgetForcingModel(BudgetForcingConfig(**json.loads({settings.model_dump_json()!r})))
responses = model.greedy_until(lamps(7))
rank = model.on_tasks.launch.number
open(rf"{tmp_path}/{{rank}}.json", "w").write(json.dumps([r.output_tokens for r in responses]))
part()
""")
    launch = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node=2", str(script)]
    path = os.pathsep.join([str(Path(__file__).parent), *sys.path])
    environment = os.environ | {"ACCELERATE_USE_CPU": "true", "OMP_NUM_THREADS": "1", "PYTHONPATH": path}
    run = subprocess.run(launch, env=environment, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    alone = BudgetForcingModel(config(num_ignores=1, batch_size=2)).greedy_until(lamps(7))
    for rank in (0, 1):
        assert json.loads((tmp_path / f"{rank}.json").read_text()) == [r.output_tokens for r in alone]
    written = sorted(tmp_path.glob("two/*/*/finished*.jsonl"))
    assert [file.read_bytes().count(b"\n") for file in written] == [2, 2]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--tasks", "s1:aime42"], "no task 's1:aime42'"),
        (["--tasks", "s1:embedded", "--max-thinking-tokens", "1000", "--max-new-tokens", "900"], "more than the 900"),
        (
            ["--tasks", "s1:embedded", "--max-thinking-tokens", "some"],
            "`max_thinking_tokens` has to be an integer of at least 0",
        ),
        (["--tasks", "s1_agg8:embedded"], "wants 8 samples of each problem"),
        (["--tasks", "s1:embedded", "--thinking-format", "harmony"], "as single tokens"),
    ],
)
def test_the_command_says_what_is_wrong_without_a_traceback(arguments, message, tmp_path):
    options = ["eval", str(embedded.MODEL_PATH), *arguments, "--output-dir", str(tmp_path), "--max-samples", "2"]
    run = CliRunner().invoke(app, options)
    assert run.exit_code == 2
    assert message in run.output.replace("\n", " ") and "Traceback" not in run.output


def _wait_for_lines(folder: Path, count: int, process: subprocess.Popen) -> bytes:
    """What stands in the samples file as soon as it has `count` lines."""
    for _ in range(1200):
        files = list(folder.glob("generations/*/*/finished.jsonl"))
        content = files[0].read_bytes() if files else b""
        if content.count(b"\n") >= count:
            return content[: content.rfind(b"\n") + 1]
        assert process.poll() is None, "it ended before it could be killed"
        time.sleep(0.05)
    raise AssertionError("it wrote nothing")
