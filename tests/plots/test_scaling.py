"""Accuracy over thinking tokens: points, intervals and labels are where the numbers say."""

from dataclasses import replace

import pytest

pytest.importorskip("matplotlib")

from drawn_axes import axes, intervals, legend, texts

from s1_hf.plots import ScalingPoint, scaling
from s1_hf.results.rows import Row
from s1_hf.results.summaries import summarize_settings

POINTS = [
    ScalingPoint(100, 54, 50, 58, "ignore", "×1"),
    ScalingPoint(16, 4, 3, 6, "cap", "16"),
    ScalingPoint(60, 30, 26, 34, "none", ""),
]


def test_points_intervals_and_labels_are_drawn_where_they_are():
    ax = scaling(POINTS, axes())
    line = ax.get_lines()[0]
    assert line.get_xdata().tolist() == [16, 60, 100] and line.get_ydata().tolist() == [4, 30, 54]
    assert intervals(ax) == {((16, 3), (16, 6)), ((60, 26), (60, 34)), ((100, 50), (100, 58))}
    assert texts(ax) == ["16", "×1"]
    assert ax.get_xscale() == "log" and [t.get_text() for t in ax.get_xticklabels()] == ["16", "32", "64"]


def test_the_legend_names_only_the_kinds_that_are_there():
    assert legend(scaling(POINTS[1:2], axes())) == ["limit on thinking"]


def test_settings_with_a_limit_and_ignores_are_drawn_but_not_connected():
    ax = scaling([*POINTS, ScalingPoint(30, 44, 40, 48, "both", "16, ×1")], axes())
    assert 30 not in ax.get_lines()[0].get_xdata() and ((30, 40), (30, 48)) in intervals(ax)


@pytest.mark.parametrize(
    ("setting", "limit", "ignored", "kind", "label"),
    [
        ("cap 500", 500, 0, "cap", "500"),
        ("cap 500, 2 ignores", 500, 1.5, "both", "500, ×2"),
        ("1 ignore", None, 1, "ignore", "×1"),
        ("no intervention", None, 0, "none", ""),
        ("short prompt", None, 0, "none", "short prompt"),
    ],
)
def test_the_kind_of_a_point_is_what_was_done_to_the_setting(setting, limit, ignored, kind, label):
    row = Row("m", setting, "t", "1", 0, 9, 1, True, "natural", ends_ignored=2, max_thinking_tokens=limit)
    (summary,) = summarize_settings([row])
    point = ScalingPoint.of(replace(summary, ends_ignored=ignored))
    assert (point.kind, point.label, point.thinking_tokens, point.accuracy) == (kind, label, 9, 100)


def test_no_points_are_refused():
    with pytest.raises(ValueError, match="at least one setting"):
        scaling([], axes())


@pytest.mark.parametrize("kind", ["ignores", None, ["cap"]])
def test_a_point_of_an_unknown_kind_is_refused_when_it_is_built(kind):
    with pytest.raises(ValueError, match="`kind` has to be one of 'cap', 'none', 'ignore', 'both', but is"):
        ScalingPoint(100, 54, 50, 58, kind, "")
