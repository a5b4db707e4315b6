"""The files of an evaluation: rows, what they are of, and the numbers."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from s1_hf.files import inside, write_text
from s1_hf.results.rows import save_rows, versions, write_about
from s1_hf.secrets import without_secret_values

if TYPE_CHECKING:
    from s1_hf.evaluation.bench import Evaluated
    from s1_hf.evaluation.settings import Settings
    from s1_hf.tasks.task import Task

RESULTS = "results.json"


def rows_file(folder: str | Path) -> Path:
    """Where the rows go: Parquet, or JSON lines where nothing is installed that writes it (extra `data`)."""
    return Path(folder) / ("rows.parquet" if find_spec("pyarrow") else "rows.jsonl")


def save(
    evaluated: Evaluated, folder: str | Path, settings: Settings, tasks: Sequence[Task], about: Mapping[str, Any]
) -> Path:
    """Write `rows.parquet` (or `rows.jsonl`), `about.json` and `results.json`; returns the last one's place.

    Args:
        about (`Mapping`): facts for `about.json`, as JSON types.
    """
    path = rows_file(folder)
    for ending in ("jsonl", "parquet"):
        if path.suffix != f".{ending}":
            (Path(folder) / f"rows.{ending}").unlink(missing_ok=True)  # else both would be read
    save_rows(evaluated.rows, path)
    write_about(folder, **about)
    results = inside(folder, RESULTS)
    write_text(results, as_json(evaluated, settings, tasks) + "\n")
    return results


def as_json(evaluated: Evaluated, settings: Settings, tasks: Sequence[Task]) -> str:
    """The numbers, and all that they depend on, as they stand in `results.json`.

    Of one setting: `results`, by task what [`scores_of`] gives. Of several: `settings`, a list of these.
    """
    found: dict[str, Any] = {
        "config": settings.to_dict(),
        "tasks": {task.name: _described(task) for task in tasks},
        "versions": versions(),
    }
    of_settings = []
    for budget, scores in zip(evaluated.settings, evaluated.results, strict=True):
        of_settings.append({"setting": budget.name, "budget": budget.changed(), "results": scores})
    found |= of_settings[0] if len(of_settings) == 1 else {"settings": of_settings}
    if evaluated.endpoint is not None:
        found["endpoint"] = evaluated.endpoint
    return json.dumps(without_secret_values(found), indent=1)


def _described(task: Task) -> dict[str, Any]:
    return {
        "problems": len(task.problems),
        "samples": task.samples or 1,
        "max_new_tokens": task.max_new_tokens,
        "source": dict(task.source),
    }
