"""The Python blocks of the pages, as programs that run on the toy in the place of large models."""

from __future__ import annotations

import re
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", ROOT / "recipes" / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
NEEDS = {
    "load_s1k": "datasets",
    "load_rows": "pyarrow",
    "task_of": "datasets",
    "problems_of": "datasets",
    "run_methods": "math_verify",
    "evaluate(": "math_verify",
    "import pandas": "pandas",
    "matplotlib": "matplotlib",
}
"""What a block says, and the library without which it cannot run."""

_BLOCK = re.compile(r"(?:<!-- ([\w ]+): ([^\n]*) -->\n)?```python\n(.*?)```", re.DOTALL)


class Block(NamedTuple):
    """A block's code, and what a comment above it says: `<!-- compiled only: why -->`, `<!-- needs: what -->`."""

    code: str
    mark: str
    said: str

    @property
    def runs(self) -> bool:
        """Whether it is run, and what it needs is installed."""
        lacking = [library for text, library in NEEDS.items() if text in self.code and find_spec(library) is None]
        return self.mark != "compiled only" and not lacking


def blocks_of(page: Path) -> Iterator[Block]:
    """The blocks of a page, in order."""
    for found in _BLOCK.finditer(page.read_text(encoding="utf-8")):
        yield Block(found[3], found[1] or "", found[2] or "")
