"""`s1-hf sweep`."""

from __future__ import annotations

import json

import pytest

pytest.importorskip("lighteval")
pytest.importorskip("typer")

from typer.testing import CliRunner

from s1_hf.cli import app
from s1_hf.results.rows import load_rows

pytestmark = pytest.mark.filterwarnings("ignore:Deprecated argument:FutureWarning")


def sweep(folder, *more):
    arguments = ["sweep", "embedded", "--tasks", "s1:embedded", "--dtype", "float32", "--max-answer-tokens", "16"]
    return CliRunner().invoke(app, [*arguments, "--output-dir", str(folder), "--max-samples", "3", *more])


def test_a_curve_is_swept_shown_and_kept(tmp_path):
    run = sweep(tmp_path, "--max-thinking-tokens", "16,32", "--num-ignores", "1", "--curve")
    assert run.exit_code == 0, run.output
    for said in ("cap 16", "cap 32", "no intervention", "1 ignore", "Control %"):
        assert said in run.stdout
    assert "tokens went through the model" in run.stderr and "s1-hf plot" in run.stderr
    rows = load_rows(tmp_path)
    assert len(rows) == 4 * 3 and {row.task for row in rows} == {"s1:embedded"}
    about = json.loads((tmp_path / "about.json").read_text())
    assert about["model"] == "embedded" and about["cost"]["saved"] > 1
    settings = json.loads((tmp_path / "results.json").read_text())["settings"]
    assert [one["setting"] for one in settings] == ["cap 16", "cap 32", "no intervention", "1 ignore"]

    again = sweep(tmp_path, "--max-thinking-tokens", "16,32", "--num-ignores", "1", "--curve", "--json")
    found = json.loads(again.stdout)
    assert found["cost"] is None and [s["setting"] for s in found["settings"]][2] == "no intervention"


def test_rows_of_another_sweep_are_not_replaced_in_silence(tmp_path):
    first = sweep(tmp_path, "--max-thinking-tokens", "16")
    assert "they are replaced" not in first.stderr
    assert "they are replaced" not in sweep(tmp_path, "--max-thinking-tokens", "16").stderr
    other = sweep(tmp_path, "--max-thinking-tokens", "24")
    assert "a run with other settings; they are replaced" in " ".join(other.stderr.split())
    assert {row.setting for row in load_rows(tmp_path)} == {"cap 24"}


def test_the_grid_is_every_combination(tmp_path):
    run = sweep(tmp_path, "--max-thinking-tokens", "16,none", "--num-ignores", "0,1", "--json", "--no-save-details")
    names = [s["setting"] for s in json.loads(run.stdout)["settings"]]
    assert names == ["cap 16", "cap 16, 1 ignore", "no intervention", "1 ignore"]
    assert not (tmp_path / "details").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--max-thinking-tokens", "a"], "`--max-thinking-tokens` has to be numbers separated by commas"),
        (["--max-thinking-tokens", "16,16"], "sequence of different numbers"),
        (["--num-ignores", "none"], "`--num-ignores` has to be numbers"),
        (["--num-ignores", ""], "`--num-ignores` has to be numbers"),
        (["--max-thinking-tokens", "600"], "more than the 512 tokens"),
        (["--top-p", "0.5"], "need `--temperature` above 0"),
    ],
)
def test_bad_input_is_named_without_a_traceback(arguments, message, tmp_path):
    run = sweep(tmp_path, *arguments)
    assert run.exit_code == 2
    assert message in " ".join(run.output.split()) and "Traceback" not in run.output
