"""Reads a pack, computes again what it says, and asks the model again for some of its answers."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from s1_hf.packs.asking import Asker, Rerun
from s1_hf.packs.chain import Link, faults, link_of
from s1_hf.packs.packing import CHAIN, FACTS, FORMAT, LIBRARIES, ROWS, hash_of, tables_of
from s1_hf.plots.files import FORMATS
from s1_hf.records import COUNT, LIST, OBJECT, TEXT, Schema, check, read_json, read_lines
from s1_hf.reporting import write_report
from s1_hf.results.rows import Row, load_rows, versions

_FACTS: Schema = {
    "format": COUNT, "rows": COUNT, "runs": OBJECT, "settings": LIST, "versions": OBJECT, "tables": OBJECT,
    "figures": OBJECT, "head": TEXT,
}  # fmt: skip
_MOST_NAMED = 5
_TOLERANCE = 1e-9  # of numbers in tables: other processors add up in another order


@dataclass(frozen=True)
class Replay:
    """What came of a pack.

    Args:
        head (`str`): of its chain.
        changed (`list[str]`): what was changed since it was packed, in words.
        tables (`list[str]`): numbers that come out otherwise here.
        same_figures, other_figures (`list[str]`): files that have the same bytes here, and those that have not.
        versions (`dict`): libraries whose version differs, there and here.
        reruns (`list[Rerun]`): answers that were asked for again.
        folder (`Path`): where tables and figures were written.
    """

    head: str
    changed: list[str]
    tables: list[str]
    same_figures: list[str]
    other_figures: list[str]
    versions: dict[str, tuple[str | None, str | None]]
    reruns: list[Rerun]
    folder: Path

    @property
    def draws_otherwise(self) -> bool:
        """Whether figures may differ, because another version draws them."""
        return bool({"matplotlib", "numpy", "s1-hf"} & self.versions.keys())

    @property
    def agrees(self) -> bool:
        """Whether nothing speaks against the pack."""
        rows = all(rerun.agrees is not False for rerun in self.reruns)
        figures = self.draws_otherwise or not self.other_figures
        return rows and figures and not self.changed and not self.tables


def replay(
    folder: str | Path,
    output_dir: str | Path,
    *,
    rows: int = 8,
    seed: int = 0,
    head: str | None = None,
    model: str | None = None,
    dtype: str | None = None,
    batch_size: int = 1,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Replay:
    """Prove a pack on this machine.

    Args:
        folder (`str` or `Path`): a pack.
        output_dir (`str` or `Path`): gets `report.html` and the figures, as they come out here; not in the pack.
        rows (`int`, defaults to 8): how many answers are asked for again, drawn at random; 0: the model is not needed.
        seed (`int`, defaults to 0): for that draw.
        head (`str`, *optional*): the head of the chain, as it was published; by default what the pack itself says.
        model (`str`, *optional*): the same model under the name or folder that it has here.
        dtype (`str`, *optional*): in place of that of the run.
        batch_size (`int`, defaults to 1): rows that are generated together.
        progress (`Callable`, *optional*): told how many of the answers are there.

    Returns:
        [`Replay`].

    Raises:
        ValueError: this is no pack, or it lies around `output_dir`. OSError: the model cannot be read.
    """
    folder, output_dir = Path(folder), Path(output_dir)
    if output_dir.resolve().is_relative_to(folder.resolve()):
        raise ValueError(f"`--output-dir` has to lie outside of the pack, but {output_dir} is in {folder}.")
    facts, links, own = read_pack(folder)
    told = facts.pop("head")
    changed = faults(own, links, facts, told)
    if head is not None and head != told:
        changed.append(f"The head of this pack is {told}, and not the one that was given.")
    tables, same, others = _computed(facts, own, output_dir)
    asker = Asker(facts["runs"], model=model, dtype=dtype, batch_size=batch_size)
    return Replay(
        head=told,
        changed=changed,
        tables=tables,
        same_figures=same,
        other_figures=others,
        versions=_other_versions(facts),
        reruns=asker.ask(drawn(own, rows, seed), progress),
        folder=output_dir,
    )


def _computed(
    facts: Mapping[str, Any], rows: Sequence[Row], output_dir: Path
) -> tuple[list[str], list[str], list[str]]:
    """Numbers that come out otherwise, and figures with the same and with other bytes."""
    told = facts["figures"]
    try:
        tables = _unlike(facts["tables"], tables_of(rows))
    except ValueError as error:  # rows that were dropped or added leave settings of which there are no numbers
        return [str(error)], [], sorted(told)
    report = write_report(rows, output_dir, about=facts["runs"], formats=FORMATS)
    here = {path.name: hash_of(path) for path in [report.page, *report.figures]}
    same = [name for name in told if here.get(name) == told[name]]
    return tables, same, sorted({*told, *here} - {*same})


def read_pack(folder: Path) -> tuple[dict[str, Any], list[Link], list[Row]]:
    """The facts of a pack with its head, its chain, and its rows.

    Raises:
        ValueError: this is no pack, or a file of it is broken.
    """
    if not (folder / FACTS).exists():
        raise ValueError(
            f"{folder} is no pack: it has no {FACTS}, which `s1-hf pack` writes last. If that was interrupted, run it "
            "again."
        )
    facts = read_json(folder / FACTS)
    check(facts, _FACTS, str(folder / FACTS), others=False)
    if facts["format"] != FORMAT:
        raise ValueError(f"{folder / FACTS} is of format {facts['format']}, but {FORMAT} is read here. Update s1-hf.")
    for name, run in facts["runs"].items():
        check(run, {}, f"{folder / FACTS}: run {name!r}")
    links = [link_of(line, where) for where, line in read_lines(folder / CHAIN)]
    return facts, links, load_rows(folder / ROWS)


def drawn(rows: Sequence[Row], count: int, seed: int) -> list[Row]:
    """So many rows at random, of those that say what was asked; in their order."""
    able = [number for number, row in enumerate(rows) if row.request and row.digest and row.budget is not None]
    return [rows[i] for i in sorted(random.Random(seed).sample(able, min(count, len(able))))]


def _other_versions(facts: Mapping[str, Any]) -> dict[str, tuple[str | None, str | None]]:
    """Of the runs and of the packing, beside those here."""
    here = versions(LIBRARIES)
    there: dict[str, set[str | None]] = {}
    for told in (facts, *facts["runs"].values()):
        if isinstance(told.get("versions"), dict):
            for library, version in told["versions"].items():
                there.setdefault(library, set()).add(str(version))
    found: dict[str, tuple[str | None, str | None]] = {}
    for library, all_there in there.items():
        others = sorted(str(version) for version in all_there if version != here.get(library))
        if others:
            found[library] = (", ".join(others), here.get(library))
    return found


def _unlike(there: Any, here: Any) -> list[str]:
    """Where two values of JSON types differ."""
    found = list(_places(there, here, ""))
    more = [f"and {len(found) - _MOST_NAMED:,} more numbers"] if len(found) > _MOST_NAMED else []
    return [*found[:_MOST_NAMED], *more]


def _places(there: Any, here: Any, where: str) -> list[str]:
    if isinstance(there, dict) and isinstance(here, dict) and there.keys() == here.keys():
        return [place for name in there for place in _places(there[name], here[name], f"{where} {name}".strip())]
    if isinstance(there, list) and isinstance(here, list) and len(there) == len(here):
        return [p for i, pair in enumerate(zip(there, here, strict=True), 1) for p in _places(*pair, f"{where} {i}")]
    numbers = all(isinstance(value, int | float) and not isinstance(value, bool) for value in (there, here))
    if there == here or (numbers and math.isclose(there, here, rel_tol=_TOLERANCE, abs_tol=_TOLERANCE)):
        return []
    return [f"{where}: {there!r:.60} there, {here!r:.60} here"]
