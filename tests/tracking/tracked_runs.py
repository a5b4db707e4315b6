"""Results to track; as a program, tracked once: `python tracked_runs.py TRACKER FOLDER`."""

from __future__ import annotations

import sys

from result_rows import a_row

from s1_hf.results.rows import Row
from s1_hf.tracking import Tracked

CONFIG = {"model": "m", "seed": 0, "engine": "http://me:password-1@host/v1", "hub_token": "hf_planted_planted"}


def rows() -> list[Row]:
    """A quarter right under one cap, three quarters under another."""
    found = []
    for cap, right in ((100, 1), (200, 3)):
        budget = {"thinking_tokens": cap, "max_thinking_tokens": cap, "num_ignores": 0}
        found += [a_row(setting=f"cap {cap}", problem=str(i), correct=i < right, **budget) for i in range(4)]
    return found


if __name__ == "__main__":
    with Tracked(sys.argv[1], sys.argv[2], CONFIG, print) as run:
        run.results(rows())
