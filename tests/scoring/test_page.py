"""docs/scoring.md says what is there, and its example runs."""

from __future__ import annotations

import re
from dataclasses import fields
from pathlib import Path

from s1_hf.scoring import ScoringCost
from s1_hf.scoring.detection import NAMED

PAGE = (Path(__file__).parents[2] / "docs" / "scoring.md").read_text(encoding="utf-8")


def test_the_page_has_all_conventions_and_all_costs():
    assert re.findall(r"^\| `([a-z-]+)` \| (?:architecture|its name|token|sequence)", PAGE, re.MULTILINE) == list(NAMED)
    assert all(f"| `{field.name}` |" in PAGE for field in fields(ScoringCost))


def test_the_example_runs(capsys):
    exec(re.search(r"```python\n(.*?)```", PAGE, re.DOTALL)[1], {})
    assert re.fullmatch(r"\[\d\.\d+, \d\.\d+\] \d+\n", capsys.readouterr().out)
