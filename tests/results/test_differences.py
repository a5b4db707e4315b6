"""Settings are compared problem by problem, and only on the same problems."""

import pytest

pytest.importorskip("matplotlib")

from report_rows import a_curve, a_row

from s1_hf.reporting.tables import differences_table
from s1_hf.results.differences import MOST_COMPARED, compare, paired_differences
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


def settings_of(*names, problems=4, **changes):
    for number, name in enumerate(names):
        for p in range(problems):
            yield a_row(name, str(p), correct=p <= number, **changes)


def test_every_two_settings_are_compared_unless_they_are_too_many():
    rows = list(settings_of("no intervention", "b", "c"))
    found = paired_differences(rows, summarize_settings(rows))
    assert [(d.setting, d.reference, d.points) for d in found] == [
        ("b", "no intervention", 25), ("c", "no intervention", 50), ("c", "b", 25),
    ]  # fmt: skip
    many = list(settings_of(*map(str, range(MOST_COMPARED + 1))))
    assert len(paired_differences(many, summarize_settings(many))) == MOST_COMPARED


def test_two_settings_that_are_named_are_compared_as_in_the_report():
    rows = list(settings_of("no intervention", "1 ignore", "2 ignores"))
    (found,) = compare(rows, "2 ignores", "1 ignore")
    assert found in paired_differences(rows, summarize_settings(rows))
    assert (found.points, found.problems, found.samples) == (25, 4, 1)
    assert compare(rows, "1 ignore", "budget forcing, 2 ignores")[0].points == -25


def test_settings_are_compared_on_every_task_that_has_both():
    rows = [*settings_of("a", "b"), *settings_of("a", "b", task="u"), *settings_of("a", task="v")]
    assert [found.task for found in compare(rows, "b", "a")] == ["t", "u"]


def test_a_setting_of_several_methods_needs_its_method_and_a_method_may_stand_for_its_only_setting():
    rows = [*settings_of("a", "b"), *settings_of("a", method="votes")]
    with pytest.raises(ValueError, match="'a' has to name one setting, but names budget forcing, a; votes, a"):
        compare(rows, "a", "b")
    (found,) = compare(rows, "votes", "budget forcing, b")
    assert (found.method, found.reference) == ("votes", "budget forcing, b")


@pytest.mark.parametrize(
    ("one", "other", "said"),
    [
        ("2 ignore", "a", "no setting '2 ignore'. Did you mean '2 ignores'.* There are budget forcing, a; "),
        ("a", "a", "both are budget forcing, a"),
        ("a", "elsewhere", "have to have a task in common, but have none"),
        ("a", "other problems", "2 problems have answers only of the first, and 3 only of the second"),
        ("a", "samples", "from 1 to 2 samples"),
    ],
)
def test_what_cannot_be_compared_is_said(one, other, said):
    rows = [*settings_of("a", "2 ignores"), *settings_of("elsewhere", task="u")]
    rows += [a_row("other problems", p) for p in "23456"]
    rows += [a_row("samples", str(p), sample=s) for p in range(4) for s in range(2)]
    with pytest.raises(ValueError, match=said):
        compare(rows, one, other)


def test_one_problem_is_too_few():
    with pytest.raises(ValueError, match="takes two or more"):
        compare(list(settings_of("a", "b", problems=1)), "a", "b")
