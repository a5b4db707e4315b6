"""The figure shows the numbers it is given."""

import pytest

pytest.importorskip("matplotlib")

from s1_hf.plots import ScalingPoint, scaling

POINTS = [
    ScalingPoint(100, 54, 50, 58, "ignore", "x1"),
    ScalingPoint(16, 4, 3, 6, "cap", "16"),
    ScalingPoint(60, 30, 26, 34, "none", ""),
]


def axes():
    from matplotlib.figure import Figure

    return Figure().add_subplot()


def test_points_intervals_and_labels_are_drawn_where_they_are():
    ax = scaling(POINTS, axes())
    line = ax.get_lines()[0]
    assert line.get_xdata().tolist() == [16, 60, 100] and line.get_ydata().tolist() == [4, 30, 54]
    bars = {tuple(map(tuple, path.vertices)) for c in ax.containers for path in c.lines[2][0].get_paths()}
    assert bars == {((16, 3), (16, 6)), ((60, 26), (60, 34)), ((100, 50), (100, 58))}
    assert [t.get_text() for t in ax.texts] == ["16", "", "x1"]
    assert ax.get_xscale() == "log" and ax.get_ylim() == (0, 105)


def test_the_legend_names_only_the_kinds_that_are_there():
    legend = scaling(POINTS[1:2], axes()).get_legend()
    assert [t.get_text() for t in legend.get_texts()] == ["thinking cut at a cap"]


def test_no_points_are_refused():
    with pytest.raises(ValueError, match="at least one setting"):
        scaling([], axes())
