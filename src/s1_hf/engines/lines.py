"""Files of JSON lines that a kill at any moment leaves readable: a line is there as a whole or not at all."""

import json
import os
from pathlib import Path
from typing import Any


def append_line(file: Path, value: Any) -> None:
    """Add `value`, of JSON types; it is on the disk when this returns. A torn last line is cut off."""
    with file.open("a+b") as stream:
        _drop_torn_line(stream)
        stream.write(json.dumps(value).encode() + b"\n")
        stream.flush()
        os.fsync(stream.fileno())


def whole_lines(file: Path) -> list[bytes]:
    """All lines but a torn last one."""
    return [line for line in file.read_bytes().splitlines(keepends=True) if line.endswith(b"\n")]


def _drop_torn_line(stream: Any) -> None:
    """Cut off what a killed process had begun to write."""
    end = stream.seek(0, os.SEEK_END)
    if end == 0:
        return
    stream.seek(end - 1)
    if stream.read(1) == b"\n":
        return
    stream.seek(0)
    stream.truncate(stream.read().rfind(b"\n") + 1)
