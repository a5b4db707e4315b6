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

from s1_hf.engines.locking import exclusive, is_lock

needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")


@pytest.fixture
def started() -> Iterator[Callable[..., subprocess.Popen]]:
    """Starts a script in a process of its own, which is killed in the end."""
    processes = []

    def start(script: str, *arguments: str) -> subprocess.Popen:
        script = "import os, sys, time\nfrom s1_hf.engines.locking import exclusive\n" + dedent(script)
        environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
        command = [sys.executable, "-c", script, *arguments]
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
        error = started(f"with exclusive({str(tmp_path)!r}): pass").communicate()[1]
    assert f"BlockingIOError: {tmp_path} is in use: process {os.getpid()} on" in error


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


# -- several processes of one launch ----------------------------------------------------------------------------------

RANK = """
    import torch.distributed as dist

    folder, rendezvous, rank, count = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
    dist.init_process_group("gloo", init_method="file://" + rendezvous, rank=rank, world_size=count)

    def gather(values):
        everything = [None] * count
        dist.all_gather_object(everything, values)
        return sum(everything, [])

    try:
        with exclusive(folder, rank, gather), exclusive(folder, rank, gather):
            print("held", flush=True)
            time.sleep(600)
    except BlockingIOError as error:
        print(error, flush=True)
"""


@pytest.fixture
def launched(started, tmp_path) -> Callable[[int], list[subprocess.Popen]]:
    """Starts a launch of so many processes, which hold `run` until they are killed."""
    rendezvous = iter(range(100))

    def launch(count: int) -> list[subprocess.Popen]:
        file = str(tmp_path / f"rendezvous{next(rendezvous)}")
        return [started(RANK, str(tmp_path / "run"), file, str(rank), str(count)) for rank in range(count)]

    return launch


def said(processes: list[subprocess.Popen]) -> list[str]:
    return [process.stdout.readline().strip() for process in processes]


def test_the_processes_of_a_launch_hold_a_lock_each_and_keep_others_out(launched, tmp_path):
    main, other = launched(2)
    assert said([main, other]) == ["held", "held"]
    names = {name: (tmp_path / "run" / name).read_text() for name in ("_lock", "_lock_1")}
    assert f"process {main.pid} on" in names["_lock"] and "number" not in names["_lock"]
    assert f"process {other.pid} on" in names["_lock_1"] and "number 1 of its launch" in names["_lock_1"]
    with pytest.raises(BlockingIOError, match=f"process {main.pid} on"), exclusive(tmp_path / "run"):
        pytest.fail("both hold it")


@pytest.mark.parametrize("count", [1, 2, 3])
def test_a_run_is_refused_as_long_as_any_process_of_an_older_one_lives(launched, tmp_path, count):
    *others, orphan = launched(3)
    assert said([*others, orphan]) == ["held"] * 3
    for process in others:
        process.kill()
        process.wait()
    for message in said(launched(count)):  # in all of them, with the same words
        assert f"run is in use: process {orphan.pid} on" in message and "number 2 of its launch" in message
    orphan.kill()
    orphan.wait()
    assert said(launched(count)) == ["held"] * count


def test_of_two_launches_at_once_one_gets_in_whole(launched):
    both = [launched(2), launched(2)]
    outcomes = sorted((said(processes) for processes in both), key=lambda lines: lines != ["held", "held"])
    assert outcomes[0] == ["held", "held"]
    assert all("is in use" in line for line in outcomes[1])


def test_a_lock_is_no_link(tmp_path):
    (tmp_path / "mine").write_text("mine")
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "_lock").symlink_to(tmp_path / "mine")
    with exclusive(tmp_path / "run"):
        assert (tmp_path / "mine").read_text() == "mine"
    (tmp_path / "run" / "_lock.guard").unlink()
    (tmp_path / "run" / "_lock.guard").symlink_to(tmp_path / "new")
    with pytest.raises(ValueError, match="_lock.guard is a link"), exclusive(tmp_path / "run"):
        pytest.fail("it is held")
    assert not (tmp_path / "new").exists()


def test_what_a_lock_leaves_is_known(launched, tmp_path):
    said(launched(2))
    assert {is_lock(file.name) for file in (tmp_path / "run").iterdir()} == {True}
    for name in ("_lock_x.guard", "_lock_0", "rows.jsonl", "_locked", "lock"):
        assert not is_lock(name)


@pytest.mark.skipif(os.name == "nt", reason="links need a right of their own on Windows")
def test_a_link_to_nothing_is_no_folder(tmp_path):
    (tmp_path / "link").symlink_to(tmp_path / "nothing")
    refused = pytest.raises(NotADirectoryError, match="link has to be a folder, but is a link to nothing")
    with refused, exclusive(tmp_path / "link"):
        pass
