"""The sentence that a report begins with: true, with numbers and intervals."""

import pytest

pytest.importorskip("matplotlib")

from report_rows import a_curve, a_row

from s1_hf.reporting.headline import headlines
from s1_hf.results.differences import paired_differences
from s1_hf.results.summaries import summarize_settings


def said(rows):
    rows = list(rows)
    settings = summarize_settings(rows)
    return headlines(settings, paired_differences(rows, settings))


def test_the_best_setting_is_named_with_its_interval_and_how_far_it_is_from_the_reference():
    rows = list(a_curve([(False, True)] * 8 + [(True, True)] * 2))
    (difference,) = paired_differences(rows, summarize_settings(rows))
    assert said(rows) == [
        "Of 2 settings on t, “cap 50” was right most often: on 100.0 % of 10 problems (95 % interval 72.2 to 100.0), "
        f"with 50 thinking tokens on average; that is 80.0 points more than “no intervention” (95 % interval "
        f"{difference.low:.1f} to {difference.high:.1f})."
    ]


def test_a_difference_that_may_be_chance_is_not_called_one():
    (sentence,) = said(a_curve([(False, True), (True, False), (False, True), (True, True)]))
    assert "“cap 50” was right most often: on 75.0 % of 4 problems" in sentence
    assert "; whether that is more than “no intervention”, these problems do not show (+25.0 points, 95 %" in sentence


def test_the_reference_is_compared_with_nothing_when_it_is_best():
    (sentence,) = said(a_curve([(True, False)] * 5))
    assert sentence.endswith("with 100 thinking tokens on average.") and "no intervention" in sentence


def test_of_settings_that_are_equally_good_the_cheapest_is_named():
    (sentence,) = said(a_curve([(True, True)] * 5))
    assert "“cap 50” was right most often" in sentence and "do not show (+0.0 points" in sentence


def test_one_setting_several_samples_methods_and_tasks_are_said_as_such():
    rows = [a_row(problem=p, sample=s, correct=p == "1") for p in "1234" for s in (0, 1)]
    (sentence,) = said(rows)
    assert sentence.startswith("On t, “no intervention” was right on 25.0 % of the 2 answers to each of 4 problems (")
    several = said([*rows, a_row(method="voting", setting="4 votes", task="u"), a_row(task="u", correct=False)])
    assert len(several) == 2 and several[1].startswith("Of 2 settings on u, “voting, 4 votes” was right most often")
    assert said([a_row(task="")])[0].startswith("“no intervention” was right on 100.0 % of 1 problem (95 %")
