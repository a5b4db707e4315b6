"""What a folder knows of the runs in trackers that its results stand in: `tracked.json`."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from s1_hf.files import inside, write_text
from s1_hf.records import OBJECT, TEXT, check, or_null, read_json

FILE = "tracked.json"

_ENTRY = {"tracker": TEXT, "id": TEXT, "name": TEXT, "logged": or_null(TEXT)}


def read_kept(folder: Path) -> dict[str, dict[str, Any]]:
    """By run: `tracker`, `id` and `name` there, and a digest of the results that were `logged`, if they were.

    Raises:
        ValueError: the file holds something else.
    """
    file = folder / FILE
    if not file.exists():
        return {}
    remedy = "Delete it: results are then logged as a new run of the tracker."
    try:
        found = read_json(file)
    except ValueError as error:
        raise ValueError(f"{error} {remedy}") from None
    check(found, {"runs": OBJECT}, str(file), remedy=remedy)
    for key, entry in found["runs"].items():
        check(entry, _ENTRY, f"{file}, {key}", others=False, remedy=remedy)
    return dict(found["runs"])


def keep(folder: Path, key: str, entry: Mapping[str, Any]) -> None:
    """Write down a run."""
    runs = read_kept(folder) | {key: dict(entry)}
    write_text(inside(folder, FILE), json.dumps({"runs": runs}, indent=1) + "\n")
