"""Stage 4: drop questions that a model solves; and measure traces, whose length is the other sign of difficulty."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from s1_hf._lazy import require
from s1_hf.curate.stage import Drop, Stage, column, stage, values
from s1_hf.curate.text import trace_text
from s1_hf.finding import model_named

if TYPE_CHECKING:
    from datasets import Dataset

PREFIX = "solved_"


@dataclass(frozen=True)
class Difficulty:
    """Options of [`keep_difficult`].

    Args:
        solved (`tuple[str, ...]`, *optional*): columns of booleans, one per model, as written by
            `s1-hf data traces --solved-as`. By default, all columns whose names begin with `solved_`.
    """

    solved: tuple[str, ...] | None = None


def keep_difficult(dataset: Dataset, options: Difficulty | None = None) -> Stage:
    """Drop questions that any of the models solved (rule `solved`). Nulls count as not solved; a note says how many.

    Raises:
        ValueError: a column is missing or does not hold booleans.

    Example:

    ```python
    >>> from datasets import Dataset
    >>> from s1_hf.curate import keep_difficult
    >>> pool = Dataset.from_dict({"solved_7b": [False, False, True], "solved_32b": [False, True, None]})
    >>> [(drop.row, drop.detail) for drop in keep_difficult(pool).drops]
    [(1, 'solved_32b'), (2, 'solved_7b')]

    ```
    """
    names = solved_columns(dataset, options or Difficulty())
    check_booleans(dataset, names)
    verdicts = {name: values(dataset, name) for name in names}
    drops = []
    for row in range(len(dataset)):
        by = [name for name in names if verdicts[name][row]]
        if by:
            drops.append(Drop(row, "solved", " and ".join(by)))
    return stage("difficulty", len(dataset), drops, _notes(verdicts))


def solved_columns(dataset: Dataset, options: Difficulty) -> list[str]:
    """The columns that are named, or by default those with the prefix."""
    if options.solved is not None:
        return list(options.solved)
    return sorted(name for name in dataset.column_names if name.startswith(PREFIX))


def check_booleans(dataset: Dataset, names: list[str]) -> None:
    """Refuse columns that are missing or hold another type; a column of nulls passes."""
    faults = []
    for name in names:
        kind = getattr(dataset.features.get(name), "dtype", None)
        if name not in dataset.column_names:
            faults.append(f"The pool has no column {name!r}; it has {', '.join(dataset.column_names)}.")
        elif kind not in ("bool", "null"):
            faults.append(f"The column {name!r} has to hold booleans, but holds {kind or dataset.features[name]}.")
    if faults:
        raise ValueError("\n".join(faults))


def with_thinking_tokens(dataset: Dataset, tokenizer: str) -> Dataset:
    """`dataset` with a column `thinking_tokens`, the length of each trace in tokens; an existing one is replaced.

    Args:
        tokenizer (`str`): a folder or a name on the Hub; the paper uses Qwen2.5's.

    Raises:
        ValueError: the tokenizer cannot be loaded.
    """
    load_tokenizer(tokenizer)
    lengths = column(dataset, _count_tokens, ["thinking_trajectories"], tokenizer=tokenizer)
    if "thinking_tokens" in dataset.column_names:
        dataset = dataset.remove_columns("thinking_tokens")
    return dataset.add_column("thinking_tokens", list(lengths))


def _count_tokens(traces: list[Any], tokenizer: str) -> list[int]:
    ids = load_tokenizer(tokenizer)([trace_text(trace) for trace in traces], add_special_tokens=False)["input_ids"]
    return [len(row) for row in ids]


@lru_cache(maxsize=1)
def load_tokenizer(tokenizer: str) -> Any:
    """The tokenizer to count with; raises `ValueError` if it cannot be loaded."""
    transformers = require("transformers", "data")
    try:
        loaded = transformers.AutoTokenizer.from_pretrained(model_named(tokenizer))
    except (OSError, ValueError) as error:
        raise ValueError(
            f"`tokenizer` has to be a folder, a name on the Hub or 'embedded', but is {tokenizer!r}: {error}"
        ) from None
    loaded.model_max_length = int(1e30)  # traces are only counted: no warning about the model's maximum length
    return loaded


def _notes(verdicts: dict[str, Any]) -> list[str]:
    if not verdicts:
        return [f"the pool has no columns {PREFIX}*: no question was dropped"]
    unknown = {name: sum(value is None for value in values) for name, values in verdicts.items()}
    notes = [f"columns: {', '.join(verdicts)}"]
    return notes + [
        f"{name} is null in {count:,} rows, counted as not solved" for name, count in unknown.items() if count
    ]
