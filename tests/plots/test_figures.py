"""The figures show the numbers they are given, whatever the names."""

from dataclasses import replace
from io import BytesIO
from xml.etree import ElementTree

import pytest

pytest.importorskip("matplotlib")

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
    training,
)
from s1_hf.results.rows import Row
from s1_hf.results.summaries import MethodSummary, summarize_settings

POINTS = [
    ScalingPoint(100, 54, 50, 58, "ignore", "×1"),
    ScalingPoint(16, 4, 3, 6, "cap", "16"),
    ScalingPoint(60, 30, 26, 34, "none", ""),
]
HOSTILE = "$\\frac{a$ \x00\ud800\uffff\n</text><script>&amp;--> " + 80 * "x"


def axes():
    from matplotlib.figure import Figure

    return Figure().add_subplot()


def intervals(ax):
    return {tuple(map(tuple, path.vertices)) for c in ax.containers for path in c.lines[2][0].get_paths()}


def texts(ax):
    return [t.get_text() for t in ax.texts]


def legend(ax):
    return [t.get_text() for t in ax.get_legend().get_texts()]


def rows(ax):
    return [t.get_text() for t in ax.get_yticklabels()]


def svg(ax):
    file = BytesIO()
    ax.figure.savefig(file, format="svg")
    return file.getvalue().decode()


# -- scaling --------------------------------------------------------------------------------------------------------


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


def test_no_thinking_at_all_is_drawn_at_the_edge_and_said_to_be_there():
    ax = scaling([ScalingPoint(0, 10, 5, 15, "cap", "0"), ScalingPoint(8, 20, 10, 30, "cap", "8")], axes())
    assert ax.get_lines()[0].get_xdata().tolist() == [1, 8]
    assert ax.get_xticklabels()[0].get_text() == "≤1" and ax.get_xticks()[0] == 1


@pytest.mark.parametrize(("low", "high", "least"), [(0, 0, 20), (100, 100, 20), (88, 96, 20), (2, 90, 88)])
def test_the_axis_of_accuracy_holds_all_intervals_and_at_least_twenty_points(low, high, least):
    ax = scaling([ScalingPoint(5, (low + high) / 2, low, high, "cap", "")], axes())
    bottom, top = ax.get_ylim()
    assert bottom < low and top > high and min(top, 100) - max(bottom, 0) >= least / 2 and top - bottom >= least / 2
    assert all(0 <= tick <= 100 for tick in ax.get_yticks())


def test_labels_of_settings_that_are_close_to_each_other_do_not_overlap():
    waits = [ScalingPoint(3500 + 60 * i, 59, 52, 66, "ignore", f"×{i}") for i in range(1, 5)]
    ax = scaling([ScalingPoint(n, 40, 33, 47, "cap", str(n)) for n in (500, 1000, 2000, 3300)] + waits)
    ax.figure.draw_without_rendering()
    boxes = [text.get_window_extent() for text in ax.texts]
    assert len(boxes) == 8
    assert not [(i, j) for i in range(8) for j in range(i) if boxes[i].overlaps(boxes[j])]


def test_no_points_are_refused():
    with pytest.raises(ValueError, match="at least one setting"):
        scaling([], axes())


# -- methods --------------------------------------------------------------------------------------------------------


def test_methods_are_lines_over_the_same_tokens_in_the_order_of_tokens():
    ax = compare(
        [Curve("voting", [(800, 60, 50, 70), (200, 40, 30, 50)]), Curve("forcing", [(100, 20, 10, 30)])], axes()
    )
    lines = [container.lines[0] for container in ax.containers]
    assert [list(line.get_xdata()) for line in lines] == [[200, 800], [100]]
    assert [list(line.get_ydata()) for line in lines] == [[40, 60], [20]]
    assert ((800, 50), (800, 70)) in intervals(ax) and legend(ax) == ["voting", "forcing"]
    assert len({(line.get_color(), line.get_marker()) for line in lines}) == 2


def test_bars_of_methods_have_control_and_scaling_written_beside_them():
    best = MethodSummary("budget forcing", "t", 100, 15.2, 56.7, 8)
    ax = performance([best, MethodSummary("voting", "t", None, None, 60, 1)], axes())
    assert [bar.get_width() for bar in ax.patches] == [56.7, 60] and rows(ax) == ["budget forcing", "voting"]
    assert texts(ax) == ["56.7", "60.0", "100", "+15.2", "n/a", "n/a", "Control\n%", "Scaling\npp/×2"]


@pytest.mark.parametrize(("draw", "nothing"), [(compare, []), (compare, [Curve("a", [])]), (performance, [])])
def test_no_methods_are_refused(draw, nothing):
    with pytest.raises(ValueError, match="at least one"):
        draw(nothing, axes())


# -- thinking -------------------------------------------------------------------------------------------------------


def test_bars_of_how_thinking_ended_are_stacked_to_a_hundred_percent():
    ax = ended({"cap": {"cut": 3, "natural": 1}, "none": {"natural": 5}}, axes())
    natural, cut = ax.containers
    assert [bar.get_width() for bar in natural] == [25, 100] and [bar.get_width() for bar in cut] == [75, 0]
    assert [bar.get_x() for bar in cut] == [25, 100]
    assert rows(ax) == ["cap", "none"] and legend(ax) == ["natural", "cut"]
    assert {bar.get_hatch() for bar in natural} != {bar.get_hatch() for bar in cut}


def test_a_way_to_end_that_does_not_exist_is_refused():
    with pytest.raises(ValueError, match="counted by natural, cut"):
        ended({"cap": {"timeout": 3}}, axes())


def test_histograms_count_answers_in_quarters_of_a_doubling_and_mark_the_median():
    ax = lengths({"one": [64, 64, 64, 100], "two": [128]}, axes())
    outline = ax.patches[1].get_data()
    assert outline.edges[0] == 64 and outline.edges[4] == 128
    assert (outline.baseline - outline.values).tolist() == pytest.approx([0.85, 0, 0.85 / 3, 0, 0])
    assert [list(line.get_xdata()) for line in ax.lines] == [[64, 64], [128, 128]] and rows(ax) == ["one", "two"]


# -- training -------------------------------------------------------------------------------------------------------


def test_models_are_points_over_their_training_examples_with_intervals_where_there_are_any():
    ax = sample_efficiency([TrainedModel("s1", 1000, 93, 90, 95), TrainedModel("LIMO", 817, 94.8)], axes())
    assert [tuple(c.lines[0].get_xydata()[0]) for c in ax.containers] == [(1000, 93), (817, 94.8)]
    assert ((1000, 90), (1000, 95)) in intervals(ax) and texts(ax) == ["s1", "LIMO"] and ax.get_xscale() == "log"


@pytest.mark.parametrize("wrong", [{"examples": 0}, {"accuracy": 0.93e3}, {"low": 3}])
def test_a_trained_model_that_cannot_be_drawn_is_refused(wrong):
    with pytest.raises(ValueError, match="A trained model has to have 1 example or more"):
        TrainedModel(**{"name": "s1", "examples": 1000, "accuracy": 93} | wrong)


def test_training_draws_loss_gradient_norm_and_learning_rate_over_steps():
    log = [{"step": 5 * i, "loss": 1 / i, "grad_norm": 2.0, "learning_rate": 0.1} for i in (1, 2, 3)]
    panels = training([*log, {"step": 15, "train_loss": 0.5}])
    assert [list(ax.lines[0].get_xdata()) for ax in panels] == [[5, 10, 15]] * 3
    assert list(panels[0].lines[0].get_ydata()) == [1, 1 / 2, 1 / 3]
    assert [ax.get_ylabel() for ax in panels] == ["training loss", "gradient norm", "learning rate"]


def test_a_log_without_a_loss_is_refused():
    with pytest.raises(ValueError, match="has to hold at least one entry with a loss"):
        training([{"train_loss": 0.5}])


# -- names ----------------------------------------------------------------------------------------------------------


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


def test_dollars_in_names_are_no_mathematics():
    ax = ended({"$x$ costs \\$5": {"cut": 1}})
    ax.figure.draw_without_rendering()
    assert ax.get_yticklabels()[0]._preprocess_math(rows(ax)[0]) == ("$x$ costs \\$5", False)
