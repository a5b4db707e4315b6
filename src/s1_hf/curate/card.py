"""The dataset card of a curation."""

from __future__ import annotations

from typing import Any

from s1_hf._lazy import require
from s1_hf.curate.report import UNKNOWN_LICENSE

_METHODS = {
    "algorithm_1": "trusted rows, then domains with equal probability and in them rows with weight 2^(-rank) by length "
    "of trace: Algorithm 1 of the paper",
    "notebook": "Algorithm 1 of the paper, the last rows from domains weighted by benchmarks: the code that made s1K",
    "random": "rows at random, the paper's 1K-random",
    "diverse": "domains, then rows, with equal probability: the paper's 1K-diverse",
    "longest": "the longest traces: the paper's 1K-longest",
    "full": "all rows that quality leaves, as the paper's 59K-full (which kept those of poor quality, too)",
}


def make_card(report: dict[str, Any]) -> str:
    """Markdown with YAML on top, from a report."""
    rows = report["funnel"][-1]["rows"]
    header = {
        "license": _license(report["licenses"]),
        "task_categories": ["text-generation"],
        "tags": ["reasoning", "s1-hf"],
        "configs": [{"config_name": "default", "data_files": [{"split": "train", "path": "data/train-*"}]}],
    }
    lines = [
        "---",
        require("yaml", "data").safe_dump(header, sort_keys=False, allow_unicode=True).strip(),
        "---",
        "",
        f"# {rows:,} questions with reasoning traces",
        "",
        f"Selected from {report['funnel'][0]['rows']:,} rows by s1-hf {report['version']}, after "
        '"s1: Simple test-time scaling" (https://arxiv.org/abs/2501.19393): '
        f"{_METHODS[report['method']]}. Seed {report['seed']}; `recipe.yaml` has all options, `report.html` says "
        "what was dropped and why, `dropped.parquet` why each row.",
        "",
        "| after | rows |",
        "|---|--:|",
        *(f"| {step['stage']} | {step['rows']:,} |" for step in report["funnel"]),
        "",
        *(f"- {_text(note)}" for stage in report["stages"] for note in stage["notes"]),
        "",
        "## Columns",
        "",
        ", ".join(f"`{name.replace('`', '')}`" for name in report["columns"]) + ".",
        "`question`, `thinking_trajectories` and `attempt` are trained on; `pool_row` is the row's number in the pool.",
        "",
        "## Licences",
        "",
        "| licence | rows |",
        "|---|--:|",
        *(f"| {_text(name)} | {count:,} |" for name, count in report["licenses"].items()),
        "",
        "As a column of the pool or the recipe states them by source; nobody has checked them here.",
        "",
    ]
    return "\n".join(lines)


def _license(licenses: dict[str, int]) -> str:
    known = list(licenses)
    return (
        known[0]
        if len(known) == 1 and known[0] != UNKNOWN_LICENSE
        else "other"
        if UNKNOWN_LICENSE not in known
        else "unknown"
    )


def _text(text: str) -> str:
    """A pool's own words as plain Markdown on one line."""
    line = " ".join(str(text).split()).replace("&", "&amp;").replace("<", "&lt;")
    return "".join(f"\\{letter}" if letter in "\\`*_[]|!#" else letter for letter in line)
