"""Columns are renamed, checked, and repaired where reading a csv file changed their type."""

import pytest

pytest.importorskip("datasets")

from curation_pools import pool
from datasets import Value

from s1_hf.curate import (
    Columns,
    as_pool,
)


@pytest.mark.parametrize(
    ("columns", "said"),
    [
        ({"question": "prompt"}, "`columns.question` is 'prompt', which the pool does not have"),
        ({"question": "attempt"}, "`columns.question` is 'attempt', but the pool also has a column 'question'"),
        ({"ended": "end"}, "`columns.ended` is 'end', which the pool does not have"),
    ],
)
def test_missing_columns_are_refused(columns, said):
    with pytest.raises(ValueError, match=said):
        as_pool(pool({}), Columns(**columns))


@pytest.mark.parametrize(
    ("columns", "said"),
    [
        ({"question": 1.5}, "'question' has to hold texts, but holds .*float64"),
        ({"thinking_trajectories": [1]}, "'thinking_trajectories' has to hold texts, but holds List.*int64"),
        ({"thinking_tokens": 1.5}, "'thinking_tokens' has to hold whole numbers, but holds .*float64"),
        ({"source_type": ["a"]}, "'source_type' has to hold texts"),
    ],
)
def test_columns_of_wrong_types_are_refused(columns, said):
    with pytest.raises(ValueError, match=said):
        as_pool(pool(columns))


def test_answers_that_were_read_as_numbers_become_texts():
    assert as_pool(pool({"attempt": 2, "source_type": 7}))[0]["attempt"] == "2"


def test_blank_cells_of_a_csv_file_that_were_read_as_floats_become_nulls():
    rows = pool({"error": None, "thinking_tokens": None}, {"error": None, "thinking_tokens": 2.0})
    rows = as_pool(rows.cast_column("error", Value("float64")))
    assert rows.to_dict()["error"] == [None, None] and rows.to_dict()["thinking_tokens"] == [None, 2]


@pytest.mark.parametrize("column", ["error", "thinking_tokens"])
def test_nans_are_not_blank_cells(column):
    with pytest.raises(ValueError, match=f"'{column}' has to hold"):
        as_pool(pool({column: float("nan")}))
