"""Files are written beside their place and moved there whole: a kill leaves the old one, and no link is followed.

A folder of results may come from somebody else. A link in it would lead a write to a file of the user's own.
"""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

PART = ".part"
"""What the name of a file ends in until it is whole."""


def part_of(path: Path) -> Path:
    """Where a file is written before it is whole; data sets and uploads leave out what begins with an underscore."""
    return path.with_name(f"_{path.name}{PART}")


@contextmanager
def replacing(path: str | Path) -> Iterator[Path]:
    """The path to write to, beside `path`, which it replaces when the block ends without an error.

    A link at `path` is replaced, and what it points to stays. Whoever calls this holds the folder's lock, if others
    could write the same file.

    Raises:
        OSError: it cannot be written, with `path` as its file name: the disk is full, the folder is read-only. The old
            file is as it was.

    Example:

    ```python
    >>> from pathlib import Path
    >>> from tempfile import TemporaryDirectory
    >>> from s1_hf.files import replacing
    >>> with TemporaryDirectory() as folder:
    ...     with replacing(Path(folder) / "report.html") as part:
    ...         _ = part.write_text("whole")
    ...     (Path(folder) / "report.html").read_text()
    'whole'

    ```
    """
    path = Path(path)
    part = part_of(path)
    try:
        part.unlink(missing_ok=True)  # of a killed process; or a link, which goes and not what it points to
        yield part
        os.replace(part, path)
    except BaseException as error:
        with suppress(OSError):
            part.unlink()
        is_in_the_way = part.is_dir()  # somebody else's, which the error has to name
        if isinstance(error, OSError) and error.filename in (None, str(part)) and not is_in_the_way:
            # A full disk names no file.
            raise OSError(error.errno or errno.EIO, error.strerror or str(error), str(path)) from error
        raise


def write_text(path: str | Path, text: str, errors: str = "strict") -> None:
    """Replace a file by this text, in UTF-8."""
    with replacing(path) as part:
        part.write_text(text, encoding="utf-8", errors=errors)


def inside(folder: str | Path, *names: str | Path) -> Path:
    """`folder / names`, with the folders between them made. `folder` itself may be a link: its user named it.

    Raises:
        ValueError: the path leaves `folder`, by `..` or by a link.
    """
    folder = Path(folder)
    path = folder.joinpath(*names)
    if not path.is_relative_to(folder) or ".." in path.relative_to(folder).parts:
        raise ValueError(f"{path} has to lie in {folder}, but leads out of it.")
    _refuse_links_on_the_way(folder, path.parent)
    path.parent.mkdir(parents=True, exist_ok=True)
    return path


def remove(path: Path) -> None:
    """Delete a file, a link (not what it points to) or a folder with all that is in it, if it is there."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def refuse_links(folder: str | Path, *names: str | Path) -> None:
    """For a library that will write into `folder / names` by itself, and would follow links.

    Raises:
        ValueError: there is a link on the way from `folder` to there, or in there at any depth. The message names it.
    """
    target = Path(folder, *names)
    _refuse_links_on_the_way(Path(folder), target)
    for place, folders, files in os.walk(target):
        for name in [*folders, *files]:
            refuse_link(Path(place) / name)


def open_to_append(path: str | Path) -> BinaryIO:
    """Open a file for reading and appending; it is made if it is not there.

    Raises:
        ValueError: it is a link.
    """
    path = Path(path)
    refuse_link(path)
    flags = os.O_RDWR | os.O_APPEND | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)
    return os.fdopen(os.open(path, flags, 0o666), "a+b")


def _refuse_links_on_the_way(folder: Path, path: Path) -> None:
    place = folder
    for name in path.relative_to(folder).parts:
        place /= name
        refuse_link(place)


def refuse_link(path: Path) -> None:
    """Raises a `ValueError` if this is a link."""
    is_junction = getattr(path, "is_junction", lambda: False)  # Windows; Python 3.12 knows them
    if path.is_symlink() or is_junction():
        raise ValueError(
            f"{path} is a link, and nothing is written through a link. Delete it, or choose another folder."
        )
