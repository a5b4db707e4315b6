"""One run at a time in one folder, by a lock of the operating system, which dies with the process that holds it."""

import errno
import logging
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

logger = logging.getLogger(__name__)

LOCK = "_lock"
"""The file in the folder that names who holds it; transformers' uploads leave out what begins with an underscore."""
# What is locked is another file, because Windows lets nobody read a file that is locked.
FILES = (LOCK, f"{LOCK}.guard")
"""All files that a lock leaves in its folder."""

_NO_LOCKS = (errno.ENOLCK, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP)
_WAIT_S = 0.2  # long enough for another thread of this process that is taking or leaving the same lock


@contextmanager
def exclusive(folder: str | Path) -> Iterator[None]:
    """Keep every other process out of `folder` as long as this lasts; the folder is made if it is not there.

    A kill of any kind frees it. Forked children do not hold it. Within one process it keeps nobody out. On a file
    system that has no locks a warning is logged and nobody is kept out.

    Raises:
        BlockingIOError: another process holds the folder. The message says which. NotADirectoryError: it is a file.

    Example:

    ```python
    >>> from tempfile import TemporaryDirectory
    >>> from s1_hf.engines.locking import exclusive
    >>> with TemporaryDirectory() as folder, exclusive(folder):
    ...     pass  # write into it

    ```
    """
    folder = Path(folder)
    if folder.exists() and not folder.is_dir():
        raise NotADirectoryError(f"{folder} has to be a folder, but is a file. Choose another name.")
    folder.mkdir(parents=True, exist_ok=True)
    # One lock object per folder and process, which counts how often it is held: threads and nested calls share it.
    # A child that is forked closes its copy: filelock sees to that.
    lock = FileLock(folder.resolve() / FILES[1], thread_local=False, is_singleton=True, fallback_to_soft=False)
    owner = os.getpid()
    _acquire(lock, folder)
    try:
        (folder / LOCK).write_text(f"process {owner} on {socket.gethostname()}\n", encoding="utf-8")
        yield
    finally:
        if os.getpid() == owner:  # not in a forked child that leaves the block
            if lock.lock_counter <= 1:
                with suppress(OSError):  # the folder may have been removed
                    (folder / LOCK).write_text("", encoding="utf-8")
            lock.release()


def _acquire(lock: FileLock, folder: Path) -> None:
    try:
        lock.acquire(timeout=_WAIT_S)
    except Timeout:
        raise BlockingIOError(
            f"{folder} is in use: {_holder(folder)} is writing into it. Wait until that run has ended, or choose "
            "another folder."
        ) from None
    except OSError as error:
        if error.errno not in _NO_LOCKS:
            raise
        logger.warning("The file system of %s has no locks. Do not start a second run into it.", folder)


def _holder(folder: Path) -> str:
    try:
        return (folder / LOCK).read_text(encoding="utf-8", errors="replace").strip() or "another process"
    except FileNotFoundError:  # it holds the lock, and has not yet written its name
        return "another process"
