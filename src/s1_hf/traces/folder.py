"""The folder of a run: `settings.json`, a ledger and, at the end, `data/`, the result as Parquet."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from s1_hf.engines.ledger import REMEDY, SETTINGS, Ledger
from s1_hf.engines.locking import is_lock
from s1_hf.engines.request import digest
from s1_hf.files import inside, part_of, replacing, write_text
from s1_hf.forcing.report import ENDED_NAMES
from s1_hf.records import COUNT, FLAG, UNICODE, Schema, check, one_of, or_null, read_json
from s1_hf.traces.trace import Ask, Trace

if TYPE_CHECKING:
    from datasets import Dataset

DATA = Path("data") / "train-00000-of-00001.parquet"
"""The result's file, named as on the Hub, so that `load_s1k` and `datasets` take the whole folder as a data set."""


class Folder:
    """Where a run keeps what it has finished. A line of its ledger is one list of a [`Source`]: all or nothing.

    Args:
        path (`Path`): made by [`s1_hf.engines.locking.exclusive`], which has to be held for all that writes.
    """

    def __init__(self, path: Path) -> None:
        self.path, self._ledger = path, Ledger(path)

    def claim(self, settings: Mapping[str, Any]) -> None:
        """For a run of these settings.

        Raises:
            ValueError: it holds another run's traces, or files that are no run's.
        """
        file, ledger = self.path / SETTINGS, self._ledger.file
        if file.exists():
            self._compare(_flat(_read_settings(file)), _flat(settings))
            return
        ours = {part_of(file).name}
        if ledger.exists():
            ours |= {ledger.name, DATA.parts[0]}
        entries = [entry.name for entry in self.path.iterdir()]
        strange = sorted(name for name in entries if name not in ours and not is_lock(name))
        if strange:
            raise ValueError(
                f"The output folder has to be new, empty, or that of the same run, but {self.path} holds "
                f"{', '.join(strange[:5])}. Choose another folder."
            )
        write_text(file, json.dumps(settings, indent=2) + "\n")

    def finished(self) -> dict[Ask, Trace]:
        """All that is on the disk; of what was tried again, the last."""
        found: dict[Ask, Trace] = {}
        for key, entry in self._ledger.read().items():
            check(entry, _ASK | _TRACE, self._ledger.where(key), others=False, remedy=REMEDY)
            found[Ask(**{name: entry[name] for name in _ASK})] = Trace(**{name: entry[name] for name in _TRACE})
        return found

    def append(self, traces: Iterable[tuple[Ask, Trace]]) -> None:
        """Keep what belongs together; it is on the disk when this returns."""
        entries = {}
        for ask, trace in traces:
            entries[digest([ask.question, ask.sample])] = asdict(ask) | asdict(trace)
        self._ledger.append(entries)

    def write(self, rows: Dataset) -> Path:
        """The result; it is there as a whole or, after a kill, not at all."""
        return write_rows(rows, self.path)

    def _compare(self, old: dict[str, Any], new: dict[str, Any]) -> None:
        changed = [name for name in {**old, **new} if old.get(name) != new.get(name)]
        if changed:
            said = "; ".join(f"`{name}` was {old.get(name)!r} and is {new.get(name)!r}" for name in changed)
            raise ValueError(
                f"{self.path} holds traces made with other settings: {said}. Use the same settings, or another folder."
            )


def write_rows(rows: Dataset, folder: Path) -> Path:
    """Put a data set into `folder`, which then is one for `load_s1k` and `datasets`; returns its file."""
    file = inside(folder, DATA)
    with replacing(file) as part:
        rows.to_parquet(str(part))
    return file


def is_unused(folder: Path) -> bool:
    """Whether `folder` is new, or holds only what a [`write_rows`] that was killed leaves."""
    if not folder.exists():
        return True
    left = {Path(DATA.parts[0]), part_of(DATA)}
    inside_it = [path.relative_to(folder) for path in folder.rglob("*")]
    return folder.is_dir() and all(path in left or is_lock(str(path)) for path in inside_it)


def _read_settings(file: Path) -> Any:
    remedy = "Choose another folder, or delete the file to resume in it."
    try:
        settings = read_json(file)
    except ValueError as error:
        raise ValueError(f"{error} {remedy}") from None
    check(settings, {}, str(file), remedy=remedy)
    return settings


_TOKENS = or_null(COUNT)
_ASK: Schema = {"question": UNICODE, "sample": COUNT}
_TRACE: Schema = {
    "thinking": UNICODE, "attempt": UNICODE, "thinking_tokens": _TOKENS, "answer_tokens": _TOKENS,
    "ended": one_of((*ENDED_NAMES, "error")), "error": or_null(UNICODE), "answer_cut": FLAG,
}  # fmt: skip


def _flat(settings: Mapping[str, Any]) -> dict[str, Any]:
    """`{"a": {"b": 1}}` as `{"a.b": 1}`, after a turn through JSON."""
    flat: dict[str, Any] = {}
    for name, value in json.loads(json.dumps(settings)).items():
        if value and isinstance(value, dict):
            for key, inner in _flat(value).items():
                flat[f"{name}.{key}"] = inner
        else:
            flat[name] = value
    return flat
