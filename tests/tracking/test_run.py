"""Runs in the real trackers, on this machine only: what is logged, once; what goes wrong costs no run."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import ClassVar

import pytest
import tracked_runs
from tracked_runs import CONFIG, rows

from s1_hf.engines.progress import Progress
from s1_hf.tracking import Tracked, check_tracker
from s1_hf.tracking import run as running
from s1_hf.tracking.kept import FILE, read_kept
from s1_hf.tracking.trackers import TRACKERS, Backend


class Said(list):
    def __call__(self, said: str) -> None:
        self.append(said)


class FakeTracker(Backend):
    """Remembers what it is told, and fails where it is told to."""

    made: ClassVar[list[FakeTracker]] = []
    fails = ""

    def __init__(self, folder, number, name, config):
        self.name, self.config, self.told, self.where, self.closed = name, config, [], "there", None
        self._do("start")
        FakeTracker.made.append(self)

    def _do(self, what, *told):
        if what == FakeTracker.fails:
            raise OSError(f"{what}: no space left, says http://me:password-1@host")
        self.told.append((what, *told))

    def log(self, values):
        self._do("log", values)

    def table(self, name, columns, rows):
        self._do("table", columns, rows)

    def images(self, files):
        self._do("images", [file.read_bytes()[:4] for file in files.values()])

    def close(self, failed):
        self.closed = failed
        self._do("close")


@pytest.fixture
def fake(monkeypatch):
    monkeypatch.setitem(TRACKERS, "trackio", FakeTracker)
    monkeypatch.setattr(running, "check_tracker", lambda tracker: None)
    monkeypatch.setattr(FakeTracker, "made", [])
    monkeypatch.setattr(FakeTracker, "fails", "")
    return FakeTracker


def track(folder, said=None, config=CONFIG):
    return Tracked("trackio", folder, config, Said() if said is None else said)


def logged(fake) -> list[str]:
    return [what for one in fake.made for what, *_ in one.told]


def test_a_setting_is_a_point_and_all_of_them_a_table_with_the_budgets_columns(fake, tmp_path):
    with track(tmp_path) as run:
        run.results(rows())
    (made,) = fake.made
    points = [told[0] for what, *told in made.told if what == "log"]
    assert [(one["t/thinking_tokens"], one["t/accuracy"], one["t/ended_cut"]) for one in points] == [
        (100, 25, 1),
        (200, 75, 1),
    ]
    ((columns, table),) = [told for what, *told in made.told if what == "table"]
    found = [dict(zip(columns, one, strict=True)) for one in table]
    assert [(one["setting"], one["max_thinking_tokens"]) for one in found] == [("cap 100", 100), ("cap 200", 200)]
    assert made.closed is False


def test_the_config_has_no_secret(fake, tmp_path):
    with track(tmp_path):
        pass
    assert fake.made[0].config["engine"] == "http://***@host/v1" and "planted" not in json.dumps(fake.made[0].config)
    assert "password" not in (tmp_path / FILE).read_text()


def test_figures_are_tracked_where_they_can_be_drawn(fake, tmp_path, monkeypatch):
    pytest.importorskip("matplotlib")
    with track(tmp_path) as run:
        run.results(rows())
    images = [told[0] for what, *told in fake.made[0].told if what == "images"]
    assert images and set(images[0]) == {b"\x89PNG"}
    monkeypatch.setattr(running, "find_spec", lambda name: None)
    said = Said()
    with track(tmp_path / "bare", said) as run:
        run.results(rows())
    assert "s1-hf[plot]" in said[0] and "images" not in [what for what, *_ in fake.made[1].told]


def test_a_run_that_was_broken_off_is_continued_and_one_that_is_finished_logs_nothing_again(fake, tmp_path):
    with pytest.raises(KeyboardInterrupt), track(tmp_path):
        raise KeyboardInterrupt
    with track(tmp_path) as run:
        run.results(rows())
    assert fake.made[0].closed is True and fake.made[0].name == fake.made[1].name
    said = Said()
    with track(tmp_path, said) as run:
        run.results(rows())
    assert len(fake.made) == 2 and "stand in trackio already" in said[0]
    with track(tmp_path) as run:  # other answers under the same config
        run.results(rows()[:4])
    assert fake.made[2].name == fake.made[0].name


def test_another_config_is_another_run_and_so_is_another_folder(fake, tmp_path):
    for place, config in (("a", CONFIG), ("a", CONFIG | {"seed": 1}), ("b", CONFIG)):
        with track(tmp_path / place, config=config):
            pass
    assert len({one.name for one in fake.made}) == 3
    assert len(read_kept(tmp_path / "a")) == 2


def test_what_cannot_be_started_is_said_before_anything_runs(fake, tmp_path):
    fake.fails = "start"
    with pytest.raises(ValueError, match=r"trackio could not be started: .*no space left") as caught, track(tmp_path):
        pytest.fail("it ran")
    assert "password" not in str(caught.value)


@pytest.mark.parametrize("moment", ["log", "table", "images", "close"])
def test_a_tracker_that_fails_in_the_middle_is_said_once_and_its_results_are_logged_by_the_next_run(
    moment, fake, tmp_path
):
    if moment == "images":
        pytest.importorskip("matplotlib")
    fake.fails, said = moment, Said()
    with track(tmp_path, said) as run:
        run.results(rows())
    assert len(said) == 1 and "Rerun the same command" in said[0] and "password" not in said[0]
    fake.fails = ""
    with track(tmp_path) as run:
        run.results(rows())
    assert len(fake.made) == 2 and "table" in [what for what, *_ in fake.made[-1].told]


def test_progress_is_told_now_and_then_and_not_of_what_was_found(fake, tmp_path, monkeypatch):
    moments = iter([100.0, 100.0, 105.0, 111.0, 111.0])
    with track(tmp_path) as run:
        run.progress(Progress(found=2, done=2, total=4, tokens=0, seconds=0))
        monkeypatch.setattr(running.time, "monotonic", lambda: next(moments))
        for done in (3, 3, 4):
            run.progress(Progress(found=2, done=done, total=4, tokens=10 * done, seconds=1))
    points = [told[0]["progress/answers"] for what, *told in fake.made[0].told if what == "log"]
    assert points == [3, 4]


@pytest.mark.parametrize("content", ["[]", '{"runs": {"a": {}}}', "{", '{"runs": 1}'])
def test_a_memory_of_something_else_is_named(content, fake, tmp_path):
    (tmp_path / FILE).write_text(content)
    with pytest.raises(ValueError, match=r"tracked\.json.* Delete it: results are then logged as a new run"):
        track(tmp_path).__enter__()


def test_unknown_and_absent_trackers_are_named(monkeypatch):
    with pytest.raises(ValueError, match=r"`track` has to be one of trackio, wandb, but is 'mlflow'\."):
        check_tracker("mlflow")
    for name, remedy in (("trackio", r"s1-hf\[track\]"), ("wandb", "pip install wandb")):
        monkeypatch.setitem(sys.modules, name, None)
        monkeypatch.setattr("s1_hf.tracking.trackers.find_spec", lambda name: None)
        with pytest.raises(ModuleNotFoundError, match=remedy):
            check_tracker(name)


# -- the real ones, in processes of their own --------------------------------------------------------------------------


def run_real(tracker: str, folder: Path, working: Path, *arguments: str, **environment: str) -> str:
    given = os.environ | {"HF_HUB_OFFLINE": "1", "TRACKIO_DIR": str(working.parent / "trackio")} | environment
    given["PYTHONPATH"] = os.pathsep.join(sys.path)
    working.mkdir(exist_ok=True)
    command = [sys.executable, tracked_runs.__file__, tracker, str(folder), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, cwd=working, env=given)
    assert done.returncode == 0, done.stderr
    assert list(working.iterdir()) == []
    return done.stdout + done.stderr


def test_trackio_has_all_of_it_once(tmp_path):
    pytest.importorskip("trackio")
    for _ in range(2):
        said = run_real("trackio", tmp_path / "results", tmp_path / "empty")
    assert "stand in trackio already" in said
    (file,) = (tmp_path / "trackio").glob("*.db")
    with sqlite3.connect(file) as database:
        points = [json.loads(one) for (one,) in database.execute("select metrics from metrics order by step")]
        ((config,),) = database.execute("select config from configs")
    assert [one["t/accuracy"] for one in points if "t/accuracy" in one] == [25.0, 75.0]
    (table,) = [one["settings"]["_value"] for one in points if "settings" in one]
    assert [one["max_thinking_tokens"] for one in table] == [100, 200]
    assert json.loads(config)["engine"] == "http://***@host/v1"


def test_trackio_without_a_folder_to_write_to_is_refused_before_anything_runs(tmp_path):
    pytest.importorskip("trackio")
    (tmp_path / "file").touch()
    with pytest.raises(AssertionError, match=r"ValueError: trackio could not be started: .*file"):
        run_real("trackio", tmp_path / "results", tmp_path / "empty", TRACKIO_DIR=str(tmp_path / "file"))


def test_what_trackio_drops_with_a_warning_is_said_and_logged_by_the_next_run(tmp_path):
    pytest.importorskip("trackio")
    run_real("trackio", tmp_path / "first", tmp_path / "empty")
    (file,) = (tmp_path / "trackio").glob("*.db")
    with sqlite3.connect(file) as database:
        database.execute("create trigger full before insert on metrics begin select raise(abort, 'disk full'); end")
    said = run_real("trackio", tmp_path / "second", tmp_path / "empty")
    assert "Warning: trackio failed" in said and "Rerun the same command" in said and "Tracked:" not in said
    with sqlite3.connect(file) as database:
        database.execute("drop trigger full")
    assert "Tracked:" in run_real("trackio", tmp_path / "second", tmp_path / "empty")


def test_wandb_writes_into_the_results_only_and_nothing_of_the_command_line(tmp_path):
    pytest.importorskip("wandb")
    (tmp_path / "results").mkdir()
    said = run_real("wandb", tmp_path / "results", tmp_path / "empty", "--password=planted-1", WANDB_MODE="offline")
    assert "Tracked: wandb sync" in said
    (file,) = (tmp_path / "results" / "wandb").glob("offline-run-*/run-*.wandb")
    assert read_kept(tmp_path / "results").popitem()[1]["id"] in file.name
    content = b"".join(one.read_bytes() for one in tmp_path.rglob("*") if one.is_file())
    assert b"cap 200" in content and b"planted-1" not in content and b"password-1" not in content


def test_wandb_without_a_key_is_refused_before_anything_runs(tmp_path):
    pytest.importorskip("wandb")
    (tmp_path / "results").mkdir()
    with pytest.raises(AssertionError, match=r"ValueError: wandb could not be started: .*WANDB_MODE=offline"):
        run_real("wandb", tmp_path / "results", tmp_path / "empty", WANDB_MODE="online", HOME=str(tmp_path))
