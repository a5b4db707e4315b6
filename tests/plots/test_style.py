"""What all figures share: axes that hold their points, colours and labels of one's own, names drawn literally."""

from io import BytesIO
from xml.etree import ElementTree

import pytest

pytest.importorskip("matplotlib")

import matplotlib
from drawn_axes import axes, legend, rows, texts
from matplotlib.colors import to_hex

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
from s1_hf.plots.style import BLUE, SKY, VERMILION, forget_own_settings, new_figure, no_glyph_warnings
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


CURVES = [Curve("voting", [(800, 60, 50, 70), (200, 40, 30, 50)]), Curve("_forcing", [(100, 20, 10, 30)])]
POINTS = [ScalingPoint(50, 50, 40, 60, "cap", "50"), ScalingPoint(99, 60, 50, 70, "none", "")]
BEST = [MethodSummary(name, "t", 100, 15.2, 56.7, 8) for name in ("budget forcing", "majority voting")]
WAYS = {"cap": {"cut": 3, "natural": 1, "looped": 2, "handed_over": 1, "unfinished": 2, "not_found": 1}}


@pytest.mark.parametrize(
    "draw",
    [
        lambda *ax: scaling(POINTS, *ax),
        lambda *ax: compare([Curve(f"a long name {n}", [(5, 5, 4, 6)]) for n in range(12)], *ax),
        lambda *ax: ended(WAYS, *ax),
        lambda *ax: performance(BEST, *ax),
    ],
)
@pytest.mark.parametrize("is_ours", [True, False])
def test_a_title_stands_above_legends_and_headings(draw, is_ours):
    """And all of it is in the figure, whether the title is set before or after."""
    ax = draw() if is_ours else new_figure(4, 4).add_subplot()
    ax.set_title("title", fontsize=8)
    ax = ax if is_ours else draw(ax)
    ax.figure.draw_without_rendering()
    below = [ax.get_legend().get_window_extent()] if ax.get_legend() else [t.get_window_extent() for t in ax.texts]
    title = ax.title.get_window_extent()
    assert title.y0 >= max(box.y1 for box in below) and title.y1 <= ax.figure.bbox.y1
    assert min(box.x0 for box in below) >= 0


def test_the_axes_keep_their_size_however_high_the_legend_is():
    heights = []
    for count in (1, 12):
        ax = compare([Curve(f"a long name {n}", [(5, 5, 4, 6)]) for n in range(count)])
        ax.figure.draw_without_rendering()
        heights.append(ax.bbox.height)
    assert heights[0] == pytest.approx(heights[1], rel=0.05)


def drawn(ax):
    """The colours of its marks."""
    return [to_hex(container.lines[0].get_color()) for container in ax.containers]


def test_colors_are_given_by_name_or_in_turn():
    assert drawn(compare(CURVES, axes(), colors=["red", (0, 1, 0)])) == ["#ff0000", "#00ff00"]
    assert drawn(compare(CURVES, axes(), colors={"_forcing": "red"})) == [BLUE.lower(), "#ff0000"]
    assert drawn(compare(CURVES, axes(), colors="red")) == ["#ff0000"] * 2
    assert drawn(scaling(POINTS, axes(), colors={"none": "red"})) == [BLUE.lower(), "#ff0000"]
    bars = performance(BEST, axes(), colors={"majority voting": "red"}).patches
    assert [to_hex(bar.get_facecolor()) for bar in bars] == [SKY.lower(), "#ff0000"]


def test_labels_are_given_by_name_or_in_order_and_drawn_whole():
    long = "a label of one's own that is longer than names are"
    assert legend(compare(CURVES, axes(), labels=["one", long])) == ["one", long]
    assert legend(scaling(POINTS, axes(), labels={"none": "untouched"})) == ["limit on thinking", "untouched"]
    ax = ended({"a": {"cut": 1}, "b": {"cut": 1}}, axes(), labels={"cut": "at the cap", "b": "second"})
    assert legend(ax) == ["at the cap"] and rows(ax) == ["a", "second"]
    assert rows(lengths({"a": [1], "b": [2]}, axes(), labels=["first", "second"])) == ["first", "second"]
    assert texts(sample_efficiency([TrainedModel("s1", 1000, 93)], axes(), labels=["ours"])) == ["ours"]


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"colors": {"forcing": "red"}}, r"`colors` has to be for .* but has \['forcing'\]"),
        ({"labels": {"other": "x"}}, "`labels` has to be for"),
        ({"labels": ["one"]}, "`labels` has to contain one label for each of"),
        ({"labels": "one"}, "`labels` has to contain one label for each of"),
        ({"colors": []}, "at least one colour"),
        ({"colors": ["no colour"]}, "no colour"),
    ],
)
def test_what_is_given_for_nothing_is_refused(wrong, said):
    with pytest.raises(ValueError, match=said):
        compare(CURVES, axes(), **wrong)


def test_a_cycle_that_somebody_chose_is_respected_and_the_default_one_is_replaced():
    assert drawn(compare(CURVES, axes())) == [BLUE.lower(), VERMILION.lower()]
    own = axes()
    own.set_prop_cycle(color=["red", "lime"])
    assert drawn(compare(CURVES, own)) == ["#ff0000", "#00ff00"]
    with matplotlib.rc_context({"axes.prop_cycle": matplotlib.cycler(color=["#1f77b4", "lime"])}):
        assert drawn(compare(CURVES)) == drawn(scaling(POINTS)) == ["#1f77b4", "#00ff00"]
        assert drawn(compare(CURVES, colors={"voting": "red"})) == ["#ff0000", "#00ff00"]
        assert {to_hex(bar.get_facecolor()) for bar in performance(BEST).patches} == {"#1f77b4"}


def test_a_dark_style_has_nothing_black():
    with matplotlib.rc_context({"text.color": "white", "axes.labelcolor": "white", "axes.facecolor": "black"}):
        every = [compare(CURVES), scaling(POINTS), performance(BEST), lengths({"a": [9]}), ended(WAYS)]
    for ax in every:
        written = [*ax.texts, *(ax.get_legend().get_texts() if ax.get_legend() else [])]
        colors = [*(t.get_color() for t in written), *(line.get_color() for line in ax.get_lines())]
        colors += [bar.get_edgecolor() for bar in ax.patches]
        assert "#000000ff" not in [to_hex(color, keep_alpha=True) for color in colors]


def test_a_name_that_begins_with_an_underscore_stands_in_the_legend():
    assert legend(compare(CURVES)) == ["voting", " _forcing"]


@pytest.mark.parametrize("wide", ["W", "測", "㋿"])
def test_a_name_of_wide_characters_takes_no_more_room_than_another(wide):
    with no_glyph_warnings():
        ax = performance([MethodSummary(wide * 99, "t", 100, 15.2, 56.7, 8)])
        ax.figure.draw_without_rendering()
    assert ax.bbox.width > 30 and ax.get_yticklabels()[0].get_window_extent().x0 >= 0


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
    with matplotlib.rc_context({"savefig.facecolor": "red", "text.usetex": True}):
        forget_own_settings()
        assert (matplotlib.rcParams["savefig.facecolor"], matplotlib.rcParams["text.usetex"]) == ("auto", False)


def test_commands_may_be_given_colors_which_become_the_cycle():
    with matplotlib.rc_context():
        forget_own_settings(["red", "lime"])
        assert drawn(compare(CURVES)) == ["#ff0000", "#00ff00"]
