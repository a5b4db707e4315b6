"""Pools of questions: from files, folders and the Hub, and of the embedded model's world."""

from __future__ import annotations

import random
from pathlib import Path
from typing import TYPE_CHECKING, Any

from s1_hf._lazy import require
from s1_hf.embedded.problems import trainable
from s1_hf.records import UNICODE, check, read_lines, read_text

if TYPE_CHECKING:
    from datasets import Dataset

_KINDS = {".parquet": "parquet", ".json": "json", ".jsonl": "json", ".csv": "csv", ".arrow": "arrow"}


def load_pool(source: str | Path) -> Dataset:
    """A pool of questions with all its columns.

    Args:
        source (`str` or `Path`): a parquet, json, jsonl or csv file, the last three also packed (`.jsonl.gz`), a folder
            with such files (in its `data/` or beside its README; if some are called `train*`, only those) or of
            `Dataset.save_to_disk`, or the name of a data set on the Hub, whose split
            `train` is taken; also `"s1K"`, `"s1K-1.1"` and `"full59K"`.

    Raises:
        ValueError: there is no such file or folder, or it cannot be read. ConnectionError: the Hub cannot be reached,
            or has no such data set.
    """
    datasets = require("datasets", "data")
    from s1_hf.data.s1k import HUB, load_s1k, local_files
    from s1_hf.data.s1k_builder import kind_of

    name = str(source)
    if name in HUB and not Path(name).exists():
        return load_s1k(name)
    on_hub = name.count("/") == 1 and not name.startswith((".", "/", "~")) and not kind_of(name)
    if on_hub and not Path(name).exists():
        return _from_hub(name)
    files = local_files(Path(name).expanduser())
    kind = _KINDS[kind_of(files[0])]
    try:
        rows = datasets.load_dataset(kind, data_files=files, split="train")
        rows.data.validate(full=True)  # texts that are no UTF-8 would show when they are used
        return _with_lists(rows) if kind == "csv" else rows
    except StopIteration:  # from datasets' reader of json
        raise ValueError(f"{name} cannot be read: it is empty") from None
    except (datasets.exceptions.DatasetGenerationError, ValueError) as error:
        said = _broken_line(files) if kind == "json" else None
        raise ValueError(f"{name} cannot be read: {said or error.__cause__ or error}") from None


def _broken_line(files: list[str]) -> str | None:
    """The first line that cannot be used, by its number in the file: Arrow counts anew in every block that it reads."""
    try:
        for file in files:
            if read_text(file).lstrip().startswith("["):
                continue  # one list
            for where, row in read_lines(file, strict=False):
                texts = [name for name, value in row.items() if isinstance(value, str)] if isinstance(row, dict) else []
                check(row, dict.fromkeys(texts, UNICODE), where)
    except ValueError as error:
        return str(error)
    return None


def _with_lists(rows: Dataset) -> Dataset:
    """A csv file's traces as `load_s1k` takes them: a cell is one trace, or a JSON list of traces."""
    datasets, name = require("datasets", "data"), "thinking_trajectories"
    if getattr(rows.features.get(name), "dtype", None) not in ("string", "large_string"):
        return rows
    features = rows.features | {name: datasets.List(datasets.Value("string"))}
    return rows.map(_as_list, input_columns=name, features=datasets.Features(features))


def _as_list(cell: str | None) -> dict[str, list[str] | None]:
    from s1_hf.data.s1k_builder import traces_of_cell  # imports datasets

    try:
        return {"thinking_trajectories": None if cell is None else traces_of_cell(cell)}
    except ValueError as error:
        raise ValueError(f"`thinking_trajectories` {error}") from None


def _from_hub(name: str) -> Any:
    datasets = require("datasets", "data")
    try:
        return datasets.load_dataset(name, split="train")
    except (OSError, ValueError) as error:
        raise ConnectionError(
            f"{name} could not be loaded: there is no such folder here, and from the Hub came {type(error).__name__}: "
            f"{error}"
        ) from None


def embedded_pool(problems: int, seed: int = 0) -> Dataset:
    """Problems of the embedded model's world: different ones, none of them held out.

    Columns are `question`, `solution` (the right answer as text), `source_type` (`"two_lamps"`) and `cot_type`, the
    domain: the two periods, `"periods 7 and 8"`.

    Args:
        problems (`int`): how many.
        seed (`int`, defaults to 0): which.

    Raises:
        ValueError: there are not so many.

    Example:

    ```python
    >>> from s1_hf.traces import embedded_pool
    >>> row = embedded_pool(1)[0]
    >>> row["question"][:22], row["source_type"]
    ('Lamp A flashes at seco', 'two_lamps')

    ```
    """
    everything = trainable()
    if not 0 < problems <= len(everything):
        raise ValueError(
            f"`problems` has to be from 1 to {len(everything):,}, the number of problems that are not held out, but is "
            f"{problems}."
        )
    drawn = random.Random(seed).sample(everything, problems)
    rows = [
        {
            "question": problem.question,
            "solution": str(problem.answer),
            "source_type": "two_lamps",
            "cot_type": "periods {} and {}".format(*sorted((problem.p, problem.q))),
        }
        for problem in drawn
    ]
    return require("datasets", "data").Dataset.from_list(rows)
