"""The ledger of a run: what is finished is on the disk at once, so that a killed run resumes and loses nothing.

A ledger is a folder. Every process that works for the run appends to a file of its own there. A line holds what was
finished together, a whole batch, and is forced to the disk (fsync) before the next batch begins: after a kill at any
moment a batch is there or it is not, and a torn last line is ignored, then cut off. Each entry has a key that covers
everything that decides about it, so that an entry is never reused for anything else.
"""

from __future__ import annotations

import json
import os
from collections.abc import Collection, Iterable, Iterator, Mapping
from itertools import groupby
from pathlib import Path
from typing import Any, BinaryIO

SETTINGS = "settings.json"


class Ledger:
    """Finished work by its keys.

    Args:
        folder (`Path`): made if it is not there.
        settings (`Mapping`, *optional*): JSON types; written down for the reader, not read again.
        process (`int`): which of the processes that share the folder this is.

    Example:

    ```python
    >>> from pathlib import Path
    >>> from tempfile import TemporaryDirectory
    >>> from s1_hf.engines.ledger import Ledger
    >>> with TemporaryDirectory() as folder:
    ...     Ledger(Path(folder)).append({"first": {"answer": 51}})
    ...     Ledger(Path(folder)).read()
    {'first': {'answer': 51}}

    ```
    """

    def __init__(self, folder: Path, settings: Mapping[str, Any] | None = None, process: int = 0) -> None:
        self.folder = folder
        self.file = folder / ("finished.jsonl" if process == 0 else f"finished_{process}.jsonl")
        folder.mkdir(parents=True, exist_ok=True)
        if settings is not None and process == 0:
            (folder / SETTINGS).write_text(json.dumps(settings, indent=2) + "\n", encoding="utf-8")
        self._places: dict[str, tuple[Path, int]] = {}  # by key: the file, and where in it the line begins
        self._seen: dict[Path, tuple[int, int]] = {}  # of each file: bytes and lines

    def keys(self) -> Collection[str]:
        """Of all entries. Lines that were seen before are not read again.

        Raises:
            ValueError: a line is not one of a ledger.
        """
        for file in sorted(self.folder.glob("finished*.jsonl")):
            offset, number = self._seen.get(file, (0, 0))
            with file.open("rb") as stream:
                stream.seek(offset)
                for line in stream:
                    if not line.endswith(b"\n"):
                        break  # torn, or being written
                    number += 1
                    self._places.update(dict.fromkeys(_entries(line, file, number), (file, offset)))
                    offset += len(line)
            self._seen[file] = offset, number
        return self._places.keys()

    def find(self, keys: Iterable[str]) -> dict[str, dict[str, Any]]:
        """Those of these entries that are there; only their lines are read, and lines that are new.

        Raises:
            ValueError: a line is not one of a ledger.
        """
        # 1. Which of them are in which line.
        known = self.keys()
        of_lines: dict[tuple[Path, int], list[str]] = {}
        for key in keys:
            if key in known:
                of_lines.setdefault(self._places[key], []).append(key)
        # 2. The lines, in their order.
        found: dict[str, dict[str, Any]] = {}
        for file, places in groupby(sorted(of_lines), lambda place: place[0]):
            with file.open("rb") as stream:
                for place in places:
                    stream.seek(place[1])
                    entries = json.loads(stream.readline())
                    found.update((key, entries[key]) for key in of_lines[place])
        return found

    def read(self) -> dict[str, dict[str, Any]]:
        """All entries, those of other processes included; of an entry that was added again, the last.

        Raises:
            ValueError: a line is not one of a ledger.
        """
        found: dict[str, dict[str, Any]] = {}
        for file in sorted(self.folder.glob("finished*.jsonl")):
            for entries in _lines(file):
                found.update(entries)
        return found

    def append(self, entries: Mapping[str, Mapping[str, Any]]) -> None:
        """Keep what belongs together; it is on the disk when this returns.

        Args:
            entries (`Mapping`): values of JSON types, by key.
        """
        append_line(self.file, entries)


def append_line(file: Path, value: Any) -> None:
    """Add a line of JSON; it is on the disk when this returns. A torn last line is cut off first."""
    with file.open("a+b") as stream:
        _cut_off_torn_line(stream)
        stream.write(json.dumps(value).encode() + b"\n")
        stream.flush()
        os.fsync(stream.fileno())


def whole_lines(file: Path) -> list[bytes]:
    """All lines but a torn last one."""
    return [line for line in file.read_bytes().splitlines(keepends=True) if line.endswith(b"\n")]


def _lines(file: Path) -> Iterator[dict[str, dict[str, Any]]]:
    for number, line in enumerate(whole_lines(file), 1):
        yield _entries(line, file, number)


def _entries(line: bytes, file: Path, number: int) -> dict[str, dict[str, Any]]:
    try:
        entries = json.loads(line)
    except ValueError:
        entries = None
    if not isinstance(entries, dict) or not all(isinstance(entry, dict) for entry in entries.values()):
        raise ValueError(
            f"Line {number} of {file} is not a line of finished work. Delete that line (what it held is then generated "
            "again), or the file."
        )
    return entries


def _cut_off_torn_line(stream: BinaryIO) -> None:
    """What a killed process had begun to write."""
    end = stream.seek(0, os.SEEK_END)
    if end == 0:
        return
    stream.seek(end - 1)
    if stream.read(1) == b"\n":
        return
    stream.seek(0)
    stream.truncate(stream.read().rfind(b"\n") + 1)
