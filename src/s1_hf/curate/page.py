"""The report as a self-contained HTML page."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from jinja2 import Environment, StrictUndefined

_TEMPLATE = Path(__file__).with_name("page.html.jinja")


def make_page(report: dict[str, Any]) -> str:
    """The HTML of the page. Everything from the pool is escaped, so that no script in it can run."""
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    environment.filters["n"] = lambda value: "" if value is None else f"{value:,}"
    return environment.from_string(_TEMPLATE.read_text(encoding="utf-8")).render(
        report=report,
        beside_paper=any(step["paper"] is not None for step in report["funnel"]),
        widest=max(step["rows"] for step in report["funnel"]) or 1,
        steps=[step["stage"] for step in report["funnel"] if step["stage"] != "quality: no errors"],
    )
