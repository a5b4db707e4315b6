"""Rename the columns of a pool to those of s1K, and check their types."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

from s1_hf._lazy import require
from s1_hf.curate.stage import values

if TYPE_CHECKING:
    from datasets import Dataset

NEEDED = ("question", "thinking_trajectories", "attempt")
_TEXTS = ("question", "thinking_trajectories", "attempt", "source_type", "ended", "error", "license")
_KINDS = dict.fromkeys(_TEXTS, "text") | {"thinking_tokens": "whole number", "answer_cut": "boolean"}


@dataclass(frozen=True)
class Columns:
    """The names of a pool's columns. A column that is named here has to exist.

    The first three are required; by default they have s1K's names. The others are used if the pool has them.

    Args:
        question (`str`, *optional*): the question.
        thinking_trajectories (`str`, *optional*): its trace, a text or a list of texts.
        attempt (`str`, *optional*): the answer after the trace.
        solution (`str`, *optional*): the right answer; kept, but not used.
        source_type (`str`, *optional*): where the question comes from.
        thinking_tokens (`str`, *optional*): the length of the trace in tokens.
        ended (`str`, *optional*): how thinking ended, as in [`s1_hf.Report`], or `"error"`.
        error (`str`, *optional*): why there is no trace; null or blank if there is one.
        answer_cut (`str`, *optional*): whether the answer was cut off by a length limit; a boolean.
        correct (`str`, *optional*): whether the answer is right; a boolean.
        license (`str`, *optional*): the row's licence.
    """

    question: str | None = None
    thinking_trajectories: str | None = None
    attempt: str | None = None
    solution: str | None = None
    source_type: str | None = None
    thinking_tokens: str | None = None
    ended: str | None = None
    error: str | None = None
    answer_cut: str | None = None
    correct: str | None = None
    license: str | None = None

    @property
    def given(self) -> dict[str, str]:
        """Our name -> the pool's name, for the columns that are named."""
        return {item.name: name for item in fields(self) if (name := getattr(self, item.name)) is not None}


def as_pool(dataset: Dataset, columns: Columns | None = None) -> Dataset:
    """`dataset` with its columns renamed to ours; all other columns stay as they are.

    Reading a csv file can turn questions, answers and sources into integers, and blank cells into floats. Integers
    become texts again, and blank cells nulls of the right type.

    Raises:
        ValueError: a column that is named or required is missing, has the wrong type, or would be renamed to a name
            that is already taken.
    """
    given = {name: old for name, old in (columns or Columns()).given.items() if name != old}
    present = dataset.column_names
    faults = [
        f"`columns.{name}` is {old!r}, which the pool does not have."
        for name, old in given.items()
        if old not in present
    ]
    faults += [
        f"`columns.{name}` is {old!r}, but the pool also has a column {name!r}: remove or rename that one."
        for name, old in given.items()
        if name in present
    ]
    faults += [
        f"The pool needs a column {name!r}. If it has another name, set `columns: {{{name}: ...}}`."
        for name in NEEDED
        if name not in present and name not in given
    ]
    if faults:
        raise ValueError("\n".join([*faults, f"The pool has {', '.join(present) or 'no columns'}."]))
    return _typed(dataset.rename_columns({old: name for name, old in given.items()}))


def _typed(dataset: Dataset) -> Dataset:
    faults = []
    for name in (name for name in dataset.column_names if name in _KINDS):
        kind, wanted = _kind(dataset.features[name]), _KINDS[name]
        if (wanted == "text" and kind == "whole number") or (kind.startswith("float") and _fits(dataset, name, wanted)):
            to = "string" if wanted == "text" else "int64"
            dataset = dataset.cast_column(name, require("datasets", "data").Value(to))
        elif kind not in (wanted, "null", *(["texts"] if name == "thinking_trajectories" else [])):
            faults.append(f"The column {name!r} has to hold {wanted}s, but holds {dataset.features[name]}.")
    if faults:
        raise ValueError("\n".join(faults))
    return dataset


def _fits(dataset: Dataset, name: str, wanted: str) -> bool:
    """Whether floats are what pandas makes of blank cells: only nulls, or nulls among whole numbers."""
    whole = wanted == "whole number"
    return all(value is None or (whole and value.is_integer()) for value in values(dataset, name))


def _kind(feature: Any) -> str:
    """The type of a column, in words."""
    inner = getattr(feature, "feature", None)
    if inner is not None:
        return "texts" if _kind(inner) in ("text", "null") else "lists"
    dtype = str(getattr(feature, "dtype", ""))
    kinds = {"string": "text", "large_string": "text", "null": "null", "bool": "boolean"}
    return kinds.get(dtype, "whole number" if dtype.lstrip("u").startswith("int") else dtype)
