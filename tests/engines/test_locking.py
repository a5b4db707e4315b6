"""One run at a time in one folder."""

import errno
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from textwrap import dedent

import pytest

from s1_hf.engines.locking import exclusive

needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")


@pytest.fixture
def started() -> Iterator[Callable[[str], subprocess.Popen]]:
    """Starts a script in a process of its own, which is killed in the end."""
    processes = []

    def start(script: str) -> subprocess.Popen:
        script = "import os, sys, time\nfrom s1_hf.engines.locking import exclusive\n" + dedent(script)
        environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
        command = [sys.executable, "-c", script]
        processes.append(
            subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment)
        )
        return processes[-1]

    yield start
    for process in processes:
        process.kill()
        process.communicate()


def nested(folder: Path) -> Iterator[None]:
    with exclusive(folder):
        yield


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
    holder.kill()  # SIGKILL, or TerminateProcess on Windows
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


@pytest.mark.skipif(sys.platform == "win32", reason="every file system of Windows has locks")
@pytest.mark.parametrize("code", [errno.ENOLCK, errno.ENOSYS, errno.ENOTSUP])
def test_a_file_system_without_locks_warns(tmp_path, monkeypatch, caplog, code):
    import fcntl

    def flock(*arguments):
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(fcntl, "flock", flock)
    with exclusive(tmp_path):
        assert "has no locks" in caplog.text


def test_within_one_process_it_keeps_nobody_out_and_is_held_until_the_last_has_left(started, tmp_path):
    with exclusive(tmp_path):
        with ThreadPoolExecutor() as threads, exclusive(tmp_path / ".." / tmp_path.name):
            threads.submit(list, nested(tmp_path)).result()
        said = started(f"with exclusive({str(tmp_path)!r}): pass").communicate()[1]
    assert f"BlockingIOError: {tmp_path} is in use: process {os.getpid()} on" in said


@needs_fork
def test_a_forked_child_that_outlives_its_parent_holds_nothing(hold, started, tmp_path):
    parent = started(f"""
        with exclusive({str(tmp_path)!r}):
            if os.fork():
                os.wait()
            print(os.getpid(), flush=True)  # the child, as the parent waits for it
            time.sleep(600)
    """)
    child = int(parent.stdout.readline())
    try:
        parent.kill()
        parent.wait()
        hold(tmp_path)
    finally:
        os.kill(child, signal.SIGKILL)


@needs_fork
def test_a_forked_child_that_leaves_the_block_frees_nothing(started, tmp_path):
    parent = started(f"""
        with exclusive({str(tmp_path)!r}):
            if not os.fork():
                sys.exit()
            os.wait()
            print("held", flush=True)
            time.sleep(600)
    """)
    assert parent.stdout.readline() == "held\n"
    with pytest.raises(BlockingIOError, match=f"process {parent.pid} on"), exclusive(tmp_path):
        pytest.fail("both hold it")
