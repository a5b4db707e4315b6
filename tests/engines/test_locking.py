"""One run at a time in one folder."""

import errno
import fcntl
import os
import signal

import pytest

from s1_hf.engines.locking import exclusive


def test_a_folder_in_use_is_refused_and_its_user_is_named(hold, tmp_path):
    holder = hold(tmp_path / "run")
    with (
        pytest.raises(BlockingIOError, match=f"run is in use: process {holder.pid} on .* choose another folder"),
        exclusive(tmp_path / "run"),
    ):
        pytest.fail("both hold it")


def test_a_file_is_no_folder(tmp_path):
    (tmp_path / "run").touch()
    with pytest.raises(NotADirectoryError, match="run has to be a folder, but is a file"), exclusive(tmp_path / "run"):
        pytest.fail("it is held")


def test_a_killed_process_holds_nothing(hold, tmp_path):
    holder = hold(tmp_path / "run")
    holder.send_signal(signal.SIGKILL)
    holder.wait()
    with exclusive(tmp_path / "run"):
        assert str(os.getpid()) in (tmp_path / "run" / "_lock").read_text()


def test_another_folder_is_free(hold, tmp_path):
    hold(tmp_path / "run")
    with exclusive(tmp_path / "other"):
        pass


def test_an_error_inside_frees_the_folder(hold, tmp_path):
    with pytest.raises(KeyError), exclusive(tmp_path):
        raise KeyError
    hold(tmp_path)


def test_a_file_system_without_locks_warns(tmp_path, monkeypatch, caplog):
    def lockf(*arguments):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "lockf", lockf)
    with exclusive(tmp_path):
        assert "has no locks" in caplog.text
