"""Accuracy over training examples, and the course of a training run."""

import pytest

pytest.importorskip("matplotlib")

from drawn_axes import axes, intervals, texts

from s1_hf.plots import TrainedModel, sample_efficiency, training


def test_models_are_points_over_their_training_examples_with_intervals_where_there_are_any():
    ax = sample_efficiency([TrainedModel("s1", 1000, 93, 90, 95), TrainedModel("LIMO", 817, 94.8)], axes())
    assert [tuple(c.lines[0].get_xydata()[0]) for c in ax.containers] == [(1000, 93), (817, 94.8)]
    assert ((1000, 90), (1000, 95)) in intervals(ax) and texts(ax) == ["s1", "LIMO"] and ax.get_xscale() == "log"


@pytest.mark.parametrize("wrong", [{"examples": 0}, {"accuracy": 0.93e3}, {"low": 3}])
def test_a_trained_model_that_cannot_be_drawn_is_refused(wrong):
    with pytest.raises(ValueError, match="A trained model has to have at least 1 example"):
        TrainedModel(**{"name": "s1", "examples": 1000, "accuracy": 93} | wrong)


def test_training_draws_loss_gradient_norm_and_learning_rate_over_steps():
    log = [{"step": 5 * i, "loss": 1 / i, "grad_norm": 2.0, "learning_rate": 0.1} for i in (1, 2, 3)]
    panels = training([*log, {"step": 15, "train_loss": 0.5}])
    assert [list(ax.lines[0].get_xdata()) for ax in panels] == [[5, 10, 15]] * 3
    assert list(panels[0].lines[0].get_ydata()) == [1, 1 / 2, 1 / 3]
    assert [ax.get_ylabel() for ax in panels] == ["training loss", "gradient norm", "learning rate"]


def test_a_log_without_a_loss_is_refused():
    with pytest.raises(ValueError, match="has to contain at least one entry with a loss"):
        training([{"train_loss": 0.5}])
