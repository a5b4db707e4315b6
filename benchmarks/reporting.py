"""What every benchmark says beside its figures: the machine, tables, a result file, its part of the README."""

from __future__ import annotations

import json
import os
import platform
import sys
from collections.abc import Callable, Sequence
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import torch
import transformers

import s1_hf

HERE = Path(__file__).resolve().parent
RESULTS = HERE / "results"
Row = dict[str, Any]


def publish(
    name: str,
    run: Callable[[bool], tuple[list[Row], list[str]]],
    tables: Callable[[list[Row]], list[str]],
    *,
    quick: bool,
    results: Path | None,
) -> None:
    """Run one benchmark and print its tables; write them and its rows as well if there is a folder for `results`."""
    where = machine()
    rows, notes = run(quick)
    where["load_after"] = _load()
    text = "\n\n".join([f"{in_words(where)}.", *tables(rows), *notes])
    print(f"== {name}\n\n{text}\n", flush=True)
    if results is not None:
        results.mkdir(parents=True, exist_ok=True)
        result = {"name": name, "machine": where, "notes": notes, "rows": rows}
        (results / f"{name}.json").write_text(json.dumps(result, indent=1, ensure_ascii=False) + "\n")
    if results == RESULTS:
        _quote(name, text, HERE / "README.md")


def machine() -> dict[str, Any]:
    """Where and when a benchmark runs; a load is the mean number of busy threads in the minute before."""
    threads = [f"OMP_NUM_THREADS={os.environ['OMP_NUM_THREADS']}"] if "OMP_NUM_THREADS" in os.environ else []
    return {
        "cpu": _cpu(),
        "cores": os.cpu_count(),
        "torch_threads": torch.get_num_threads(),
        "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
        "load_before": _load(),
        "versions": {
            "python": platform.python_version(),
            "torch": torch.__version__,
            "transformers": transformers.__version__,
            "s1-hf": s1_hf.__version__,
        },
        "date": datetime.now(timezone.utc).strftime("%Y-%m-%d %H:%M UTC"),
        "command": " ".join([*threads, "python", os.path.relpath(sys.argv[0], HERE.parent), *sys.argv[1:]]),
    }


def in_words(where: dict[str, Any]) -> str:
    """One sentence that says on which machine, when and how figures came about."""
    versions = ", ".join(f"{name} {version}" for name, version in where["versions"].items())
    gpu = f", {where['gpu']}" if where["gpu"] else ""
    loads = f"load before and after: {where['load_before']} and {where['load_after']}"
    return (
        f"{where['cpu']}{gpu}, {where['cores']} cores, torch threads: {where['torch_threads']}, {loads}; {versions}; "
        f"{where['date']}; `{where['command']}`"
    )


def table(rows: Sequence[Row]) -> str:
    """Rows with the same keys as a Markdown table, numbers on the right."""
    cells = [list(rows[0]), *([_cell(value) for value in row.values()] for row in rows)]
    right = [not isinstance(value, str) or value[:1].isdigit() for value in rows[0].values()]
    widths = [max(3, *(len(line[i]) for line in cells)) for i in range(len(right))]
    rule = ["-" * (width - 1) + (":" if r else "-") for width, r in zip(widths, right, strict=True)]
    columns = list(zip(widths, right, strict=True))
    lines = [
        [text.rjust(width) if r else text.ljust(width) for text, (width, r) in zip(line, columns, strict=True)]
        for line in cells
    ]
    return "\n".join(f"| {' | '.join(line)} |" for line in [lines[0], rule, *lines[1:]])


def _quote(name: str, text: str, readme: Path) -> None:
    """Put `text` between the marks `<!-- name -->` and `<!-- /name -->` of the README."""
    begin, end = f"<!-- {name} -->\n", f"<!-- /{name} -->"
    before, rest = readme.read_text().split(begin)
    readme.write_text(f"{before}{begin}{text}\n{end}{rest.split(end)[1]}")


def _cpu() -> str:
    info = Path("/proc/cpuinfo")
    fields = [line.split(":", 1) for line in info.read_text().splitlines() if ":" in line] if info.exists() else []
    known = {key.strip(): value.strip() for key, value in reversed(fields)}
    if "model name" not in known:
        return platform.processor() or platform.machine()
    return f"{known['model name']} (family {known.get('cpu family')}, model {known.get('model')})"


def _load() -> float | None:
    return round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else None


def _cell(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"
    return f"{value:,}" if isinstance(value, int) else str(value)
