"""The columns of a pool, whatever they are called, under the names of s1K."""

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
    """How the columns of a pool are called. What is given has to be there.

    The first three are needed, and have s1K's names if none is given. The others are used if they are there.

    Args:
        question (`str`, *optional*): the question.
        thinking_trajectories (`str`, *optional*): its trace, a text or a list of texts.
        attempt (`str`, *optional*): the answer after the trace.
        solution (`str`, *optional*): the right answer; only carried along.
        source_type (`str`, *optional*): where the question comes from.
        thinking_tokens (`str`, *optional*): the length of the trace.
        ended (`str`, *optional*): how thinking ended, as in [`s1_hf.Report`], or `"error"`.
        error (`str`, *optional*): why there is no trace; null or blank where there is one.
        answer_cut (`str`, *optional*): whether a limit on the length ended the answer; a boolean.
        correct (`str`, *optional*): whether the answer is right; a boolean.
        license (`str`, *optional*): of the row.
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
        """Our names and the pool's, of those that are given."""
        return {item.name: name for item in fields(self) if (name := getattr(self, item.name)) is not None}


def as_pool(dataset: Dataset, columns: Columns | None = None) -> Dataset:
    """`dataset` with its columns under our names; those that have no name here stay as they are.

    Questions, answers and sources that are whole numbers, as a csv file's may be read, become texts. So a csv file's
    blank cells become nulls of the wanted type, where they are read as floats.

    Raises:
        ValueError: a column that is given or needed is missing, has values of a wrong type, or one with the new name
            is there already.
    """
    given = {name: old for name, old in (columns or Columns()).given.items() if name != old}
    present = dataset.column_names
    faults = [
        f"`columns.{name}` is {old!r}, which the pool does not have."
        for name, old in given.items()
        if old not in present
    ]
    faults += [
        f"`columns.{name}` is {old!r}, but the pool has a column {name!r} as well: remove or rename that one."
        for name, old in given.items()
        if name in present
    ]
    faults += [
        f"The pool needs a column {name!r}; if it is called otherwise, say how by `columns: {{{name}: ...}}`."
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
            faults.append(f"The column {name!r} has to be of {wanted}s, but is of {dataset.features[name]}.")
    if faults:
        raise ValueError("\n".join(faults))
    return dataset


def _fits(dataset: Dataset, name: str, wanted: str) -> bool:
    """Whether floats are what pandas makes of blank cells: nulls alone, or nulls among whole numbers."""
    whole = wanted == "whole number"
    return all(value is None or (whole and value.is_integer()) for value in values(dataset, name))


def _kind(feature: Any) -> str:
    """What a column holds, in words."""
    inner = getattr(feature, "feature", None)
    if inner is not None:
        return "texts" if _kind(inner) in ("text", "null") else "lists"
    dtype = str(getattr(feature, "dtype", ""))
    kinds = {"string": "text", "large_string": "text", "null": "null", "bool": "boolean"}
    return kinds.get(dtype, "whole number" if dtype.lstrip("u").startswith("int") else dtype)
