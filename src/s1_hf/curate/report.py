"""The report on a curation, as JSON types."""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from s1_hf import __version__
from s1_hf.curate.stage import Drop, Stage, values
from s1_hf.curate.text import excerpt
from s1_hf.secrets import without_secret_values

if TYPE_CHECKING:
    from datasets import Dataset

    from s1_hf.curate.recipe import Recipe

PAPER = {"input": 59_029, "error": 54_116, "quality": 51_581, "difficulty": 24_496, "diversity": 1_000}
"""The paper's counts (section 2.2). 54,116 is without failed generations, which our quality stage drops."""

_EXAMPLES = 3  # per rule
UNKNOWN_LICENSE = "unknown"


def make_report(
    pool: Dataset,
    left: Dataset,
    domains: Sequence[str],
    selected: Dataset,
    stages: Sequence[Stage],
    recipe: Recipe,
) -> dict[str, Any]:
    """Report on a curation.

    Args:
        pool: all rows.
        left: the rows that the selection chose from.
        domains: the domains of those rows; empty if none were needed.
        selected: the result.

    Returns:
        `dict`: `version`, `seed`, `method`, `columns`, `recipe`; `funnel`, a list of `stage`, `rows` and `paper`
        (null, but for `paper_counts`);
        `stages`, a list of `stage`, `rows`, `notes` and `dropped` (rule -> `rows` and `examples`); `sources` and
        `domains`, name -> rows per step and mean length of the traces; `licenses`, name -> rows; `thinking_tokens`,
        the lengths of the traces in `left` and `selected`.
    """
    return {
        "version": __version__,
        "seed": recipe.seed,
        "method": recipe.diversity.method,
        "funnel": _funnel(len(pool), stages, PAPER if recipe.paper_counts else {}),
        "stages": [_stage(stage, pool) for stage in stages],
        "sources": _sources(pool, stages, selected),
        "domains": _domains(domains, selected),
        "licenses": _licenses(selected, recipe),
        "thinking_tokens": {"left": _lengths(left), "selected": _lengths(selected)},
        "columns": selected.column_names,
        "recipe": without_secret_values(recipe.as_dict()),
    }


def _funnel(total: int, stages: Sequence[Stage], paper: dict[str, int]) -> list[dict[str, Any]]:
    steps: list[dict[str, Any]] = [{"stage": "input", "rows": total, "paper": paper.get("input")}]
    for stage in stages:
        if stage.name == "quality":
            failed = sum(drop.rule == "error" for drop in stage.drops)
            steps.append(
                {"stage": "quality: no errors", "rows": steps[-1]["rows"] - failed, "paper": paper.get("error")}
            )
        steps.append({"stage": stage.name, "rows": len(stage.rows), "paper": paper.get(stage.name)})
    return steps


def _stage(stage: Stage, pool: Dataset) -> dict[str, Any]:
    by_rule: dict[str, list[Drop]] = {}
    for drop in stage.drops:
        by_rule.setdefault(drop.rule, []).append(drop)
    dropped = {
        rule: {"rows": len(drops), "examples": [_example(drop, pool) for drop in drops[:_EXAMPLES] if drop.detail]}
        for rule, drops in sorted(by_rule.items())
    }
    return {"stage": stage.name, "rows": len(stage.rows), "notes": list(stage.notes), "dropped": dropped}


def _example(drop: Drop, pool: Dataset) -> dict[str, Any]:
    said = drop.detail + (f", row {drop.of:,}" if drop.of is not None else "")
    return {"row": drop.row, "detail": said, "question": excerpt(pool[drop.row]["question"] or "")}


def _sources(pool: Dataset, stages: Sequence[Stage], selected: Dataset) -> dict[str, dict[str, Any]]:
    if "source_type" not in pool.column_names:
        return {}
    names = [name or "" for name in values(pool, "source_type")]
    counts = {"input": Counter(names)}
    counts |= {stage.name: Counter(names[row] for row in stage.rows) for stage in stages}
    means = _means(selected, "source_type")
    rows = {name: {step: count[name] for step, count in counts.items()} for name in counts["input"]}
    return {
        name: {**rows[name], "mean_thinking_tokens": means.get(name)}
        for name in sorted(rows, key=lambda name: (-rows[name]["diversity"], -rows[name]["input"], name))
    }


def _domains(left: Sequence[str], selected: Dataset) -> dict[str, dict[str, Any]]:
    if not left:
        return {}
    before, after, means = (
        Counter(left),
        Counter(values(selected, "domain")),
        _means(selected, "domain"),
    )
    return {
        name: {"left": before[name], "selected": after[name], "mean_thinking_tokens": means.get(name)}
        for name in sorted(before, key=lambda name: (-after[name], -before[name], name))
    }


def _means(selected: Dataset, column: str) -> dict[str, float]:
    """The mean length of the traces in tokens, for each value of a column."""
    if "thinking_tokens" not in selected.column_names:
        return {}
    lengths: dict[str, list[int]] = {}
    for name, length in zip(selected[column], selected["thinking_tokens"], strict=True):
        if length is not None:
            lengths.setdefault(name or "", []).append(length)
    return {name: round(statistics.fmean(values), 1) for name, values in lengths.items()}


def _licenses(selected: Dataset, recipe: Recipe) -> dict[str, int]:
    """Rows per licence: the row's own, or else the one that the recipe gives for its source."""
    own = selected["license"] if "license" in selected.column_names else [None] * len(selected)
    sources = selected["source_type"] if "source_type" in selected.column_names else [None] * len(selected)
    found = [
        stated
        or next((licence for text, licence in recipe.licenses.items() if text in (source or "")), UNKNOWN_LICENSE)
        for stated, source in zip(own, sources, strict=True)
    ]
    return dict(Counter(found).most_common())


def _lengths(dataset: Dataset) -> dict[str, Any] | None:
    if "thinking_tokens" not in dataset.column_names:
        return None
    lengths = sorted(length for length in values(dataset, "thinking_tokens") if length is not None)
    if not lengths:
        return None
    return {
        "rows": len(lengths),
        "total": sum(lengths),
        "mean": round(statistics.fmean(lengths), 1),
        "min": lengths[0],
        "median": statistics.median(lengths),
        "max": lengths[-1],
        "histogram": _histogram(lengths),
    }


def _histogram(lengths: list[int]) -> list[dict[str, int]]:
    """Rows by powers of two: each bin holds lengths from `from` up to, but not including, twice `from`."""
    counts = Counter(length.bit_length() for length in lengths)
    bits = range(min(counts), max(counts) + 1)
    return [{"from": 1 << (bit - 1) if bit else 0, "rows": counts[bit]} for bit in bits]
