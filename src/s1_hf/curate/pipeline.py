"""Run all stages in order."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from s1_hf._lazy import require
from s1_hf.curate.columns import Names, as_pool
from s1_hf.curate.decontamination import decontaminate
from s1_hf.curate.difficulty import (
    check_booleans,
    keep_difficult,
    load_tokenizer,
    solved_columns,
    with_thinking_tokens,
)
from s1_hf.curate.domains import assign_domains
from s1_hf.curate.duplicates import deduplicate
from s1_hf.curate.quality import check_quality
from s1_hf.curate.report import make_report
from s1_hf.curate.selection import AFTER_DIFFICULTY, BY_DOMAIN, BY_LENGTH, select
from s1_hf.curate.stage import Drop, Stage, values
from s1_hf.curate.text import trace_text
from s1_hf.data.replies import FILLED, holds_both

if TYPE_CHECKING:
    from datasets import Dataset

    from s1_hf.curate.recipe import Recipe


_LOOKED_AT = 1_000  # rows


@dataclass(frozen=True)
class Curation:
    """A curated data set, and how it was made.

    Args:
        dataset (`Dataset`): the selected rows in the order of the pool, with all columns of the pool under the names of
            s1K, and `domain` (`str`, if domains were needed) and `pool_row` (`int`).
        stages (`tuple[Stage, ...]`): what each stage kept and dropped, by row number in the pool.
        report (`dict`): see [`s1_hf.curate.report.make_report`]; JSON types only.
    """

    dataset: Dataset
    stages: tuple[Stage, ...]
    report: dict[str, Any]

    @property
    def drops(self) -> list[tuple[str, Drop]]:
        """Every row that is not in the data set, with the stage that dropped it, in the order of the pool."""
        every = [(stage.name, drop) for stage in self.stages for drop in stage.drops]
        return sorted(every, key=lambda pair: pair[1].row)


class _Rows:
    """The remaining rows, and their numbers in the pool."""

    def __init__(self, dataset: Dataset) -> None:
        self.dataset, self.numbers, self.stages = dataset, tuple(range(len(dataset))), list[Stage]()

    def apply(self, stage: Stage) -> None:
        numbers = self.numbers
        self.numbers = tuple(numbers[row] for row in stage.rows)
        drops = tuple(
            replace(drop, row=numbers[drop.row], of=None if drop.of is None else numbers[drop.of])
            for drop in stage.drops
        )
        self.stages.append(replace(stage, rows=self.numbers, drops=drops))
        if stage.drops:
            self.dataset = self.dataset.select(stage.rows)


def curate(
    pool: Dataset,
    recipe: Recipe,
    *,
    num_proc: int | None = None,
    on_stage: Callable[[Stage], None] | None = None,
) -> Curation:
    """Build a data set like s1K from a pool of questions with traces.

    The stages are [`decontaminate`], [`check_quality`], [`deduplicate`], [`keep_difficult`] and [`select`].
    Deduplication comes after quality, so that a failed row never replaces a good one with the same question. The
    methods `random`, `diverse`, `longest` and `full` skip the difficulty stage.

    Args:
        pool: its columns are described in [`Columns`].
        recipe ([`Recipe`]): see [`read_recipe`].
        num_proc (`int`, *optional*): number of processes. The result does not depend on it.
        on_stage (*optional*): called after each stage.

    Raises:
        ValueError: columns are missing or have wrong types (all of them are reported, before any stage runs), or a
            stage cannot do what the recipe asks for, for example select more rows than are left.
        ConnectionError: a test set or an endpoint cannot be reached.

    Example:

    ```python
    >>> from datasets import Dataset, disable_progress_bars
    >>> from s1_hf.curate import Diversity, Recipe, curate
    >>> disable_progress_bars()
    >>> rows = [{"question": f"{n}?", "thinking_trajectories": ["Hm."], "attempt": "2"} for n in range(9)]
    >>> curation = curate(Dataset.from_list(rows), Recipe(diversity=Diversity(method="random", n=3)))
    >>> len(curation.dataset), [drop.rule for _, drop in curation.drops]
    (3, ['not_drawn', 'not_drawn', 'not_drawn', 'not_drawn', 'not_drawn', 'not_drawn'])

    ```
    """
    names = Names(pool, recipe.columns)
    dataset = as_pool(pool, recipe.columns, kept=_named(recipe))
    check(dataset, recipe, names)
    rows = _Rows(dataset)

    def done(stage: Stage) -> None:
        rows.apply(stage)
        if on_stage:
            on_stage(rows.stages[-1])

    done(decontaminate(rows.dataset, recipe.decontamination, num_proc=num_proc))
    if recipe.tokenizer and recipe.quality.min_thinking_tokens:
        rows.dataset = with_thinking_tokens(rows.dataset, recipe.tokenizer)
    checked = check_quality(rows.dataset, recipe.quality, num_proc=num_proc)
    offered = _offer(rows.dataset, checked, names)
    done(replace(checked, notes=(*checked.notes, *offered)))
    done(deduplicate(rows.dataset, recipe.duplicates, num_proc=num_proc))
    if recipe.diversity.method in AFTER_DIFFICULTY:
        done(keep_difficult(rows.dataset, recipe.difficulty))
    if recipe.tokenizer and not recipe.quality.min_thinking_tokens:
        rows.dataset = with_thinking_tokens(rows.dataset, recipe.tokenizer)
    domains, how = _domains(rows.dataset, recipe)
    left = rows.dataset
    try:
        _check_lengths(left, recipe, names)
        stage = select(left, recipe.diversity, domains=domains, seed=recipe.seed)
    except ValueError as error:
        raise ValueError("\n".join([str(error), _funnel(rows.stages), *offered])) from None
    done(replace(stage, notes=(*stage.notes, *how)))
    selected = _finished(rows, [domains[row] for row in stage.rows] if domains else [])
    report = make_report(dataset, left, domains, selected, rows.stages, recipe)
    return Curation(selected, tuple(rows.stages), report)


def check(dataset: Dataset, recipe: Recipe, names: Names) -> None:
    """Check before any work that the pool has what the recipe needs.

    Raises:
        ValueError: it does not; the message lists everything that is wrong.
    """
    faults = _missing(dataset, recipe)
    ranked = recipe.diversity.method in AFTER_DIFFICULTY
    for booleans in (solved_columns(dataset, recipe.difficulty), _correct(recipe)) if ranked else ():
        try:
            check_booleans(dataset, list(dict.fromkeys(name for name in booleans if name in dataset.column_names)))
        except ValueError as error:
            faults.append(str(error))
    if recipe.tokenizer:
        try:
            load_tokenizer(recipe.tokenizer)
        except ValueError as error:
            faults.append(str(error))
    if not len(dataset):
        faults.append("The pool has no rows.")
    if faults:
        raise ValueError("\n".join([*faults, names.listed]))


def _correct(recipe: Recipe) -> list[str]:
    return [rule.correct_column for rule in recipe.diversity.trusted if rule.correct_column]


def _named(recipe: Recipe) -> list[str]:
    """The pool's columns that the recipe names elsewhere than in `columns`."""
    return [recipe.domains.column, *(recipe.difficulty.solved or ()), *_correct(recipe)]


def _check_lengths(dataset: Dataset, recipe: Recipe, names: Names) -> None:
    if recipe.diversity.method not in BY_LENGTH:
        return
    unknown = sum(length is None for length in values(dataset, "thinking_tokens"))
    if unknown:
        raise ValueError(
            f"`{names.own('thinking_tokens')}` is null in {unknown:,} of the rows left. Set a `tokenizer`, and all "
            "traces are measured."
        )


def _missing(dataset: Dataset, recipe: Recipe) -> list[str]:
    diversity, present = recipe.diversity, {*dataset.column_names}
    needed = {name: f"`diversity` (method {diversity.method})" for name in diversity.needed}
    if diversity.method in AFTER_DIFFICULTY:
        needed |= {name: "`difficulty.solved`" for name in recipe.difficulty.solved or ()}
    if diversity.method in BY_DOMAIN and recipe.domains.by == "column":
        needed[recipe.domains.column] = "`domains`: name another column, or use `by: clusters`"
    if recipe.quality.min_thinking_tokens:
        needed["thinking_tokens"] = "`quality.min_thinking_tokens`"
    if recipe.tokenizer:
        present.add("thinking_tokens")
    elif "thinking_tokens" in needed:
        needed["thinking_tokens"] += "; or set a `tokenizer`"
    return [
        f"The pool lacks the column {name!r}, needed by {by}." for name, by in needed.items() if name not in present
    ]


def _offer(dataset: Dataset, checked: Stage, names: Names) -> list[str]:
    """What to do about rows that were dropped because one of their texts holds thinking and answer; or nothing."""
    if not names.given.keys().isdisjoint(FILLED):
        return []
    rows = dataset.select([drop.row for drop in checked.drops if drop.rule == "delimiter"][:_LOOKED_AT])
    texts = {name: [trace_text(text) for text in values(rows, name)] for name in ("attempt", "thinking_trajectories")}
    seen = {names.own(name): sum(map(holds_both, held)) for name, held in texts.items()}
    return [
        f"{count:,} of {len(rows):,} rows with a delimiter hold thinking and answer in one text, {own!r}: "
        f"`columns: {{reply: {own}}}` takes it apart"
        for own, count in seen.items()
        if count
    ]


def _funnel(stages: Sequence[Stage]) -> str:
    """Why so few rows are left, in words: `quality left 7 (dropped: image 3)`."""
    parts = []
    for stage in stages:
        rules = Counter(drop.rule for drop in stage.drops).most_common()
        dropped = ", ".join(f"{rule} {count:,}" for rule, count in rules)
        parts.append(f"{stage.name} left {len(stage.rows):,}" + (f" (dropped: {dropped})" if dropped else ""))
    return f"Of the pool, {'; '.join(parts)}."


def _domains(dataset: Dataset, recipe: Recipe) -> tuple[Sequence[str], tuple[str, ...]]:
    if recipe.diversity.method not in BY_DOMAIN:
        return (), ()
    domains, how = assign_domains(dataset, recipe.domains, seed=recipe.seed)
    return domains, (how,)


def _finished(rows: _Rows, domains: Sequence[str]) -> Dataset:
    """The rows as in s1K, with traces as lists, plus their domains and their numbers in the pool."""
    dataset = rows.dataset
    if getattr(dataset.features["thinking_trajectories"], "dtype", None):  # of texts, not of lists
        text = dataset.features["thinking_trajectories"]
        features = dataset.features.copy()
        features["thinking_trajectories"] = require("datasets", "data").List(text)
        dataset = dataset.map(_as_list, input_columns="thinking_trajectories", features=features)
    if domains:
        dataset = _with_column(dataset, "domain", domains)
    return _with_column(dataset, "pool_row", rows.numbers)


def _as_list(trace: str | None) -> dict[str, list[str]]:
    return {"thinking_trajectories": [trace or ""]}


def _with_column(dataset: Dataset, name: str, values: Sequence[Any]) -> Dataset:
    """Add a column, replacing an existing one."""
    if name in dataset.column_names:
        dataset = dataset.remove_columns(name)
    return dataset.add_column(name, list(values))
