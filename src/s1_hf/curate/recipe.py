"""A curation recipe: one YAML file whose sections are the options of the stages."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, is_dataclass, replace
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints

from s1_hf.curate.columns import Columns
from s1_hf.curate.decontamination import Decontamination
from s1_hf.curate.difficulty import Difficulty
from s1_hf.curate.domains import Domains
from s1_hf.curate.duplicates import Duplicates
from s1_hf.curate.quality import Quality
from s1_hf.curate.selection import Diversity
from s1_hf.finding import RECIPES, find
from s1_hf.records import read_yaml


@dataclass(frozen=True)
class Recipe:
    """All options of a curation.

    Args:
        seed (`int`, defaults to 0): random seed for the selection and for clusters.
        tokenizer (`str`, *optional*): a folder, a name on the Hub or `embedded`, to measure traces with. By default,
            the column `thinking_tokens` is used.
        columns ([`Columns`]): the names of the pool's columns.
        decontamination ([`Decontamination`]), quality ([`Quality`]), duplicates ([`Duplicates`]), difficulty
            ([`Difficulty`]), domains ([`Domains`]), diversity ([`Diversity`]): the options of the stages.
        licenses (`dict[str, str]`): a text in `source_type` -> the licence of such rows; the first match counts.
        paper_counts (`bool`, defaults to `False`): put the paper's counts, which are of its own pool, beside yours in
            the report.
    """

    seed: int = 0
    tokenizer: str | None = None
    columns: Columns = field(default_factory=Columns)
    decontamination: Decontamination = field(default_factory=Decontamination)
    quality: Quality = field(default_factory=Quality)
    duplicates: Duplicates = field(default_factory=Duplicates)
    difficulty: Difficulty = field(default_factory=Difficulty)
    domains: Domains = field(default_factory=Domains)
    diversity: Diversity = field(default_factory=Diversity)
    licenses: dict[str, str] = field(default_factory=dict)
    paper_counts: bool = False

    def __post_init__(self) -> None:
        if self.seed < 0:
            raise ValueError(f"`seed` has to be 0 or more, but is {self.seed}.")

    def as_dict(self) -> dict[str, Any]:
        """The recipe as JSON types, from which [`build`] makes the same recipe again."""
        return _plain(asdict(self))

    def changed(self, **values: Any) -> Recipe:
        """A copy with another `seed`, other `columns` or `paper_counts`, or another `compare` of `decontamination`, or
        `method` or `n` of `diversity`; a value of `None` changes nothing."""
        given = {name: value for name, value in values.items() if value is not None}
        own = {name: given.pop(name) for name in ("seed", "paper_counts", "columns") if name in given}
        compare = given.pop("compare", self.decontamination.compare)
        return replace(
            self,
            decontamination=replace(self.decontamination, compare=compare),
            diversity=replace(self.diversity, **given),
            **own,
        )


def read_recipe(source: str | Path) -> Recipe:
    """Read a recipe: a YAML file, or the name of a shipped one (`curate`, `curate_embedded`).

    Raises:
        ValueError: the recipe does not exist or is not a YAML mapping; a field is unknown, has the wrong type or is out
            of range.

    Example:

    ```python
    >>> from s1_hf.curate import read_recipe
    >>> read_recipe("curate").diversity.n
    1000

    ```
    """
    path = find(source, RECIPES, "recipe", "curate*")
    given = read_yaml(path)
    try:
        recipe: Recipe = build(Recipe, {} if given is None else given, "")
        return recipe
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None


def build(kind: Any, given: object, where: str) -> Any:
    """Build the dataclass `kind` from a mapping; `where` is its place in the recipe, for error messages."""
    if not isinstance(given, Mapping):
        raise ValueError(f"`{where or 'the recipe'}` has to be a mapping of fields to values, but is {given!r:.60}.")
    known = [item.name for item in fields(kind)]
    unknown = [str(name) for name in given if name not in known]
    if unknown:
        hints = ", ".join(_hint(name, known) for name in unknown)
        raise ValueError(f"Unknown fields in `{where or 'the recipe'}`: {hints}. The fields are {', '.join(known)}.")
    types = get_type_hints(kind)
    values = {name: _value(types[name], value, f"{where}.{name}".strip(".")) for name, value in given.items()}
    try:
        return kind(**values)
    except TypeError as error:
        raise ValueError(f"`{where}` lacks a field: {error}.") from None
    except ValueError as error:
        raise ValueError(f"in `{where}`: {error}" if where else str(error)) from None


def _value(wanted: Any, value: Any, where: str) -> Any:
    """`value` converted to `wanted`, one of the types used in the options."""
    if get_origin(wanted) in (Union, UnionType):
        if value is None and NoneType in get_args(wanted):
            return None
        wanted = next(kind for kind in get_args(wanted) if kind is not NoneType)
    if is_dataclass(wanted):
        return build(wanted, {} if value is None else value, where)
    if get_origin(wanted) is tuple:
        _require(isinstance(value, (list, tuple)), where, "a list", value)
        return tuple(_value(get_args(wanted)[0], item, f"{where}[{place}]") for place, item in enumerate(value))
    if get_origin(wanted) is dict:
        texts = isinstance(value, dict) and all(isinstance(text, str) for pair in value.items() for text in pair)
        _require(texts, where, "a mapping of texts to texts", value)
        return dict(value)
    return _scalar(wanted, value, where)


def _scalar(wanted: Any, value: Any, where: str) -> Any:
    names = {int: "a whole number", float: "a number", str: "a text", bool: "true or false"}
    fits = isinstance(value, (int, float) if wanted is float else wanted) and (wanted is bool) == (type(value) is bool)
    _require(fits, where, names[wanted], value)
    return wanted(value)


def _require(kept: bool, where: str, rule: str, value: object) -> None:
    if not kept:
        raise ValueError(f"`{where}` has to be {rule}, but is {value!r:.60}.")


def _hint(name: str, known: list[str]) -> str:
    close = difflib.get_close_matches(name, known, 1)
    return f"`{name}`" + (f" (did you mean `{close[0]}`?)" if close else "")


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _plain(item) for name, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, (list, tuple)) else value
