"""Sample efficiency from a table of trained models."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path

from s1_hf.engines.locking import exclusive
from s1_hf.plots import TrainedModel, sample_efficiency
from s1_hf.plots.files import FORMATS, as_files, save

_NEEDED = ("name", "examples", "accuracy")


def draw_models(table: Path, folder: Path, formats: Sequence[str] = FORMATS) -> list[Path]:
    """Draw a CSV file of trained models as `sample_efficiency`; return the paths written.

    Args:
        table (`Path`): with the columns name, examples, accuracy (percent), and, for intervals, low and high.

    Raises:
        OSError: there is no such file. ValueError: it is not such a table.
    """
    ax = sample_efficiency(load_models(table))
    with exclusive(folder):
        return save(as_files(ax.figure, formats), folder, "sample_efficiency")  # type: ignore[arg-type]


def load_models(table: Path) -> list[TrainedModel]:
    """The rows of a CSV file, see [`draw_models`]."""
    try:
        return _models(table)
    except UnicodeDecodeError:
        raise ValueError(f"{table} is not UTF-8 text. Is it a CSV file?") from None
    except csv.Error as error:
        raise ValueError(f"{table} cannot be read as a CSV file: {error}.") from None


def _models(table: Path) -> list[TrainedModel]:
    with table.open(encoding="utf-8-sig", newline="") as file:
        reader = csv.DictReader(file)
        missing = [name for name in _NEEDED if name not in (reader.fieldnames or ())]
        if missing:
            raise ValueError(
                f"{table} lacks {', '.join(missing)}. Its first line has to name the columns: name,examples,accuracy, "
                "and, for intervals, low,high."
            )
        models = [_model(row, f"{table}, line {reader.line_num}") for row in reader]
    if not models:
        raise ValueError(f"{table} has no rows below its first line.")
    return models


def _model(row: dict[str, str | None], where: str) -> TrainedModel:
    numbers = {name: _number(row[name], name, where) for name in ("examples", "accuracy")}
    interval = {name: _number(row[name], name, where) for name in ("low", "high") if row.get(name)}
    try:
        return TrainedModel(row["name"] or "", int(numbers["examples"]), numbers["accuracy"], **interval)
    except (ValueError, OverflowError) as error:
        raise ValueError(f"{where}: {error}") from None


def _number(text: str | None, name: str, where: str) -> float:
    try:
        return float(text or "")
    except ValueError:
        raise ValueError(f"{where}: `{name}` has to be a number, but is {text!r}.") from None
