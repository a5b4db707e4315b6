"""What a stage leaves: the rows that stay, and why each of the others went."""

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
        row (`int`): its number in the stage's input; in a [`Curation`], in the pool.
        rule (`str`): by which rule.
        detail (`str`): what the rule found.
        of (`int`, *optional*): of a duplicate, the row that stays.
    """

    row: int
    rule: str
    detail: str = ""
    of: int | None = None


@dataclass(frozen=True)
class Stage:
    """The result of one stage.

    Args:
        name (`str`): which one.
        rows (`tuple[int, ...]`): the numbers of the rows that stay, in the order of the input, so that
            `dataset.select(stage.rows)` is what goes on.
        drops (`tuple[Drop, ...]`): the others, each once, by the first rule that met it.
        notes (`tuple[str, ...]`): what a reader of the report has to know.
    """

    name: str
    rows: tuple[int, ...]
    drops: tuple[Drop, ...]
    notes: tuple[str, ...] = field(default=())


def stage(name: str, total: int, drops: Iterable[Drop], notes: Iterable[str] = ()) -> Stage:
    """A stage over `total` rows from what it drops."""
    dropped = tuple(drops)
    gone = {drop.row for drop in dropped}
    return Stage(name, tuple(row for row in range(total) if row not in gone), dropped, tuple(notes))


def values(dataset: Dataset, name: str) -> list[Any]:
    """A column as a list, of which single values are read fast."""
    return list(dataset[name][:])


def column(
    dataset: Dataset, function: Any, inputs: Iterable[str], num_proc: int | None = None, **options: Any
) -> Sequence[Any]:
    """The column that `function` makes of batches: it is given the lists of `inputs`, and gives the list of values.

    Computed by `datasets.map`, whose cache knows the function, the options and our version, so that what has been
    computed for a data set on disk is not computed again.

    Args:
        function: of this module's users, annotated with what it returns: `list[str]`, `list[int]`, `list[list[int]]`.
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
    """Pickled with the function's name, which datasets' cache goes by."""

    def __init__(self, function: Any) -> None:
        self.function = function

    def __call__(self, *lists: list[Any], options: dict[str, Any], version: str) -> dict[str, list[Any]]:
        return {"made": self.function(*lists, **options)}


def _features(returned: str) -> Any:
    datasets = require("datasets", "data")
    text, whole = datasets.Value("string"), datasets.Value("int64")
    kinds = {"list[str]": text, "list[int]": whole, "list[list[int]]": datasets.List(whole)}
    return datasets.Features({"made": kinds[returned]})
