"""`s1-hf plot`: files, tables, JSON, and bad input."""

import json
from dataclasses import replace

import pytest

pytest.importorskip("typer")
pytest.importorskip("matplotlib")

from typer.testing import CliRunner

from s1_hf.cli import app
from s1_hf.results.rows import Row, save_rows, write_about

LOCKS = ("_lock", "_lock.guard")


@pytest.fixture
def results(tmp_path):
    """Two settings that differ on one of two problems."""
    first = Row("budget forcing", "no intervention", "t", "1", 0, 100, 2, True, "natural", total_tokens=102)
    cut = replace(first, setting="cap 50", thinking_tokens=50, max_thinking_tokens=50, correct=False, ended="cut")
    rows = [first, replace(first, problem="2"), cut, replace(cut, problem="2", correct=True)]
    save_rows(rows, tmp_path / "results" / "rows.jsonl")
    write_about(tmp_path / "results", model="toy", seed=7)
    return tmp_path / "results"


def plot(*arguments):
    return CliRunner().invoke(app, ["plot", *map(str, arguments)])


def test_a_results_folder_gets_figures_and_a_report_and_the_terminal_its_tables(results):
    run = plot(results)
    assert run.exit_code == 0, run.output
    names = {f"{name}.{form}" for name in ("scaling", "ended", "lengths") for form in ("png", "svg")}
    assert {path.name for path in results.iterdir()} == {"rows.jsonl", "about.json", "report.html", *LOCKS} | names
    assert "cap 50" in run.stdout and "50.0" in run.stdout and str(results / "report.html") in run.stdout
    assert "Left out: t: no figure 'compare'" in run.stderr
    assert "Of 2 settings on t, “no intervention” was right most often" in run.stdout
    assert "toy" in (results / "report.html").read_text(encoding="utf-8")


def test_a_file_of_rows_its_formats_and_another_folder_may_be_given(results, tmp_path):
    run = plot(results / "rows.jsonl", "--output-dir", tmp_path / "a" / "b", "--formats", " SVG ")
    assert run.exit_code == 0, run.output
    assert {path.name for path in (tmp_path / "a" / "b").iterdir()} == {
        "report.html", "scaling.svg", "ended.svg", "lengths.svg", *LOCKS,
    }  # fmt: skip


def test_the_colors_of_the_figures_may_be_given(results):
    assert plot(results, "--formats", "svg", "--colors", "teal, #d55e00").exit_code == 0
    assert "#008080" in (results / "scaling.svg").read_text() and "#d55e00" not in (results / "lengths.svg").read_text()


def test_json_has_the_paths_and_numbers_and_nothing_else_is_on_stdout(results):
    found = json.loads(plot(results, "--json").stdout)
    assert [(s["setting"], s["accuracy"]) for s in found["settings"]] == [("no intervention", 100), ("cap 50", 50)]
    assert found["methods"][0]["performance"] == 100 and found["differences"][0]["points"] == -50
    assert found["headlines"][0].startswith("Of 2 settings on t, “no intervention” was right most often: on 100.0 %")
    assert found["report"] == str(results / "report.html") and str(results / "scaling.png") in found["figures"]


def test_a_table_of_trained_models_is_drawn_over_their_examples(tmp_path):
    (tmp_path / "models.csv").write_text("name,examples,accuracy,low,high\ns1,1000,93,90.4,94.9\nLIMO,817,94.8,,\n")
    run = plot(tmp_path / "models.csv", "--json")
    assert json.loads(run.stdout) == {"figures": [str(tmp_path / f"sample_efficiency.{f}") for f in ("png", "svg")]}
    assert (tmp_path / "sample_efficiency.svg").is_file()


@pytest.mark.parametrize(
    ("table", "said"),
    [
        (b"\xff\xfe", "is not UTF-8 text"),
        ("name,accuracy\n", "lacks examples. Its first line has to name the columns"),
        ("name,examples,accuracy\n", "has no rows"),
        ("name,examples,accuracy\ns1,many,93\n", "line 2: `examples` has to be a number, but is 'many'"),
        ("name,examples,accuracy\ns1,1000\n", "line 2: `accuracy` has to be a number, but is None"),
        ("name,examples,accuracy\ns1,1000,nan\n", "line 2: A trained model has to have"),
        ("name,examples,accuracy,low\ns1,1000,93,90\n", "line 2: A trained model has to have"),
    ],
)
def test_a_table_of_something_else_is_refused(table, said, tmp_path):
    (tmp_path / "models.csv").write_bytes(table if isinstance(table, bytes) else table.encode())
    run = plot(tmp_path / "models.csv")
    assert run.exit_code == 2 and said in run.output and list(tmp_path.iterdir()) == [tmp_path / "models.csv"]


def test_bad_input_is_refused_before_anything_is_written(results, tmp_path):
    before = sorted(tmp_path.rglob("*"))
    for arguments, said in (
        (["nowhere"], "does not exist"),
        ([results / "about.json"], "has to end in .jsonl or .parquet"),
        ([results, "--formats", "png,gif"], "`formats` only png, svg"),
        ([results, "--colors", "red,no colour"], "no colour"),
        ([results, "--output-dir", results / "about.json"], "has to be a folder"),
    ):
        run = plot(*arguments)
        assert run.exit_code == 2 and said in run.output and "Traceback" not in run.output, arguments
    assert sorted(tmp_path.rglob("*")) == before


def test_a_setting_that_is_not_finished_is_refused(results):
    with (results / "rows.jsonl").open("a") as file:
        file.write((results / "rows.jsonl").read_text().splitlines()[0].replace('"sample": 0', '"sample": 1') + "\n")
    run = plot(results)
    assert run.exit_code == 2 and "If a run was interrupted, rerun the same command to resume it" in run.output
