"""A card where a folder has none, made from what its own files say."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from s1_hf import __version__
from s1_hf._lazy import require
from s1_hf.publishing.folders import ADAPTER, CHECKPOINT, DATA, MODEL, RESULTS, TRACES, Kind, rows_in
from s1_hf.records import read_json
from s1_hf.secrets import without_secret_values
from s1_hf.visible import in_markdown, shortened, visible

CARD = "README.md"

_MARK = "<!-- Written by s1-hf push, and again by the next one unless you change it: {} -->\n"
_MARKED = re.compile(re.escape(_MARK).replace(re.escape("{}"), "([0-9a-f]{16})") + r"\Z")
_MOST_FIGURES = 12
_LINK = "[s1-hf](https://pypi.org/project/s1-hf)"


def is_ours(card: str) -> bool:
    """Whether a card was written by `s1-hf push`, and by nobody since."""
    found = _MARKED.search(card)
    return found is not None and found[1] == _digest(card[: found.start()])


def new_card(folder: Path, kind: Kind) -> str | None:
    """The card of a folder that has none, or one that was made here before; `None`: it keeps its own.

    Raises:
        ValueError: rows or settings in the folder cannot be read.
    """
    card = folder / CARD
    if card.is_symlink():
        raise ValueError(f"{card} is a link, and links are not followed. Delete it, or put a file in its place.")
    if card.exists() and not is_ours(card.read_text(encoding="utf-8", errors="replace")):
        return None
    makers = {RESULTS: _of_results, TRACES: _of_traces, DATA: _of_data}
    makers |= dict.fromkeys((MODEL, ADAPTER, CHECKPOINT), _of_model)
    if kind not in makers:
        return None
    header, lines = makers[kind](folder)
    front = require("yaml", "data").safe_dump(header, sort_keys=False, allow_unicode=True).strip()
    text = "\n".join(["---", front, "---", "", *lines, ""])
    text = text.encode("utf-8", "backslashreplace").decode("utf-8")
    return text + _MARK.format(_digest(text))


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]


_Card = tuple[dict[str, Any], list[str]]
"""The YAML header, and the lines of Markdown under it."""


def _of_results(folder: Path) -> _Card:
    from s1_hf.reporting import load_about
    from s1_hf.reporting.tables import as_markdown, methods_table, settings_table
    from s1_hf.results.rows import load_rows
    from s1_hf.results.summaries import summarize_methods, summarize_settings

    rows, runs = load_rows(folder), load_about(folder)
    settings = summarize_settings(rows)
    tasks = ", ".join(dict.fromkeys(row.task for row in rows if row.task)) or "results"
    figures = [path.name for path in sorted(folder.glob("*.png")) if path.stem.replace("-", "").isalnum()]
    lines = [
        f"# {in_markdown(shortened(tasks, 200))}: {len(rows):,} answers under thinking budgets",
        "",
        f"Made by {_LINK} {__version__}: every answer, the budget that was forced on it, and whether it is right.",
        "",
        *as_markdown(settings_table(settings)),
        "",
        *as_markdown(methods_table(summarize_methods(settings))),
        "",
        *(f"![{in_markdown(name)}]({name})" for name in figures[:_MOST_FIGURES]),
        "",
        "`report.html` holds all tables, figures and some transcripts, and loads nothing.",
        "",
        *_runs(runs),
        *_loading("rows"),
    ]
    return _header(["budget-forcing", "evaluation-results"], rows_in(folder), "rows", folder), lines


def _runs(runs: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """How each was made, by its `about.json`."""
    lines = []
    for name, facts in runs.items():
        told = {key: facts.get(key) for key in ("model", "revision", "tasks", "seed", "dtype", "versions")}
        lines += [f"## {'Run' if not name else in_markdown(shortened(name, 200))}", "", *_facts(told)]
        if facts.get("command"):
            lines += ["", *_code("sh", str(facts["command"]))]
        lines += [""]
    return lines


def _of_traces(folder: Path) -> _Card:
    settings = without_secret_values(read_json(folder / "settings.json"))
    count, columns, files = _tables(folder)
    lines = [
        f"# {count:,} questions with reasoning traces",
        "",
        f"Made by {_LINK} {__version__}, `s1-hf data traces`. Training takes `question`, `thinking_trajectories` and "
        "`attempt`; `ended` says how thinking ended, and `error` what failed.",
        "",
        *_facts(settings if isinstance(settings, dict) else {}),
        "",
        f"Columns: {', '.join(f'`{name}`' for name in columns)}.",
        "",
        *_loading("train"),
    ]
    return _header(["reasoning", "reasoning-traces"], files, "train", folder), lines


def _of_data(folder: Path) -> _Card:
    count, columns, files = _tables(folder)
    named = f"Columns: {', '.join(f'`{name}`' for name in columns)}."
    lines = [f"# {count:,} rows", "", named, "", *_loading("train"), f"Pushed by {_LINK} {__version__}."]
    return _header([], files, "train", folder), lines


def _of_model(folder: Path) -> _Card:
    adapter, config = folder / "adapter_config.json", folder / "config.json"
    about = read_json(adapter if adapter.is_file() else config, strict=False)
    about = about if isinstance(about, dict) else {}
    base = about.get("base_model_name_or_path")
    header: dict[str, Any] = {"library_name": "peft" if adapter.is_file() else "transformers"}
    if isinstance(base, str) and not Path(base).is_absolute() and not Path(base).exists():
        header["base_model"] = base
    header |= {"pipeline_tag": "text-generation", "tags": ["s1-hf"]}
    known: dict[str, Any] = {
        "kind": "LoRA adapter" if adapter.is_file() else ", ".join(map(str, about.get("architectures") or []))
    }
    known |= {"base model": header.get("base_model"), "dtype": about.get("dtype") or about.get("torch_dtype")}
    lines = [f"# {in_markdown(shortened(folder.resolve().name, 200))}", "", *_facts(known), ""]
    lines += [f"Pushed by {_LINK} {__version__}, which can shorten or extend a model's thinking."]
    return header, lines


# -- parts ----------------------------------------------------------------------------------------------------------


def _header(tags: Sequence[str], files: Sequence[Path], split: str, folder: Path) -> dict[str, Any]:
    """With what `load_dataset` and the viewer need."""
    paths = [file.relative_to(folder).as_posix() for file in files]
    data = [{"split": split, "path": paths[0] if len(paths) == 1 else paths}]
    return {"tags": ["s1-hf", *tags], "configs": [{"config_name": "default", "data_files": data}]}


def _loading(split: str) -> list[str]:
    return [*_code("python", f'rows = datasets.load_dataset("THIS REPOSITORY", split="{split}")'), ""]


def _code(language: str, text: str) -> list[str]:
    """A block that the text cannot end."""
    fence = "`" * max(3, 1 + max((len(ticks) for ticks in re.findall("`+", text)), default=0))
    return [f"{fence}{language}", " ".join(visible(text).split()), fence]


def _facts(facts: Mapping[str, Any]) -> list[str]:
    told = {name: value for name, value in facts.items() if value not in (None, "", [], {})}
    if not told:
        return []
    lines = ["| | |", "|---|---|"]
    for name, value in told.items():
        lines.append(f"| {in_markdown(name)} | {in_markdown(shortened(_as_text(value), 300))} |")
    return lines


def _as_text(value: Any) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {_as_text(one)}" for name, one in value.items())
    return ", ".join(map(_as_text, value)) if isinstance(value, (list, tuple)) else str(value)


def _tables(folder: Path) -> tuple[int, list[str], list[Path]]:
    """Rows, columns and files of a data set."""
    parquet = require("pyarrow.parquet", "data")
    files = sorted(file for file in (folder / "data").glob("*.parquet") if not file.name.startswith("_"))
    count, columns = 0, []
    for file in files:
        try:
            with file.open("rb") as stream:
                found = parquet.ParquetFile(stream)
                count, columns = count + found.metadata.num_rows, found.schema_arrow.names
        except Exception as error:  # pyarrow lets those of others through
            raise ValueError(f"{file} cannot be read as Parquet: {error}") from None
    return count, list(map(visible, columns)), files
