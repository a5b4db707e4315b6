"""Settings are compared problem by problem, and only on the same problems."""

import pytest

pytest.importorskip("matplotlib")

from report_rows import a_curve, a_row

from s1_hf.reporting.differences import paired_differences
from s1_hf.reporting.tables import differences_table
from s1_hf.results.summaries import summarize_settings


def test_differences_are_paired_by_problem_and_sample_whatever_the_order_of_rows():
    rows = list(a_curve([(True, False)] * 6 + [(True, True)] * 2))
    (difference,) = paired_differences(rows[:2] + rows[:1:-1], summarize_settings(rows))
    assert (difference.setting, difference.reference, difference.points) == ("cap 50", "no intervention", -75)
    assert difference.p == 2 * 0.5**6 and -100 <= difference.low < -75 < difference.high < 0
    assert differences_table([difference]).rows[0][-1] == "0.031"


def test_settings_on_other_problems_are_not_compared():
    rows = [a_row(problem=p) for p in "12"] + [a_row("cap 50", p) for p in "13"]
    assert paired_differences(rows, summarize_settings(rows)) == []
