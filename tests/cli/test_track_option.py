"""`--track`: a run in a tracker for what is evaluated, swept or demonstrated, by the main process, without secrets."""

from __future__ import annotations

import importlib
import json
import sqlite3
from pathlib import Path

import pytest

pytest.importorskip("typer")
pytest.importorskip("math_verify")

from typer.testing import CliRunner

from s1_hf.cli import app, hosts
from s1_hf.forcing.budget import Budget

GIVEN = {"track": "trackio", "output_dir": Path("out"), "budget": Budget(num_ignores=1), "engine": "transformers"}
GIVEN |= {"model": "m", "tasks": "t", "seed": 3, "batch_size": 8, "top_p": None, "context": object()}


@pytest.fixture
def made(monkeypatch):
    """What runs in a tracker are made of."""
    found = []
    monkeypatch.setattr(hosts, "Tracked", lambda *arguments: found.append(arguments))
    return found


def test_the_config_is_what_decides_about_answers(made):
    hosts.tracked_run(GIVEN | {"engine": "http://me:password-1@host/v1"})
    ((tracker, folder, config, _),) = made
    assert (tracker, folder) == ("trackio", Path("out"))
    assert config.pop("budget")["num_ignores"] == 1
    assert config == {"engine": "http://***@host/v1", "model": "m", "tasks": "t", "seed": 3}
    json.dumps(config)


def test_only_the_main_process_tracks(made, monkeypatch):
    monkeypatch.setenv("RANK", "1")
    hosts.tracked_run(GIVEN)
    assert made[0][0] is None


def test_a_tracker_that_is_not_there_is_said_before_anything_is_loaded(monkeypatch, tmp_path):
    trackers = importlib.import_module("s1_hf.tracking.trackers")
    monkeypatch.setattr(trackers, "find_spec", lambda name: None)
    options = ["--max-samples", "1", "--output-dir", str(tmp_path / "out"), "--track", "wandb"]
    done = CliRunner().invoke(app, ["eval", "embedded", "--tasks", "s1:embedded", *options])
    assert (
        done.exit_code == 2 and "pip install wandb" in done.stderr and not (tmp_path / "out" / "generations").exists()
    )


def test_lighteval_tracks_by_itself(tmp_path):
    pytest.importorskip("lighteval")
    options = ["--host", "lighteval", "--output-dir", str(tmp_path), "--track", "trackio"]
    done = CliRunner().invoke(app, ["eval", "embedded", "--tasks", "s1:embedded", *options])
    assert done.exit_code == 2 and "lighteval tracks by itself, see `--wandb`" in " ".join(done.stderr.split())


def test_an_evaluation_stands_in_trackio_once(tmp_path, monkeypatch):
    trackio = pytest.importorskip("trackio")
    for module in [trackio.utils, importlib.import_module("trackio.sqlite_storage")]:
        monkeypatch.setattr(module, "TRACKIO_DIR", tmp_path / "trackio")
    monkeypatch.setattr("s1_hf.tracking.run.find_spec", lambda name: None)  # figures take seconds
    options = ["--max-samples", "2", "--max-thinking-tokens", "9", "--output-dir", str(tmp_path / "out")]
    command = ["eval", "embedded", "--tasks", "s1:embedded", *options, "--track", "trackio", "--json"]
    for said in ("Tracked: trackio show", "stand in trackio already"):
        done = CliRunner().invoke(app, command)
        assert done.exit_code == 0 and said in " ".join(done.stderr.split()), done.output
        json.loads(done.stdout)  # and nothing else
    (file,) = (tmp_path / "trackio").glob("*.db")
    with sqlite3.connect(file) as database:
        points = [json.loads(one) for (one,) in database.execute("select metrics from metrics")]
    assert [one["s1:embedded/thinking_tokens"] for one in points if "s1:embedded/accuracy" in one] == [9]
