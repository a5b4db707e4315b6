"""Every command under every fault: see `fault_table`."""

from __future__ import annotations

import os
import random
import signal
import stat
import time
from contextlib import suppress
from pathlib import Path

import pytest

pytest.importorskip("typer")
pytest.importorskip("lighteval")
pytest.importorskip("trl")
pytest.importorskip("matplotlib")
if not hasattr(os, "fork"):
    pytest.skip("Windows has neither forks nor these signals", allow_module_level=True)

from command_jobs import JOBS, OUT, SECRETS, Folders, Run, done, results_of
from fault_table import FAULTS, PAGE, REASONS, TRIED_ELSEWHERE, page, tried
from terminals import commands

FEW, MANY = 1, 20
FINISHED = ("holds a finished run", "new or empty folder", "--overwrite")


@pytest.fixture(scope="session")
def folders(tmp_path_factory: pytest.TempPathFactory) -> Folders:
    return Folders(tmp_path_factory.mktemp("faults"))


def every(fault: str):
    return pytest.mark.parametrize("name", tried(fault))


# -- the table ------------------------------------------------------------------------------------------------------


def test_no_command_is_without_a_row():
    assert sorted(map(" ".join, commands())) == sorted(JOBS)


def test_reasons_are_given_for_commands_and_faults_that_exist():
    assert REASONS.keys() <= JOBS.keys()
    for reasons in REASONS.values():
        assert reasons.keys() <= FAULTS.keys()
    for file in TRIED_ELSEWHERE.values():
        assert (Path(__file__).parents[2] / file).exists()


def test_a_command_that_writes_is_tried_under_every_fault_of_writing():
    for name, job in JOBS.items():
        assert bool(job.results) == (name in tried("killed")) == (name in tried("full disk"))


def test_the_page_holds_the_table():
    assert PAGE.read_text(encoding="utf-8") == page(), "Run `python tests/faults/fault_table.py`."


# -- the faults -----------------------------------------------------------------------------------------------------


@every("killed")
def test_what_was_killed_resumes_to_the_result_of_an_unbroken_run(name, folders):
    kill(name, folders, FEW)


@pytest.mark.long
@every("killed")
def test_what_was_killed_many_times_resumes(name, folders):
    kill(name, folders, MANY)


def kill(name: str, folders: Folders, times: int) -> None:
    job, (whole, seconds) = JOBS[name], folders.whole(name)
    moments = random.Random(f"{name} {times}")
    for _ in range(times):
        folder = folders.new(name)
        for _ in range(2):  # the second run is killed as well
            run = Run(job, folder)
            time.sleep(moments.uniform(0.1, 1) * seconds)
            run.signal(signal.SIGKILL)
            run.finish()
        finish(name, folder)
        assert results_of(job, folder) == results_of(job, whole)
        assert leftovers(folder) == []


@every("full disk")
@pytest.mark.parametrize("share", [0.0, 0.6])
def test_a_full_disk_is_said_and_what_there_is_room_for_later_is_finished(name, share, folders):
    job, (whole, _) = JOBS[name], folders.whole(name)
    largest = max(file.stat().st_size for file in (whole / OUT).rglob("*") if file.is_file())
    folder = folders.new(name)
    code, said = done(job, folder, file_limit=max(4096, int(share * largest)))  # room for what is said
    assert code in (1, 2) and "Traceback" not in said, (code, said)
    assert "Error: " in said and ("too large" in said or "could not be written" in said)
    finish(name, folder)
    assert results_of(job, folder) == results_of(job, whole)


@every("read-only")
def test_a_folder_that_may_not_be_written_is_said(name, folders):
    folder = folders.new(name)
    (folder / OUT).mkdir()
    (folder / OUT).chmod(stat.S_IRUSR | stat.S_IXUSR)
    code, said = done(JOBS[name], folder, locked_out=True)
    assert code == 2 and "Traceback" not in said, (code, said)
    assert "Error: " in said and OUT in said and "ermission" in said
    assert not list((folder / OUT).iterdir())


@every("torn line")
def test_a_torn_last_line_is_finished(name, folders):
    folder = folders.copy(name)
    files = lines_of(folder)
    assert files
    for file in files:
        text = file.read_bytes()
        file.write_bytes(text[: len(text) - len(text.splitlines(keepends=True)[-1]) // 2])
    finish(name, folder)
    assert results_of(JOBS[name], folder) == results_of(JOBS[name], folders.whole(name)[0])


@every("foreign line")
@pytest.mark.parametrize("line", ['{"name": "something else"}', "not JSON \udcff", "[" * 20_000])
def test_a_line_of_something_else_is_named(name, line, folders):
    folder = folders.copy(name)
    read = [file for file in lines_of(folder) if file.name.startswith("finished")]
    assert read
    for file in read:
        lines = file.read_bytes().splitlines()
        foreign = line.encode("utf-8", "surrogateescape")
        file.write_bytes(b"\n".join([lines[0], foreign, *lines[1:]]) + b"\n")
    code, said = done(JOBS[name], folder)
    assert code == 2 and "Traceback" not in said, (code, said)
    assert "ine 2 of " in said and any(str(file.relative_to(folder)) in said for file in read)


@every("two at once")
def test_a_second_one_in_the_same_folder_is_refused(name, folders):
    job, (whole, _) = JOBS[name], folders.whole(name)
    first, folder = stopped_while_it_writes(name, folders)
    try:
        code, said = done(job, folder)
        assert code == 2 and f"is in use: process {first.pid}" in said, (code, said)
    finally:
        first.signal(signal.SIGCONT)
    code, said = first.finish()
    assert code == 0, said
    assert results_of(job, folder) == results_of(job, whole)


@every("link")
def test_links_lead_no_write_out_of_the_folder(name, folders):
    """All files as links at once; then one folder after the other."""
    whole = folders.whole(name)[0]
    inside = sorted(path.relative_to(whole) for path in (whole / OUT).rglob("*"))
    kinds = [[path for path in inside if (whole / path).is_file()]]
    kinds += [[path] for path in inside if (whole / path).is_dir() and len(path.parts) == 2]
    for links in kinds:
        folder, elsewhere = folders.new(name), folders.new(name)
        for number, path in enumerate(links):
            victim = elsewhere / str(number)
            if (whole / path).is_dir():
                victim.mkdir()
            else:
                victim.write_text("precious")
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).symlink_to(victim)
        before = state_of(elsewhere)
        code, said = done(JOBS[name], folder)
        assert "Traceback" not in said and (code == 0 or (code == 2 and "Error: " in said)), (code, said)
        assert state_of(elsewhere) == before, links


@every("secrets")
def test_no_secret_of_the_environment_is_shown_or_written(name, folders):
    folder, _ = folders.whole(name)
    for file in folder.rglob("*"):
        content = file.read_bytes() if file.is_file() else b""
        assert not [one for one in SECRETS.values() if one.encode() in content], file


# -- helpers --------------------------------------------------------------------------------------------------------


def finish(name: str, folder: Path) -> None:
    """Run the job again. What ended just before the kill may be refused as finished; then it has to be whole."""
    code, said = done(JOBS[name], folder)
    if code == 2 and any(
        finished in said for finished in ("holds a finished run", "new or empty folder", "--overwrite")
    ):
        return
    assert code == 0, said


def stopped_while_it_writes(name: str, folders: Folders) -> tuple[Run, Path]:
    """A process that holds the lock of what it writes, which some commands do only for a moment."""
    for _ in range(50):
        folder = folders.new(name)
        run = Run(JOBS[name], folder)
        while run.is_alive():
            if is_held(folder, run.pid):
                run.signal(signal.SIGSTOP)
                break
        if is_held(folder, run.pid):
            return run, folder
        run.signal(signal.SIGCONT)
        run.finish()
    raise AssertionError("It was never seen to hold a lock.")


def is_held(folder: Path, pid: int) -> bool:
    locks = [*folder.glob(f"{OUT}/**/_lock"), *folder.glob(f".{OUT}*/_lock")]
    with suppress(FileNotFoundError):  # a lock is replaced by another
        return any(f"process {pid} " in lock.read_text() for lock in locks)
    return False


def state_of(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() if path.is_file() else b"" for path in folder.rglob("*")}


def lines_of(folder: Path) -> list[Path]:
    return sorted(file for file in (folder / OUT).rglob("*.jsonl"))


def leftovers(folder: Path) -> list[str]:
    """What only a killed process leaves."""
    found = [*folder.rglob("*.part"), *folder.glob(f".{OUT}*")]
    return sorted(path.name for path in found)
