"""The tables contain the numbers of the rows."""

import pytest

pytest.importorskip("matplotlib")

from report_rows import a_curve, a_row, written

from hostile import read
from s1_hf.reporting.tables import methods_table, settings_table
from s1_hf.results.summaries import summarize_methods, summarize_settings


def test_the_tables_have_the_numbers_of_the_rows(tmp_path):
    rows = list(a_curve([(True, False), (True, True), (False, False), (True, False)]))
    settings = summarize_settings(rows)
    table = settings_table(settings)
    assert table.columns == (
        "method",
        "setting",
        "n",
        "thinking",
        "all tokens",
        "acc. %",
        "95 %",
        "ignored",
        "natural",
        "cut",
    )
    assert table.rows[0] == [
        "budget forcing",
        "no intervention",
        "4",
        "100",
        "102",
        "75.0",
        "30.1 to 95.4",
        "0.00",
        "100",
        "0",
    ]
    assert methods_table(summarize_methods(settings)).rows == [["budget forcing", "2", "100.0", "+50.0", "75.0"]]
    text = "".join(read(written(rows, tmp_path)[1]).text)
    assert "30.1 to 95.4" in text and "+50.0" in text


def test_the_task_is_a_column_where_there_are_several():
    rows = [a_row(), a_row(task="u")]
    assert [row[0] for row in settings_table(summarize_settings(rows)).rows] == ["t", "u"]


def test_thinking_that_was_handed_over_has_its_column():
    table = settings_table(summarize_settings([a_row(), a_row(problem="q", ended="handed_over")]))
    assert [row[table.columns.index("handed over")] for row in table.rows] == ["50"]
