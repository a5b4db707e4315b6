"""Processes that this package starts run no code of the working folder, which may hold files of others.

Python looks for modules in the working folder first: `python -m` and `python -c` make it do so, and an empty entry of
PYTHONPATH does wherever it stands.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

_ROOT = Path(__file__).parents[1]


def without_working_folder(entries: Iterable[str]) -> list[str]:
    """Of `sys.path`, or of the like, what is not the working folder; all of it, if this package itself lies there.

    Example:

    ```python
    >>> from s1_hf.isolation import without_working_folder
    >>> without_working_folder(["", ".", "/usr/lib/python3"])
    ['/usr/lib/python3']

    ```
    """
    if _is_working_folder(str(_ROOT)):
        return list(entries)
    return [entry for entry in entries if not _is_working_folder(entry)]


@contextmanager
def isolated_children() -> Iterator[None]:
    """While this lasts, Python processes are started without the working folder among their places for modules.

    From Python 3.11 on: older ones do not know PYTHONSAFEPATH.
    """
    entries = without_working_folder(os.environ.get("PYTHONPATH", "").split(os.pathsep))
    if _is_working_folder(str(_ROOT)):
        entries.insert(0, str(_ROOT))  # a checkout, which would not be found any more
    wanted = {"PYTHONSAFEPATH": "1", "PYTHONPATH": os.pathsep.join(filter(None, entries))}
    before = {name: os.environ.get(name) for name in wanted}
    os.environ.update(wanted)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def _is_working_folder(entry: str) -> bool:
    return not entry or (os.path.isdir(entry) and os.path.samefile(entry, os.curdir))
