"""The figure shows the numbers it is given."""

import pytest

pytest.importorskip("matplotlib")

from s1_hf import plots
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


def test_training_draws_loss_gradient_norm_and_learning_rate_over_steps():
    log = [{"step": 5 * i, "loss": 1 / i, "grad_norm": 2.0, "learning_rate": 0.1} for i in (1, 2, 3)]
    axes = plots.training([*log, {"step": 15, "train_loss": 0.5}])
    assert [list(ax.lines[0].get_xdata()) for ax in axes] == [[5, 10, 15]] * 3
    assert list(axes[0].lines[0].get_ydata()) == [1, 1 / 2, 1 / 3]
    assert [ax.get_ylabel() for ax in axes] == ["training loss", "gradient norm", "learning rate"]


def test_a_log_without_a_loss_is_refused():
    with pytest.raises(ValueError, match="has to hold at least one entry with a loss"):
        plots.training([{"train_loss": 0.5}])
