"""The demonstration, on a few problems."""

import json
import re
import shlex

import pytest

pytest.importorskip("typer")
pytest.importorskip("matplotlib")
pytest.importorskip("math_verify")

from typer.testing import CliRunner

from s1_hf.cli import app
from s1_hf.cli import demonstration as demo
from s1_hf.results.rows import load_rows


def test_the_demo_shows_a_transcript_tables_figures_and_a_report_and_goes_on_when_run_again(tmp_path):
    arguments = ["demo", "--problems", "6", "--output-dir", str(tmp_path / "new")]
    run = CliRunner().invoke(app, arguments)
    assert run.exit_code == 0, run.output
    assert "[[<|im_start|>think]]" in run.stdout and "[[Wait]]" in run.stdout
    for said in ("cap 16", "no intervention", "6 ignores", "4 votes", "limit 96", "Control %", "Scaling"):
        assert said in run.stdout
    names = {path.name for path in (tmp_path / "new").iterdir()}
    assert {"report.html", "rows.jsonl", "about.json", "compare.png", "performance.svg"} <= names
    assert "[[" not in (tmp_path / "new" / "report.html").read_text()  # marked by elements there
    rows = load_rows(tmp_path / "new")
    assert {row.method for row in rows} == {name for method in demo.METHODS for name in method.names}
    assert all(row.thinking_tokens <= 16 for row in rows if row.setting == "cap 16")
    assert {row.ends_ignored for row in rows if row.setting == "2 ignores" and row.ended == "natural"} == {2}

    offered = re.findall(r"^  (s1-hf .*)$", run.stderr, re.MULTILINE)
    assert len(offered) > 4 and any(str(tmp_path / "new") in line for line in offered)
    for line in offered:
        assert CliRunner().invoke(app, [*shlex.split(line)[1:], "--help"]).exit_code == 0, line
    compared = next(line for line in offered if " compare " in line)
    assert CliRunner().invoke(app, shlex.split(compared)[1:]).exit_code == 0

    again = CliRunner().invoke(app, [*arguments, "--json"])
    assert "24 found on disk" in again.stderr  # 6 problems under 4 methods
    found = json.loads(again.stdout)
    assert len(found["settings"]) == 8 + 3 + 3 + 2 * 2
    assert load_rows(tmp_path / "new") == rows


@pytest.mark.parametrize("count", ["0", "100000"])
def test_a_number_of_problems_that_does_not_exist_is_refused(count, tmp_path):
    run = CliRunner().invoke(app, ["demo", "--problems", count, "--output-dir", str(tmp_path)])
    assert run.exit_code == 2
    assert "`problems` has to be from 1 to" in run.output and "Traceback" not in run.output


def test_a_model_that_is_no_embedded_one_is_refused(tmp_path):
    (tmp_path / "config.json").write_text('{"model_type": "qwen3", "vocab_size": 151936}')
    (tmp_path / "model.safetensors").touch()
    run = CliRunner().invoke(app, ["demo", str(tmp_path), "--output-dir", str(tmp_path / "out")])
    assert run.exit_code == 2 and not (tmp_path / "out").exists()
    assert "another one (a qwen3)" in " ".join(run.output.split())


def test_an_output_folder_that_is_a_file_is_refused(tmp_path):
    (tmp_path / "file").write_text("")
    run = CliRunner().invoke(app, ["demo", "--output-dir", str(tmp_path / "file")])
    assert run.exit_code == 2 and "Traceback" not in run.output


def test_the_transcript_shown_is_one_that_a_wait_has_set_right_if_there_is_any():
    def row(problem, setting, correct, ignored):
        first = {"method": "budget forcing", "task": "lamps", "sample": 0, "thinking_tokens": 1, "answer_tokens": 1}
        from s1_hf.results.rows import Row

        return Row(problem=problem, setting=setting, correct=correct, ends_ignored=ignored, ended="natural", **first)

    plain = [row("1", "no intervention", True, 0), row("2", "no intervention", False, 0)]
    waited = [row("1", "1 ignore", True, 1), row("2", "1 ignore", True, 1)]
    assert demo.showcase([*plain, *waited]) == waited[1]
    assert demo.showcase([*plain[:1], *waited[:1]]) == waited[0]
    assert demo.showcase(plain) == plain[0]  # of a model that never stops by itself
