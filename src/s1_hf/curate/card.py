"""The dataset card of a curated data set."""

from __future__ import annotations

from typing import Any

from s1_hf._lazy import require
from s1_hf.curate.report import UNKNOWN_LICENSE
from s1_hf.visible import in_markdown

_METHODS = {
    "algorithm_1": "trusted rows first, then a uniformly drawn domain and a row from it with weight 2^(-rank) by trace "
    "length (Algorithm 1 of the paper)",
    "notebook": "Algorithm 1 of the paper, with domains weighted by benchmarks for the last rows (the code that made "
    "s1K)",
    "random": "rows drawn uniformly (the paper's 1K-random)",
    "diverse": "a uniformly drawn domain, then a uniformly drawn row (the paper's 1K-diverse)",
    "longest": "the longest traces (the paper's 1K-longest)",
    "full": "all rows that pass the quality stage (like the paper's 59K-full, which also kept rows of poor quality)",
}


def make_card(report: dict[str, Any]) -> str:
    """Markdown with a YAML header, made from a report."""
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
        f"Selected from {report['funnel'][0]['rows']:,} rows by s1-hf {report['version']}, following "
        '"s1: Simple test-time scaling" (https://arxiv.org/abs/2501.19393): '
        f"{_METHODS[report['method']]}. Seed {report['seed']}. `recipe.yaml` holds all options, `report.html` "
        "summarises what was dropped and why, and `dropped.parquet` lists every dropped row.",
        "",
        "| after | rows |",
        "|---|--:|",
        *(f"| {step['stage']} | {step['rows']:,} |" for step in report["funnel"]),
        "",
        *(f"- {in_markdown(note)}" for stage in report["stages"] for note in stage["notes"]),
        "",
        "## Columns",
        "",
        ", ".join(f"`{name.replace('`', '')}`" for name in report["columns"]) + ".",
        "Training uses `question`, `thinking_trajectories` and `attempt`; `pool_row` is the row's number in the pool.",
        "",
        "## Licences",
        "",
        "| licence | rows |",
        "|---|--:|",
        *(f"| {in_markdown(name)} | {count:,} |" for name, count in report["licenses"].items()),
        "",
        "As stated by the pool's licence column, or by the recipe for each source; not checked.",
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
