"""The temporary folder of a server, which goes with it: those that were killed leave theirs, and the next clears up."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import gettempdir, mkdtemp

from filelock import FileLock

_PREFIX = "s1-hf-serve-"
_LOCK = "_serving.lock"
"""Held by the server as long as it lives, in whatever way it ends."""


@contextmanager
def temporary_place() -> Iterator[Path]:
    """A new folder, as long as this lasts; the folders of servers that were killed are removed first."""
    _clear_up()
    place, lock = _new_place()
    try:
        yield place
    finally:
        lock.release()  # Windows removes no file that is open
        shutil.rmtree(place, ignore_errors=True)


def _new_place() -> tuple[Path, FileLock]:
    while True:
        place = Path(mkdtemp(prefix=_PREFIX))
        lock = _lock_of(place)
        with suppress(OSError):  # a file system without locks, on which nobody clears up
            lock.acquire()
        if (place / _LOCK).exists():
            return place, lock
        lock.release()  # before it was locked, another server has taken the folder for one that was left


def _clear_up() -> None:
    for place in Path(gettempdir()).glob(f"{_PREFIX}*"):
        with suppress(OSError):  # it is being used, or is another user's
            if place.is_symlink() or not (place / _LOCK).is_file():
                continue
            with _lock_of(place).acquire(timeout=0):
                shutil.rmtree(place, ignore_errors=True)
            if os.name == "nt":  # where no file is removed that is open, such as a lock that is held
                shutil.rmtree(place, ignore_errors=True)


def _lock_of(place: Path) -> FileLock:
    return FileLock(place / _LOCK, fallback_to_soft=False)
