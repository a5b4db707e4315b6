"""Read the columns of a pool as those of s1K, and check their types."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Any

from s1_hf._lazy import require
from s1_hf.curate.stage import values
from s1_hf.data.replies import FIELDS, FILLED, check_columns, seen_in, sources, training_row, with_messages

if TYPE_CHECKING:
    from datasets import Dataset

NEEDED = ("question", "thinking_trajectories", "attempt")
_TEXTS = ("question", "thinking_trajectories", "attempt", "source_type", "ended", "error", "license", "reply")
_KINDS = dict.fromkeys(_TEXTS, "text") | {"thinking_tokens": "whole number", "answer_cut": "boolean"}


@dataclass(frozen=True)
class Columns:
    """The names of a pool's columns. A column that is named here has to exist; it may be named for several fields.

    The first three are required, by default under s1K's names, unless `reply` or `messages` holds them; in a pool
    without questions, a column `messages` or `conversations` does unasked. The others are used if the pool has them.

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
        reply (`str`, *optional*): trace and answer in one text, `<think>...</think>...`, which is taken apart: see
            [`s1_hf.data.replies.split_reply`].
        messages (`str`, *optional*): a conversation of one question and one reply, which is taken apart: see
            [`s1_hf.data.replies.read_messages`]. Where it is something else, `error` says so.
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
    reply: str | None = None
    messages: str | None = None

    def __post_init__(self) -> None:
        check_columns({name: own for name, own in self.given.items() if name in FIELDS})

    def changed(self, given: Mapping[str, str]) -> Columns:
        """A copy with these names.

        Raises:
            ValueError: there are no such fields.
        """
        known = [item.name for item in fields(self)]
        unknown = [name for name in given if name not in known]
        if unknown:
            raise ValueError(f"Columns have to be some of {', '.join(known)}, but are {', '.join(unknown)}.")
        return replace(self, **given)

    @property
    def given(self) -> dict[str, str]:
        """Our name -> the pool's name, for the columns that are named."""
        return {item.name: name for item in fields(self) if (name := getattr(self, item.name)) is not None}


class Names:
    """What the pool calls our columns, for error messages."""

    def __init__(self, pool: Dataset, columns: Columns) -> None:
        self.present = pool.column_names
        self.given = with_messages(columns.given, self.present)
        self._own = self.given | sources({name: own for name, own in self.given.items() if name in FIELDS})

    def own(self, name: str) -> str:
        """The pool's name of a column."""
        return self._own.get(name, name)

    @property
    def listed(self) -> str:
        """The pool's columns, in words."""
        return f"The pool has {', '.join(self.present) or 'no columns'}."


def as_pool(dataset: Dataset, columns: Columns | None = None, *, kept: Collection[str] = ()) -> Dataset:
    """`dataset` with its columns under our names; all other columns stay as they are.

    A column that is named for several fields is there once for each. What is read from `reply` or `messages` takes the
    place of that column. Reading a csv file can turn questions, answers and sources into integers, and blank cells into
    floats. Integers become texts again, and blank cells nulls of the right type.

    Args:
        kept (`Collection[str]`): columns that also stay under their own names.

    Raises:
        ValueError: a column that is named or required is missing, has the wrong type, or would get a name that is
            already taken. The message has the pool's own names.
    """
    names = Names(dataset, columns or Columns())
    given, present = names.given, dataset.column_names
    filled = [field for name in given for field in FILLED.get(name, (name,))]
    faults = [
        f"`columns.{name}` is {own!r}, which the pool does not have."
        for name, own in given.items()
        if own not in present
    ]
    faults += [
        f"`columns.{name}` is {own!r}, but the pool also has a column {field!r}: remove or rename that one, or say in "
        "`columns` what it is."
        for name, own in given.items()
        for field in FILLED.get(name, (name,))
        if field in present and field not in given.values()
    ]
    faults += [
        f"The pool needs a column {name!r}. If it has another name, set `columns: {{{name}: ...}}`."
        for name in NEEDED
        if name not in present and name not in filled
    ]
    if faults:
        offered = [seen_in(dataset[0])] if len(dataset) and FILLED.keys().isdisjoint(given) else []
        raise ValueError("\n".join([*faults, names.listed, *filter(None, offered)]))
    dataset = _typed(_placed(dataset, given, kept), names)
    return _read(dataset, given)


def _placed(dataset: Dataset, given: dict[str, str], kept: Collection[str]) -> Dataset:
    """The columns that are named, under our names: renamed, or copied where one is needed under several."""
    names: dict[str, list[str]] = {own: [own] for own in kept if own in dataset.column_names and own not in given}
    for name, own in given.items():
        names.setdefault(own, []).append(name)
    copies = [
        dataset.select_columns([own]).rename_columns({own: name})
        for own, (_, *others) in names.items()
        for name in dict.fromkeys(others)
    ]
    dataset = dataset.rename_columns({own: first for own, (first, *_) in names.items() if own != first})
    return require("datasets", "data").concatenate_datasets([dataset, *copies], axis=1) if copies else dataset


def _read(dataset: Dataset, given: dict[str, str]) -> Dataset:
    """What `reply` or `messages` holds, as columns of its own."""
    name = next((name for name in FILLED if name in given), None)
    if name is None:
        return dataset
    datasets = require("datasets", "data")
    text = datasets.Value("string")
    read = {field: datasets.List(text) if field == "thinking_trajectories" else text for field in FILLED[name]}
    read |= {"error": text}
    features = {column: kind for column, kind in dataset.features.items() if column != name} | read
    inputs = [name, *(["error"] if "error" in dataset.column_names else [])]
    return dataset.map(
        _read_batch,
        batched=True,
        input_columns=inputs,
        remove_columns=inputs,
        features=datasets.Features(features),
        fn_kwargs={"field": name, "own": given[name]},
        desc=f"reading {given[name]}",
    )


def _read_batch(held: list[Any], errors: list[Any] | None = None, *, field: str, own: str) -> dict[str, list[Any]]:
    columns: dict[str, list[Any]] = {name: [] for name in (*FILLED[field], "error")}
    for value, error in zip(held, errors or [None] * len(held), strict=True):
        row: dict[str, Any] = {"error": error}
        try:
            row |= training_row({own: value}, {field: own})
        except ValueError as fault:
            row["error"] = error or str(fault)
        for name, column in columns.items():
            column.append(row.get(name))
    return columns


def _typed(dataset: Dataset, names: Names) -> Dataset:
    faults = []
    for name in (name for name in dataset.column_names if name in _KINDS):
        kind, wanted = _kind(dataset.features[name]), _KINDS[name]
        if (wanted == "text" and kind == "whole number") or (kind.startswith("float") and _fits(dataset, name, wanted)):
            to = "string" if wanted == "text" else "int64"
            dataset = dataset.cast_column(name, require("datasets", "data").Value(to))
        elif kind not in (wanted, "null", *(["texts"] if name in ("thinking_trajectories", "reply") else [])):
            faults.append(f"The column {names.own(name)!r} has to hold {wanted}s, but holds {dataset.features[name]}.")
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
