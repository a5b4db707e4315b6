"""A row to change."""

from __future__ import annotations

from s1_hf.results.rows import Row


def a_row(**changes) -> Row:
    first = {"method": "budget forcing", "setting": "cap 8", "task": "t", "problem": "1", "sample": 0}
    return Row(**first | {"thinking_tokens": 8, "answer_tokens": 2, "correct": True, "ended": "cut"} | changes)
