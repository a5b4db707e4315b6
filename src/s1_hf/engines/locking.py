"""One run at a time in one folder, by a lock of the operating system, which dies with the process that holds it."""

import errno
import fcntl
import logging
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

logger = logging.getLogger(__name__)

LOCK = "_lock"
"""The file in the folder; transformers' uploads leave out what begins with an underscore."""
_NO_LOCKS = (errno.ENOLCK, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP)


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
    if Path(folder).exists() and not Path(folder).is_dir():
        raise NotADirectoryError(f"{folder} has to be a folder, but is a file. Choose another name.")
    Path(folder).mkdir(parents=True, exist_ok=True)
    file = os.open(Path(folder) / LOCK, os.O_RDWR | os.O_CREAT, 0o666)
    try:
        _lock(file, Path(folder))
        os.ftruncate(file, 0)
        os.pwrite(file, f"process {os.getpid()} on {socket.gethostname()}\n".encode(), 0)
        yield
        os.ftruncate(file, 0)
    finally:
        os.close(file)  # the lock ends with it; the file stays, because another process may wait to lock it


def _lock(file: int, folder: Path) -> None:
    try:
        fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in (errno.EACCES, errno.EAGAIN):
            holder = os.pread(file, 200, 0).decode(errors="replace").strip() or "another process"
            raise BlockingIOError(
                f"{folder} is in use: {holder} is writing into it. Wait until that run has ended, or choose another "
                "folder."
            ) from None
        if error.errno not in _NO_LOCKS:
            raise
        logger.warning("The file system of %s has no locks. Do not start a second run into it.", folder)
