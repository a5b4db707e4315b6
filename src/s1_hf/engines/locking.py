"""One run at a time in one folder, by locks of the operating system, which die with the processes that hold them.

Every process of a run holds a lock of its own, for its part of what the run writes. Who starts a run looks at all of
them: as long as any process of an older run lives, the new one is refused.
"""

import logging
import os
import re
import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from s1_hf.files import refuse_link, write_text
from s1_hf.records import NO_LOCKS

logger = logging.getLogger(__name__)

LOCK = "_lock"
"""The file in the folder that names who holds it; transformers' uploads leave out what begins with an underscore."""
# What is locked is another file, because Windows lets nobody read a file that is locked.

_OURS = re.compile(rf"_?{LOCK}(_(?P<process>[1-9]\d*))?(\.guard|\.part)?")
_WAIT_S = 0.2  # long enough for another thread of this process that is taking or leaving the same lock

Gather = Callable[[list[Any]], list[Any]]
"""Called by all processes of a launch, each with a list: returns all these lists as one to each of them."""


@contextmanager
def exclusive(folder: str | Path, process: int = 0, gather: Gather = list) -> Iterator[None]:
    """Keep every other run out of `folder` as long as this lasts; the folder is made if it is not there.

    A kill of any kind frees it. Forked children do not hold it. Within one process it keeps nobody out. On a file
    system that has no locks a warning is logged and nobody is kept out.

    Args:
        process (`int`, defaults to 0): which process of its launch this is; 0 is the main one.
        gather ([`Gather`]): of a launch with several processes, all of which have to call this. All of them get in,
            or none.

    Raises:
        BlockingIOError: a process of another run holds the folder. The message says which. NotADirectoryError: it is a
            file. ValueError: its lock is a link.

    Example:

    ```python
    >>> from tempfile import TemporaryDirectory
    >>> from s1_hf.engines.locking import exclusive
    >>> with TemporaryDirectory() as folder, exclusive(folder):
    ...     pass  # write into it

    ```
    """
    folder = Path(folder)
    with ExitStack() as held:
        # 1. The main process keeps other launches out, and looks whether a process of an older one still lives.
        _refuse_together(gather, lambda: _take_first(folder, held) if process == 0 else None)
        # 2. The others take their own locks: only after that, so that the main process does not find them there.
        _refuse_together(gather, lambda: held.enter_context(_part(folder, process)) if process > 0 else None)
        yield


def is_lock(name: str) -> bool:
    """Whether a file of this name is left by a lock."""
    return _OURS.fullmatch(name) is not None


def _refuse_together(gather: Gather, take: Callable[[], Any]) -> None:
    """Where one process of a launch is refused, all of them raise its error."""
    refused: list[OSError | ValueError] = []
    try:
        take()
    except (OSError, ValueError) as error:
        refused.append(error)
    of_all = gather(refused)
    if of_all:
        raise of_all[0]


def _take_first(folder: Path, held: ExitStack) -> None:
    is_nested = held.enter_context(_part(folder, 0))
    for number in () if is_nested else _other_parts(folder):
        with _part(folder, number, says_so=False):
            pass


def _other_parts(folder: Path) -> list[int]:
    """The processes that have ever held a part of this folder, but for the main one."""
    found = [_OURS.fullmatch(file.name) for file in folder.glob(f"{LOCK}_*.guard")]
    return sorted(int(match["process"]) for match in found if match and match["process"])


@contextmanager
def _part(folder: Path, process: int, says_so: bool = True) -> Iterator[bool]:
    """The lock of one process's part; yields whether this process had it already."""
    if os.path.lexists(folder) and not folder.is_dir():
        kind = "file" if folder.exists() else "link to nothing"
        raise NotADirectoryError(f"{folder} has to be a folder, but is a {kind}. Choose another name.")
    folder.mkdir(parents=True, exist_ok=True)
    name = folder / (LOCK if process == 0 else f"{LOCK}_{process}")
    # One lock object per part and process, which counts how often it is held: threads and nested calls share it.
    # A child that is forked closes its copy: filelock sees to that.
    guard = folder.resolve() / f"{name.name}.guard"
    lock = FileLock(guard, thread_local=False, is_singleton=True, fallback_to_soft=False)
    owner = os.getpid()
    _acquire(lock, name)
    try:
        if says_so:
            of_launch = f", number {process} of its launch" if process else ""
            _say(name, f"process {owner} on {socket.gethostname()}{of_launch}\n")
        yield lock.lock_counter > 1
    finally:
        if os.getpid() == owner:  # not in a forked child that leaves the block
            if says_so and lock.lock_counter <= 1:
                _say(name, "")
            lock.release()


def _say(name: Path, text: str) -> None:
    with suppress(OSError):  # Windows replaces no file that is being read; and the folder may have been removed
        write_text(name, text)


def _acquire(lock: FileLock, name: Path) -> None:
    folder = name.parent
    refuse_link(Path(lock.lock_file))
    try:
        lock.acquire(timeout=_WAIT_S)
    except Timeout:
        raise BlockingIOError(
            f"{folder} is in use: {_holder(name)} is writing into it. Wait until that run has ended, or choose "
            "another folder."
        ) from None
    except OSError as error:
        if error.errno not in NO_LOCKS:
            raise
        logger.warning("The file system of %s has no locks. Do not start a second run into it.", folder)


def _holder(name: Path) -> str:
    try:
        return name.read_text(encoding="utf-8", errors="replace").strip() or "another process"
    except FileNotFoundError:  # it holds the lock, and has not yet written its name
        return "another process"
