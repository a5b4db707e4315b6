"""`s1-hf spend`: a total replayed from a sweep, with confidence and without, and bad input."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

pytest.importorskip("typer")
pytest.importorskip("math_verify")
pytest.importorskip("matplotlib")

from typer.testing import CliRunner

from s1_hf.cli import app
from s1_hf.results.rows import load_rows, save_rows

RUNNER = CliRunner()
SWEEP = [
    "sweep", "embedded", "--tasks", "s1:embedded", "--max-samples", "6", "--max-new-tokens", "150",
    "--max-answer-tokens", "12", "--max-thinking-tokens", "16,32,48,none", "--output-dir",
]  # fmt: skip


@pytest.fixture(scope="module")
def swept(tmp_path_factory):
    """Rows with a confidence, of two numbers of ignores."""
    pytest.importorskip("pyarrow")
    folder = tmp_path_factory.mktemp("swept")
    done = RUNNER.invoke(app, [*SWEEP, str(folder), "--num-ignores", "0,1", "--confidence"])
    assert done.exit_code == 0, done.output
    return folder


def spend(rows, folder, *more: str):
    return RUNNER.invoke(app, ["spend", str(rows), "--output-dir", str(folder), *more])


def test_a_sweep_measures_confidence_and_a_total_is_spent_by_it(swept, tmp_path):
    rows = load_rows(swept)
    assert all(row.confidence is not None for row in rows if row.answer_tokens > 4)
    done = spend(swept, tmp_path, "--num-ignores", "1", "--totals", "150,300", "--opening-tokens", "2", "--json")
    assert done.exit_code == 0, done.output
    found = load_rows(tmp_path)
    policies = ("uniform", "stability", "confidence", "oracle")
    assert {row.method for row in found} == {f"spending, {policy}" for policy in policies}
    for policy in policies:
        for total in (150, 300):
            own = [row for row in found if row.method.endswith(policy) and row.setting == f"total {total}"]
            assert len(own) == 6 and sum(row.total_tokens for row in own) <= total
            assert {row.num_ignores for row in own} == {1}
    said = json.loads(done.stdout)
    assert [path.rsplit("/", 1)[-1] for path in said["figures"]] == ["spending.png", "spending.svg"]
    assert (tmp_path / "spending.svg").exists() and len(said["settings"]) == 8


def test_rows_of_other_commands_are_never_replaced(swept, tmp_path):
    save_rows(load_rows(swept), tmp_path / "rows.jsonl")
    for folder in (swept, tmp_path):
        before = {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}
        refused = spend(folder, folder, "--num-ignores", "1", "--totals", "150")
        assert refused.exit_code == 2 and "`--output-dir` has to be another folder" in refused.stderr
        assert {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()} == before
    for total in ("150", "300"):  # its own are
        done = spend(swept, tmp_path / "out", "--num-ignores", "1", "--totals", total, "--formats", "svg")
        assert done.exit_code == 0, done.output
        assert {row.setting for row in load_rows(tmp_path / "out")} == {f"total {total}"}


def test_without_confidence_that_policy_is_left_out_and_it_is_said(swept, tmp_path):
    save_rows([replace(row, confidence=None) for row in load_rows(swept) if row.num_ignores == 0], tmp_path / "r.jsonl")
    done = spend(tmp_path / "r.jsonl", tmp_path / "out", "--formats", "svg")
    assert done.exit_code == 0, done.output
    assert "confidence is left out: these rows have none" in " ".join(done.stderr.split())
    found = load_rows(tmp_path / "out")
    assert {row.method for row in found} == {"spending, uniform", "spending, stability", "spending, oracle"}
    assert 1 < len({row.setting for row in found}) <= 8
    again = spend(tmp_path / "r.jsonl", tmp_path / "out", "--policies", "confidence")
    assert again.exit_code == 2 and "no row has one" in " ".join(again.stderr.split())


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "`--num-ignores` has to choose one of 0, 1"),
        (["--num-ignores", "5"], "`--num-ignores` has to be one of 0, 1, but is 5"),
        (["--num-ignores", "0", "--totals", "many"], "`--totals` has to be numbers"),
        (["--num-ignores", "0", "--policies", "fair"], "`policies` has to be different ones of"),
        (["--num-ignores", "0", "--formats", "gif"], "`--formats` has to be some of png, svg"),
        (["--num-ignores", "0", "--opening-tokens", "99"], "`opening_tokens` has to be less"),
    ],
)
def test_bad_input_is_refused(swept, tmp_path, arguments, said):
    done = spend(swept, tmp_path, *arguments)
    assert done.exit_code == 2
    assert said in " ".join(done.stderr.split())


def test_rows_without_caps_are_refused(swept, tmp_path):
    rows = [row for row in load_rows(swept) if row.max_thinking_tokens is None]
    save_rows(rows, tmp_path / "r.jsonl")
    done = spend(tmp_path / "r.jsonl", tmp_path / "out")
    assert done.exit_code == 2 and "no rows of a sweep over caps" in " ".join(done.stderr.split())


def test_lighteval_measures_no_confidence(tmp_path):
    pytest.importorskip("lighteval")
    done = RUNNER.invoke(app, [*SWEEP, str(tmp_path), "--confidence", "--host", "lighteval"])
    assert done.exit_code == 2 and "lighteval measures no confidence" in " ".join(done.stderr.split())
