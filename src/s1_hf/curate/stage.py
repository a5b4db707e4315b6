"""The result of a stage: the rows that stay, and why each of the others was dropped."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from s1_hf import __version__
from s1_hf._lazy import require

if TYPE_CHECKING:
    from datasets import Dataset


@dataclass(frozen=True)
class Drop:
    """A row that a stage dropped.

    Args:
        row (`int`): its number in the stage's input, or, in a [`Curation`], in the pool.
        rule (`str`): the rule that dropped it.
        detail (`str`): what the rule found.
        of (`int`, *optional*): for a duplicate, the row that stays.
    """

    row: int
    rule: str
    detail: str = ""
    of: int | None = None


@dataclass(frozen=True)
class Stage:
    """The result of one stage.

    Args:
        name (`str`): the name of the stage.
        rows (`tuple[int, ...]`): the numbers of the rows that stay, in the order of the input;
            `dataset.select(stage.rows)` is the input of the next stage.
        drops (`tuple[Drop, ...]`): the other rows, each with the first rule that matched it.
        notes (`tuple[str, ...]`): what a reader of the report needs to know.
    """

    name: str
    rows: tuple[int, ...]
    drops: tuple[Drop, ...]
    notes: tuple[str, ...] = field(default=())


def stage(name: str, total: int, drops: Iterable[Drop], notes: Iterable[str] = ()) -> Stage:
    """The result of a stage, made from its `total` input rows and its drops."""
    dropped = tuple(drops)
    gone = {drop.row for drop in dropped}
    return Stage(name, tuple(row for row in range(total) if row not in gone), dropped, tuple(notes))


def values(dataset: Dataset, name: str) -> list[Any]:
    """A column as a list, because reading single values of a column is slow."""
    return list(dataset[name][:])


def column(
    dataset: Dataset, function: Any, inputs: Iterable[str], num_proc: int | None = None, **options: Any
) -> Sequence[Any]:
    """A column of values computed in batches by `function`, which takes lists of `inputs` and returns a list.

    Computed by `datasets.map`, whose cache key includes the function, the options and our version: values for a data
    set on disk are not computed twice.

    Args:
        function: its return annotation has to be `list[str]`, `list[int]` or `list[list[int]]`.
    """
    if not len(dataset):
        return []
    wanted = list(inputs)
    made = dataset.select_columns(wanted).map(
        _Batched(function),
        batched=True,
        input_columns=wanted,
        remove_columns=wanted,
        features=_features(function.__annotations__["return"]),
        num_proc=num_proc if num_proc and 1 < num_proc <= len(dataset) else None,
        fn_kwargs={"options": options, "version": __version__},
        desc=function.__name__.strip("_").replace("_", " "),
    )
    values: Sequence[Any] = made["made"]
    return values


class _Batched:
    """Pickles together with the function's name, which datasets' cache key depends on."""

    def __init__(self, function: Any) -> None:
        self.function = function

    def __call__(self, *lists: list[Any], options: dict[str, Any], version: str) -> dict[str, list[Any]]:
        return {"made": self.function(*lists, **options)}


def _features(returned: str) -> Any:
    datasets = require("datasets", "data")
    text, whole = datasets.Value("string"), datasets.Value("int64")
    kinds = {"list[str]": text, "list[int]": whole, "list[list[int]]": datasets.List(whole)}
    return datasets.Features({"made": kinds[returned]})
