"""The ledger of a run: what is finished is on the disk at once, so that a killed run resumes and loses nothing.

A ledger is a folder. Every process that works for the run appends to a file of its own there. A line holds what was
finished together, and is forced to the disk (fsync) before the engine goes on: after a kill at any moment it is there
or it is not. A torn last line is left out by those who read, and cut off by the process that appends, which holds the
lock of its part (`s1_hf.engines.locking`). Each entry has a key that covers everything that decides about it, so that
an entry is never reused for anything else. An entry may be added again, by a sweep that lacks some of its settings or
to retry an error: the last one counts.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping
from itertools import groupby
from pathlib import Path
from typing import Any

from s1_hf.files import write_text
from s1_hf.records import append_line_alone, parse, refuse_pipe

SETTINGS = "settings.json"


class Ledger:
    """Finished work by its keys.

    Args:
        folder (`Path`): made if it is not there.
        settings (`Mapping`, *optional*): JSON types; see [`write_settings`].
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
        self.folder, self._settings, self._process = folder, settings, process
        self.file = folder / ("finished.jsonl" if process == 0 else f"finished_{process}.jsonl")
        folder.mkdir(parents=True, exist_ok=True)
        self._places: dict[str, tuple[Path, int, int]] = {}  # by key: file, number of the line, where it begins
        self._seen: dict[Path, tuple[int, int]] = {}  # of each file: bytes and lines

    def write_settings(self) -> None:
        """Write the settings down for people; they are not read again. The process has to hold its lock."""
        if self._settings is not None and self._process == 0:
            write_text(self.folder / SETTINGS, json.dumps(self._settings, indent=2) + "\n")

    def keys(self) -> Collection[str]:
        """Of all entries. Lines that were seen before are not read again.

        Raises:
            ValueError: a line is not one of a ledger.
        """
        for file in sorted(self.folder.glob("finished*.jsonl")):
            refuse_pipe(file)
            offset, number = self._seen.get(file, (0, 0))
            with file.open("rb") as stream:
                stream.seek(offset)
                for line in stream:
                    if not line.endswith(b"\n"):
                        break  # torn, or being written
                    number += 1
                    self._places.update(dict.fromkeys(_entries(line, file, number), (file, number, offset)))
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
        of_lines: dict[tuple[Path, int, int], list[str]] = {}
        for key in keys:
            if key in known:
                of_lines.setdefault(self._places[key], []).append(key)
        # 2. The lines, in their order.
        found: dict[str, dict[str, Any]] = {}
        for file, places in groupby(sorted(of_lines), lambda place: place[0]):
            with file.open("rb") as stream:
                for place in places:
                    stream.seek(place[2])
                    entries = _entries(stream.readline(), file, place[1])
                    found.update((key, entries.get(key, {})) for key in of_lines[place])
        return found

    def read(self) -> dict[str, dict[str, Any]]:
        """All entries, those of other processes included; of an entry that was added again, the last.

        Raises:
            ValueError: a line is not one of a ledger.
        """
        return self.find(self.keys())

    def where(self, key: str) -> str:
        """The line and file of an entry that was found, for messages."""
        file, number, _ = self._places[key]
        return f"Line {number} of {file}"

    def append(self, entries: Mapping[str, Mapping[str, Any]]) -> None:
        """Keep what belongs together; it is on the disk when this returns.

        Args:
            entries (`Mapping`): values of JSON types, by key.
        """
        append_line_alone(self.file, entries)


REMEDY = "Delete that line (what it held is then generated again), or the file."
"""What to do about a line of a ledger that cannot be used."""


def _entries(line: bytes, file: Path, number: int) -> dict[str, dict[str, Any]]:
    where = f"Line {number} of {file}"
    try:
        entries = parse(line, where)
    except ValueError as error:
        raise ValueError(f"{error} {REMEDY}") from None
    if not isinstance(entries, dict) or not all(isinstance(entry, dict) for entry in entries.values()):
        raise ValueError(f"{where} is not a line of finished work. {REMEDY}")
    return entries
