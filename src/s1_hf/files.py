"""Files are written beside their place and moved there whole: a kill leaves the old one, and no link is followed.

A folder of results may come from somebody else. A link in it would lead a write to a file of the user's own.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

PART = ".part"
"""What the name of a file ends in until it is whole."""


@contextmanager
def replacing(path: str | Path) -> Iterator[Path]:
    """The path to write to, beside `path`, which it replaces when the block ends without an error.

    A link at `path` is replaced, and what it points to stays. Whoever calls this holds the folder's lock, if others
    could write the same file.

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
    part = path.with_name(path.name + PART)
    part.unlink(missing_ok=True)  # of a killed process; or a link, which goes and not what it points to
    try:
        yield part
        os.replace(part, path)
    except BaseException:
        with suppress(OSError):
            part.unlink()
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
    if ".." in path.relative_to(folder).parts:
        raise ValueError(f"{path} has to lie in {folder}, but leads out of it.")
    for between in [parent for parent in reversed(path.parents) if folder in parent.parents]:
        _refuse_link(between)
    path.parent.mkdir(parents=True, exist_ok=True)
    return path


def refuse_links(folder: str | Path) -> None:
    """For a library that will write into `folder` by itself, and would follow links.

    Raises:
        ValueError: `folder` holds a link, at any depth. The message names it.
    """
    for place, folders, names in os.walk(folder):
        for name in [*folders, *names]:
            _refuse_link(Path(place) / name)


def open_to_append(path: str | Path) -> BinaryIO:
    """Open a file for reading and appending; it is made if it is not there.

    Raises:
        ValueError: it is a link.
    """
    path = Path(path)
    _refuse_link(path)
    flags = os.O_RDWR | os.O_APPEND | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)
    return os.fdopen(os.open(path, flags, 0o666), "a+b")


def _refuse_link(path: Path) -> None:
    is_junction = getattr(path, "is_junction", lambda: False)  # Windows; Python 3.12 knows them
    if path.is_symlink() or is_junction():
        raise ValueError(
            f"{path} is a link, and nothing is written through a link. Delete it, or choose another folder."
        )
