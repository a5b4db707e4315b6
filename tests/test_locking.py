"""One run at a time in one folder."""

import errno
import fcntl
import os
import signal
import subprocess
import sys

import pytest

from s1_hf.locking import exclusive

HOLD = "import sys, time; from s1_hf.locking import exclusive\nwith exclusive(sys.argv[1]): print('held', flush=True); "


@pytest.fixture
def holder(tmp_path):
    """A process that holds `tmp_path / "run"`, until it is killed."""
    command = [sys.executable, "-c", HOLD + "time.sleep(600)", str(tmp_path / "run")]
    path = os.pathsep.join(sys.path)
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=os.environ | {"PYTHONPATH": path}) as process:
        assert process.stdout.readline() == "held\n"
        yield process
        process.kill()


def test_a_folder_in_use_is_refused_and_its_user_is_named(holder, tmp_path):
    with (
        pytest.raises(BlockingIOError, match=f"run is in use: process {holder.pid} on .* choose another folder"),
        exclusive(tmp_path / "run"),
    ):
        pytest.fail("both hold it")


def test_a_killed_process_holds_nothing(holder, tmp_path):
    holder.send_signal(signal.SIGKILL)
    holder.wait()
    with exclusive(tmp_path / "run"):
        assert str(os.getpid()) in (tmp_path / "run" / "_lock").read_text()


def test_another_folder_is_free(holder, tmp_path):
    with exclusive(tmp_path / "other"):
        pass


def test_an_error_inside_frees_the_folder(tmp_path):
    with pytest.raises(KeyError), exclusive(tmp_path):
        raise KeyError
    command = [sys.executable, "-c", HOLD + "pass", str(tmp_path)]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    assert subprocess.run(command, capture_output=True, env=environment).stdout == b"held\n"


def test_a_file_system_without_locks_warns(tmp_path, monkeypatch, caplog):
    def lockf(*arguments):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "lockf", lockf)
    with exclusive(tmp_path):
        assert "has no locks" in caplog.text
