"""The demonstration and the command line, on a few problems."""

import re

import pytest

pytest.importorskip("typer")
pytest.importorskip("matplotlib")

from typer.testing import CliRunner

from s1_hf import demo, embedded
from s1_hf.cli import app


def test_the_demo_shows_a_transcript_a_table_and_a_figure(tmp_path):
    run = CliRunner().invoke(app, ["demo", "--problems", "12", "--output", str(tmp_path / "new")])
    assert run.exit_code == 0, run.output
    assert "[[<|im_start|>think]]" in run.output and "[[Wait]]" in run.output
    for setting in demo.SETTINGS:
        assert re.search(rf"{setting.label} +\d+ +\d", run.output)
    assert (tmp_path / "new" / "scaling.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize("count", ["0", "100000"])
def test_a_number_of_problems_that_does_not_exist_is_refused(count, tmp_path):
    run = CliRunner().invoke(app, ["demo", "--problems", count, "--output", str(tmp_path)])
    assert run.exit_code == 2
    assert "`problems` has to be from 1 to" in run.output and "Traceback" not in run.output


def test_an_output_folder_that_is_a_file_is_refused(tmp_path):
    (tmp_path / "file").write_text("")
    run = CliRunner().invoke(app, ["demo", "--output", str(tmp_path / "file")])
    assert run.exit_code == 2 and "Traceback" not in run.output


def test_caps_hold_and_waits_are_counted_on_held_out_problems():
    model, tokenizer = embedded.load()
    problems = demo.draw_problems(8, seed=3)
    cut = demo.evaluate(model, tokenizer, problems, demo.SETTINGS[0])
    assert all(c.report.thinking_tokens <= 16 for c in cut.completions)
    assert cut.ended["cut"] > 0
    waits = demo.evaluate(model, tokenizer, problems, demo.SETTINGS[5])
    assert {c.report.ends_ignored for c in waits.completions if c.report.ended == "natural"} == {2}
    assert waits.thinking_tokens > cut.thinking_tokens
