"""`s1-hf push`: the dry run shows what would go where and does nothing; the command pushes and says where it is."""

from __future__ import annotations

import json

import pytest

pytest.importorskip("typer")
pytest.importorskip("huggingface_hub")
pytest.importorskip("yaml")

from result_rows import a_row
from typer.testing import CliRunner

from hub_stand_in import TOKEN, StandIn
from s1_hf.cli import app
from s1_hf.results.rows import save_rows


@pytest.fixture
def results(tmp_path):
    save_rows([a_row(problem=str(i), num_ignores=0) for i in range(3)], tmp_path / "results" / "rows.jsonl")
    (tmp_path / "results" / "_lock").write_text("")
    (tmp_path / "results" / "report.html").write_text("<p>")
    return tmp_path / "results"


def test_a_dry_run_shows_everything_and_does_nothing(results, monkeypatch):
    monkeypatch.delenv("HF_TOKEN", raising=False)
    done = CliRunner().invoke(app, ["push", str(results), "me/r", "--dry-run", "--private"])
    assert done.exit_code == 0, done.output
    said = " ".join(done.stdout.split())
    assert "to the data set me/r on the Hub (private, if it is new)" in said
    assert "README.md will be written" in said and "_lock stays here: of a run" in said
    assert "nothing was written, and nobody was asked" in " ".join(done.stderr.split())
    assert sorted(path.name for path in results.iterdir()) == ["_lock", "report.html", "rows.jsonl"]


def test_it_pushes_and_says_where(results, monkeypatch):
    with StandIn() as hub:
        monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", hub.url)
        monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
        monkeypatch.setattr("huggingface_hub.constants.HF_HUB_DISABLE_XET", True)
        monkeypatch.setenv("HF_TOKEN", TOKEN)
        monkeypatch.setenv("NO_PROXY", "127.0.0.1")
        done = CliRunner().invoke(app, ["push", str(results), "r", "--json"])
        assert done.exit_code == 0, done.output
        found = json.loads(done.stdout)
        assert found["pushed"]["url"] == f"{hub.url}/datasets/me/r" and TOKEN not in done.output
        assert found["files"].keys() == hub.repos["dataset", "me/r"].files.keys() == {
            "README.md", "report.html", "rows.jsonl",
        }  # fmt: skip


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--create-pr", "--revision", "x"], "leave out `--revision` or `--create-pr`"),
        (["--eval-results-to", "me/m"], "has no entries in .eval_results"),
        (["--eval-results-to", "a--b"], "'a--b' is no name of a repository"),
    ],
)
def test_what_cannot_be_is_refused_by_the_dry_run_too(arguments, said, results):
    done = CliRunner().invoke(app, ["push", str(results), "me/r", "--dry-run", *arguments])
    assert done.exit_code == 2 and said in " ".join(done.stderr.split())
