"""What all figures share: axes that hold their points, labels that do not overlap, names drawn literally."""

from io import BytesIO
from xml.etree import ElementTree

import pytest

pytest.importorskip("matplotlib")

from drawn_axes import axes, rows

from s1_hf.plots import (
    Curve,
    ScalingPoint,
    TrainedModel,
    compare,
    ended,
    lengths,
    performance,
    sample_efficiency,
    scaling,
)
from s1_hf.plots.style import forget_own_settings
from s1_hf.results.summaries import MethodSummary

HOSTILE = "$\\frac{a$ \x00\ud800\uffff\n</text><script>&amp;--> " + 80 * "x"


def svg(ax):
    file = BytesIO()
    ax.figure.savefig(file, format="svg")
    return file.getvalue().decode()


def test_no_thinking_at_all_is_drawn_at_the_edge_and_labelled():
    ax = scaling([ScalingPoint(0, 10, 5, 15, "cap", "0"), ScalingPoint(8, 20, 10, 30, "cap", "8")], axes())
    assert ax.get_lines()[0].get_xdata().tolist() == [1, 8]
    assert ax.get_xticklabels()[0].get_text() == "≤1" and ax.get_xticks()[0] == 1


@pytest.mark.parametrize(("low", "high", "least"), [(0, 0, 20), (100, 100, 20), (88, 96, 20), (2, 90, 88)])
def test_the_axis_of_accuracy_holds_all_intervals_and_at_least_twenty_points(low, high, least):
    ax = scaling([ScalingPoint(5, (low + high) / 2, low, high, "cap", "")], axes())
    bottom, top = ax.get_ylim()
    assert bottom < low and top > high and min(top, 100) - max(bottom, 0) >= least / 2 and top - bottom >= least / 2
    assert all(0 <= tick <= 100 for tick in ax.get_yticks())


def test_labels_of_settings_close_to_each_other_do_not_overlap():
    waits = [ScalingPoint(3500 + 60 * i, 59, 52, 66, "ignore", f"×{i}") for i in range(1, 5)]
    ax = scaling([ScalingPoint(n, 40, 33, 47, "cap", str(n)) for n in (500, 1000, 2000, 3300)] + waits)
    ax.figure.draw_without_rendering()
    boxes = [text.get_window_extent() for text in ax.texts]
    assert len(boxes) == 8
    assert not [(i, j) for i in range(8) for j in range(i) if boxes[i].overlaps(boxes[j])]


@pytest.mark.parametrize(
    "draw",
    [
        lambda: scaling([ScalingPoint(5, 5, 4, 6, "cap", HOSTILE)]),
        lambda: compare([Curve(HOSTILE, [(5, 5, 4, 6)])]),
        lambda: performance([MethodSummary(HOSTILE, "t", None, None, 5, 1)]),
        lambda: ended({HOSTILE: {"cut": 1}}),
        lambda: lengths({HOSTILE: [1]}),
        lambda: sample_efficiency([TrainedModel(HOSTILE, 1000, 93)]),
    ],
)
def test_a_hostile_name_breaks_no_figure_and_adds_nothing_to_its_svg(draw):
    tags = {element.tag.rpartition("}")[2] for element in ElementTree.fromstring(svg(draw())).iter()}
    assert "script" not in tags and tags <= {
        "svg", "metadata", "RDF", "Work", "type", "date", "format", "creator", "Agent", "title",
        "defs", "style", "g", "path", "use", "clipPath", "rect", "pattern", "text",
    }  # fmt: skip


def test_dollars_in_names_are_not_mathematics():
    ax = ended({"$x$ costs \\$5": {"cut": 1}})
    ax.figure.draw_without_rendering()
    assert ax.get_yticklabels()[0]._preprocess_math(rows(ax)[0]) == ("$x$ costs \\$5", False)


def test_a_matplotlibrc_of_the_working_folder_decides_about_no_command():
    import matplotlib

    with matplotlib.rc_context({"savefig.facecolor": "red", "text.usetex": True}):
        forget_own_settings()
        assert (matplotlib.rcParams["savefig.facecolor"], matplotlib.rcParams["text.usetex"]) == ("auto", False)
