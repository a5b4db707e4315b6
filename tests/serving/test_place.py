"""A server's folder goes with it, or with the next one's start."""

from __future__ import annotations

import sys

import pytest
from filelock import FileLock

from s1_hf.serving import place as module
from s1_hf.serving.place import temporary_place


@pytest.fixture(autouse=True)
def of_the_tests(monkeypatch, tmp_path):
    """In the place of the system's own folder."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))


def left(tmp_path, name: str = "s1-hf-serve-left"):
    """What a server that was killed has left."""
    folder = tmp_path / name
    (folder / "model").mkdir(parents=True)
    (folder / "model" / "config.json").write_text("{}")
    (folder / "_serving.lock").touch()
    return folder


def test_a_folder_is_there_as_long_as_it_is_used(tmp_path):
    with temporary_place() as place:
        assert place.parent == tmp_path and place.name.startswith("s1-hf-serve-")
        (place / "file").write_text("a")
    assert list(tmp_path.iterdir()) == []


def test_what_killed_servers_have_left_is_removed_and_what_others_use_is_not(tmp_path):
    killed, used = left(tmp_path), left(tmp_path, "s1-hf-serve-used")
    others = left(tmp_path, "somebody-elses")
    with FileLock(used / "_serving.lock"), temporary_place(), temporary_place():
        assert not killed.exists() and used.is_dir() and others.is_dir()
        assert len(list(tmp_path.glob("s1-hf-serve-*"))) == 3
    assert (used / "model" / "config.json").is_file()


@pytest.mark.skipif(sys.platform == "win32", reason="Links are not for everybody there.")
def test_through_links_nothing_is_removed(tmp_path):
    elsewhere = left(tmp_path, "elsewhere")
    (tmp_path / "s1-hf-serve-link").symlink_to(elsewhere)
    (left(tmp_path) / "inner").symlink_to(elsewhere)
    with temporary_place():
        assert (elsewhere / "model" / "config.json").is_file() and not (tmp_path / "s1-hf-serve-left").exists()


def test_one_that_is_taken_for_left_before_it_is_locked_is_made_again(tmp_path, monkeypatch):
    made, lock_of = [], module._lock_of

    def slowly(place):
        made.append(place)
        if len(made) == 1:
            place.rmdir()  # by another server, which has just started
        return lock_of(place)

    monkeypatch.setattr(module, "_lock_of", slowly)
    monkeypatch.setattr(FileLock, "acquire", lambda self, **how: open(self.lock_file, "x").close())
    with temporary_place() as place:
        assert place == made[1] and place.is_dir()
