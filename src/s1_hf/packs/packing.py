"""Writes a pack: a data set folder with a run's rows, what they are of, and what proves that they are these."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from s1_hf import __version__
from s1_hf._lazy import require
from s1_hf.engines.locking import exclusive
from s1_hf.files import inside, remove, write_text
from s1_hf.packs.chain import Link, chain, head
from s1_hf.records import parse
from s1_hf.reporting import load_about, write_report
from s1_hf.reporting.tables import as_markdown, methods_table, settings_table
from s1_hf.results.differences import paired_differences
from s1_hf.results.rows import Row, load_rows, save_rows, versions
from s1_hf.results.summaries import summarize_methods, summarize_settings
from s1_hf.visible import in_markdown, shortened

FORMAT = 1
FACTS, CHAIN, ROWS = "pack.json", "chain.jsonl", Path("data") / "rows.parquet"
LIBRARIES = ("numpy", "matplotlib", "pyarrow")
"""Whose versions tables and figures depend on, beside those that every run notes down."""

_CARD = "README.md"
_ERRORS = "backslashreplace"  # as in files of rows


@dataclass(frozen=True)
class Packed:
    """A pack that was written: its `folder`, how many `rows`, and the `head` of its chain, to publish elsewhere."""

    folder: Path
    rows: int
    head: str


def pack(results: str | Path, folder: str | Path, *, progress: Callable[[str, int, int], None] | None = None) -> Packed:
    """Pack a run's rows as a data set that `datasets.load_dataset(folder)` and [`load_rows`] read.

    `data/rows.parquet` are the rows; `pack.json` says what they are of (model, revisions, seeds, versions, settings)
    and what tables and figures follow from them; `chain.jsonl` is the chain of hashes over the rows. Beside them are
    the card (`README.md`), `report.html` and its figures. `pack.json` is written last: without it a folder is no pack.

    Args:
        results (`str` or `Path`): a results folder, or a file of rows.
        folder (`str` or `Path`): not in `results`, and neither around it. What it held of an earlier pack is replaced.
        progress (`Callable`, *optional*): told what is done, and how many times of how many.

    Raises:
        ValueError: the folders lie in each other, or for the reasons in [`load_rows`] and [`summarize_settings`].
        FileNotFoundError: there are no rows. ModuleNotFoundError: the extra `data` or `plot` is missing.
        BlockingIOError: another process is writing there.
    """
    folder = Path(folder)
    _check_apart(Path(results), folder)
    yaml = require("yaml", "data")
    rows, runs = load_rows(results), load_about(results)
    tables = tables_of(rows)  # raises for rows that do not belong together, before anything is written
    with exclusive(folder):
        remove(folder / FACTS)  # until everything else is there this is no pack
        rows = load_rows(save_rows(rows, inside(folder, ROWS)))  # as they will be read
        report = write_report(rows, folder, about=runs, progress=progress)
        facts = {
            "format": FORMAT,
            "rows": len(rows),
            "runs": runs,
            "settings": _settings(rows),
            "versions": versions(LIBRARIES),
            "tables": tables,
            "figures": {path.name: hash_of(path) for path in [report.page, *report.figures]},
        }
        facts = dict(parse(json.dumps(facts), FACTS))  # as they will be read
        links = chain(rows, facts)
        packed = Packed(folder, len(rows), head(links, facts))
        lines = "".join(json.dumps(link._asdict(), ensure_ascii=False) + "\n" for link in links)
        write_text(inside(folder, CHAIN), lines, errors=_ERRORS)
        write_text(inside(folder, _CARD), _card(yaml, rows, facts, links), errors=_ERRORS)
        write_text(inside(folder, FACTS), json.dumps(facts | {"head": packed.head}, indent=1) + "\n")
    return packed


def tables_of(rows: Sequence[Row]) -> dict[str, Any]:
    """The numbers of settings, methods and their differences, as JSON types."""
    settings = summarize_settings(rows)
    found = {
        "settings": [vars(one) for one in settings],
        "methods": [vars(one) for one in summarize_methods(settings)],
        "differences": [vars(one) for one in paired_differences(rows, settings)],
    }
    return dict(parse(json.dumps(found), "the tables"))


def hash_of(file: Path) -> str:
    """Of what is in it."""
    return hashlib.sha256(file.read_bytes()).hexdigest()


def _check_apart(results: Path, folder: Path) -> None:
    if results.is_dir() and folder.resolve().is_relative_to(results.resolve()):
        raise ValueError(
            f"`--output-dir` has to lie outside of the results, but {folder} is in {results}, where its rows would be "
            "found a second time. Choose another folder."
        )
    if results.resolve().is_relative_to(folder.resolve()):
        raise ValueError(
            f"`--output-dir` has to be a folder of its own, but {folder} holds the results. Choose another."
        )
    if (folder / _CARD).exists() and not (folder / CHAIN).exists():
        raise ValueError(f"{folder} has a {_CARD} that is not of a pack, and would be replaced. Choose another folder.")


def _settings(rows: Sequence[Row]) -> list[dict[str, Any]]:
    """Each setting with its budget, where it is known."""
    found: dict[tuple[str, str, str], dict[str, Any]] = {}
    for row in rows:
        name = row.task, row.method, row.setting
        if name not in found:
            budget = row.budget
            known = {"budget": budget and budget.to_dict(), "promises": list(row.promises)}
            found[name] = dict(zip(("task", "method", "setting"), name, strict=True)) | known
    return list(found.values())


# -- the card -------------------------------------------------------------------------------------------------------


def _card(yaml: Any, rows: Sequence[Row], facts: Mapping[str, Any], links: Sequence[Link]) -> str:
    """Markdown with a YAML header."""
    header = {
        "tags": ["s1-hf", "budget-forcing", "evaluation-results"],
        "configs": [{"config_name": "default", "data_files": [{"split": "rows", "path": ROWS.as_posix()}]}],
    }
    settings = summarize_settings(rows)
    shown = [name for name in facts["figures"] if name.endswith(".png")]
    title = ", ".join(dict.fromkeys(row.task for row in rows if row.task)) or "results"
    models = [str(run["model"]) for run in facts["runs"].values() if run.get("model")]
    lines = [
        "---",
        yaml.safe_dump(header, sort_keys=False, allow_unicode=True).strip(),
        "---",
        "",
        f"# {in_markdown(shortened(title, 200))}: {len(rows):,} answers under budgets",
        "",
        f"Answers of {in_markdown(shortened(', '.join(dict.fromkeys(models)) or 'an unknown model', 200))}, one a row, "
        f"packed by s1-hf {__version__}. `pack.json` holds settings, seeds, revisions, versions and all tables.",
        "",
        *as_markdown(settings_table(settings)),
        "",
        *as_markdown(methods_table(summarize_methods(settings))),
        "",
        *(f"![{in_markdown(name)}]({name})" for name in shown if name.replace("-", "").replace(".", "").isalnum()),
        "",
        "```python",
        'rows = datasets.load_dataset("THIS FOLDER OR REPOSITORY", split="rows")',
        "```",
        "",
        "`s1-hf replay FOLDER` computes tables and figures again, looks whether any row was changed, dropped, added or "
        "moved, and asks the model again for some answers. The head of the chain of hashes, which stands for all rows "
        "and for `pack.json`:",
        "",
        f"    {head(links, facts)}",
        "",
    ]
    return "\n".join(lines)
