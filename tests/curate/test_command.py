"""`s1-hf curate` from end to end, on good and bad input."""

import json

import pytest

pytest.importorskip("datasets")
pytest.importorskip("typer")

from curation_pools import random_pool
from typer.testing import CliRunner

from s1_hf import load_s1k
from s1_hf.cli import app

RECIPE = "diversity: {n: 25, trusted: [{source: AIME, min_thinking_tokens: 38}]}\n"


@pytest.fixture
def run(tmp_path):
    random_pool(200).to_json(str(tmp_path / "pool.jsonl"))
    (tmp_path / "mine.yaml").write_text(RECIPE)

    def invoke(*arguments, recipe=None, pool="pool.jsonl"):
        given = [
            str(recipe or tmp_path / "mine.yaml"),
            "--input",
            str(tmp_path / pool),
            "--output-dir",
            str(tmp_path / "out"),
        ]
        return CliRunner().invoke(app, ["curate", *given, *arguments], env={"COLUMNS": "200"})

    return invoke


def test_the_funnel_is_printed_and_the_data_set_loads(run, tmp_path):
    done = run("--paper-counts")
    assert done.exit_code == 0, done.output
    assert "54,116" in done.stdout and "unclosed 10" in done.stdout and "trusted: " in done.stdout
    assert len(load_s1k(path=tmp_path / "out")) == 25


def test_json_is_the_report(run, tmp_path):
    done = run("--json", "--n", "10", "--seed", "3")
    report = json.loads(done.stdout)
    assert report["funnel"][-1]["rows"] == 10 and report["seed"] == 3
    assert report == json.loads((tmp_path / "out" / "report.json").read_text())


def test_columns_can_be_named_and_the_papers_counts_are_shown_on_request_only(run, tmp_path):
    renamed = random_pool(60).rename_columns({"question": "problem", "attempt": "answer"})
    renamed.to_json(str(tmp_path / "renamed.jsonl"))
    done = run("--column", "question=problem", "--column", "attempt=answer", "--n", "5", pool="renamed.jsonl")
    assert done.exit_code == 0 and "paper" not in done.stdout, done.output


@pytest.mark.parametrize("given", ["question", "question=", "=problem", "nothing=problem"])
def test_a_column_that_is_named_wrongly_is_refused(run, given):
    done = run("--column", given)
    assert done.exit_code == 2 and "olumn" in done.stderr


def test_an_ablation_comes_from_the_same_call(run, tmp_path):
    assert run("--method", "longest").exit_code == 0
    rows = [row for row in random_pool(200) if row["ended"] == "natural" and not row["error"]]
    report = json.loads((tmp_path / "out" / "report.json").read_text())
    assert report["thinking_tokens"]["selected"]["total"] == sum(sorted(row["thinking_tokens"] for row in rows)[-25:])


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--method", "best"], "`method` has to be one of"),
        (["--n", "5000"], "`n` has to be at most"),
        (["--seed", "-1"], "`seed` has to be 0 or more"),
        (["--num-proc", "0"], "`--num-proc` has to be 1 or more"),
    ],
)
def test_bad_options_end_with_code_2_and_leave_nothing(run, tmp_path, arguments, said):
    done = run(*arguments)
    assert done.exit_code == 2 and said in done.stderr and not (tmp_path / "out").exists()


def test_a_missing_pool_is_named(run):
    done = run(pool="nowhere.jsonl")
    assert done.exit_code == 2 and "nowhere.jsonl' does not exist" in done.stderr


def test_a_missing_recipe_is_named(run):
    done = run(recipe="curat")
    assert done.exit_code == 2 and "Did you mean 'curate'?" in done.stderr


def test_an_existing_folder_is_refused_before_any_work(run, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine.txt").write_text("mine")
    done = run("--overwrite", pool="nowhere.jsonl")
    assert done.exit_code == 2 and "does not hold an earlier curation" in done.stderr


def test_overwriting_needs_an_option(run):
    assert run().exit_code == 0
    assert run().exit_code == 2
    assert run("--overwrite").exit_code == 0
