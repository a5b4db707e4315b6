"""What a stage keeps, and columns computed in batches."""

from __future__ import annotations

import pytest

pytest.importorskip("datasets")

from curation_pools import pool

from s1_hf.curate import Drop
from s1_hf.curate.stage import column, stage, values


def lengths(questions: list[str]) -> list[int]:
    return [len(question) for question in questions]


def test_rows_that_are_not_dropped_stay_in_order():
    found = stage("quality", 4, [Drop(2, "empty"), Drop(0, "error")], ["a note"])
    assert found.rows == (1, 3) and [drop.row for drop in found.drops] == [2, 0] and found.notes == ("a note",)


def test_a_column_is_read_as_a_list():
    assert values(pool({"attempt": "1"}, {"attempt": "2"}), "attempt") == ["1", "2"]


@pytest.mark.parametrize("num_proc", [None, 1, 9])
def test_a_computed_column_has_a_value_per_row_whatever_the_processes(num_proc):
    rows = pool({"question": "a"}, {"question": "abc"})
    assert list(column(rows, lengths, ["question"], num_proc)) == [1, 3]


def test_a_column_of_no_rows_is_empty():
    assert column(pool({}).select([]), lengths, ["question"]) == []
