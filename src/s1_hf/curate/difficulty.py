"""Stage 4: questions that a model solves are too easy; and the length of traces, the second sign of difficulty."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from s1_hf._lazy import require
from s1_hf.curate.stage import Drop, Stage, column, stage, values
from s1_hf.curate.text import trace_text

if TYPE_CHECKING:
    from datasets import Dataset

PREFIX = "solved_"


@dataclass(frozen=True)
class Difficulty:
    """Options of [`keep_difficult`].

    Args:
        solved (`tuple[str, ...]`, *optional*): columns of booleans, one a model (of `s1-hf data traces --solved-as`);
            those whose names begin with `solved_` if not given.
    """

    solved: tuple[str, ...] | None = None


def keep_difficult(dataset: Dataset, options: Difficulty | None = None) -> Stage:
    """Drop questions that any of the models solved (rule `solved`). Null counts as not solved, and is counted.

    Raises:
        ValueError: a column is missing, or is not of booleans.

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
    """Those that are given, or else those with the prefix."""
    if options.solved is not None:
        return list(options.solved)
    return sorted(name for name in dataset.column_names if name.startswith(PREFIX))


def check_booleans(dataset: Dataset, names: list[str]) -> None:
    """Refuse columns that are missing or of another type; one of nulls alone passes."""
    faults = []
    for name in names:
        kind = getattr(dataset.features.get(name), "dtype", None)
        if name not in dataset.column_names:
            faults.append(f"The pool has no column {name!r}; it has {', '.join(dataset.column_names)}.")
        elif kind not in ("bool", "null"):
            faults.append(f"The column {name!r} has to be of booleans, but is of {kind or dataset.features[name]}.")
    if faults:
        raise ValueError("\n".join(faults))


def with_thinking_tokens(dataset: Dataset, tokenizer: str) -> Dataset:
    """`dataset` with a column `thinking_tokens`: how many tokens its traces are, in place of one that is there.

    Args:
        tokenizer (`str`): a folder or a name on the Hub; the paper's is that of Qwen2.5.

    Raises:
        ValueError: it cannot be loaded.
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
    """To count with; a `ValueError` says that there is none."""
    transformers = require("transformers", "data")
    try:
        loaded = transformers.AutoTokenizer.from_pretrained(tokenizer)
    except (OSError, ValueError) as error:
        raise ValueError(
            f"`tokenizer` has to be a folder or a name on the Hub, but is {tokenizer!r}: {error}"
        ) from None
    loaded.model_max_length = int(1e30)  # traces are counted, not cut: no warning about the model's length
    return loaded


def _notes(verdicts: dict[str, Any]) -> list[str]:
    if not verdicts:
        return [f"there are no columns {PREFIX}*: no question was dropped"]
    unknown = {name: sum(value is None for value in values) for name, values in verdicts.items()}
    notes = [f"columns: {', '.join(verdicts)}"]
    return notes + [
        f"{name} is null in {count:,} rows, taken as not solved" for name, count in unknown.items() if count
    ]
