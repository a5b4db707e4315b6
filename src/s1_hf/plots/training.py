"""Fine-tuning: training curves, and accuracy over the number of examples."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from s1_hf._lazy import require
from s1_hf.files import replacing
from s1_hf.plots import style
from s1_hf.plots.labels import Mark, write_names

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# What the trainer logs, as figure 9 of the paper shows it.
_LOGGED = {"loss": "training loss", "grad_norm": "gradient norm", "learning_rate": "learning rate"}


@dataclass(frozen=True)
class TrainedModel:
    """A model, how many examples it was fine-tuned on, its accuracy in percent, and optionally an interval."""

    name: str
    examples: int
    accuracy: float
    low: float | None = None
    high: float | None = None

    def __post_init__(self) -> None:
        low, high = (self.accuracy if end is None else end for end in (self.low, self.high))
        ordered = 0 <= low <= self.accuracy <= high <= 100
        if not (self.examples >= 1 and ordered and (self.low is None) == (self.high is None)):
            raise ValueError(
                f"A trained model has to have at least 1 example, an accuracy from 0 to 100, and both ends of an "
                f"interval around it or neither, but is {self}. Leave out models that were not fine-tuned."
            )


def training(
    log_history: Sequence[Mapping[str, float]],
    axes: Sequence[Axes] | None = None,
    *,
    colors: style.Colors = None,
    labels: style.Labels = None,
) -> Sequence[Axes]:
    """Loss, gradient norm and learning rate over optimizer steps, as in figure 9 of the paper.

    Args:
        log_history (`Sequence[Mapping[str, float]]`): the one in the trainer's state (`trainer_state.json`).
        axes (`Sequence[matplotlib.axes.Axes]`, *optional*): three, where to draw; by default a new figure.
        colors, labels (*optional*): for `"loss"`, `"grad_norm"` and `"learning_rate"`, in this order or by name.

    Raises:
        ModuleNotFoundError: matplotlib is not installed. ValueError: no loss was logged.
    """
    logged = [entry for entry in log_history if "loss" in entry]
    if not logged:
        raise ValueError(
            "`log_history` has to contain at least one entry with a loss: log more often (`logging_steps`)."
        )
    if axes is None:
        axes = style.new_figure(2, 2 * style.WIDTH).subplots(1, 3)
    names = list(_LOGGED)
    shades = style.colors_of(axes[0], names, colors, [style.BLUE])
    texts = style.labels_of(names, labels, list(_LOGGED.values()))
    for ax, name, color, text in zip(axes, names, shades, texts, strict=True):
        values = [(entry["step"], entry[name]) for entry in logged if name in entry]
        marker = "o" if len(values) == 1 else None
        ax.plot([x for x, _ in values], [y for _, y in values], color=color, linewidth=1.2, marker=marker)
        ax.set_ylim(bottom=0)
        style.finish(ax, x="optimizer step", y=text)
    axes[2].ticklabel_format(axis="y", scilimits=(0, 0), useMathText=True)
    axes[2].yaxis.get_offset_text().set_fontsize(style.SMALL)
    return axes


def save_training(log_history: Sequence[Mapping[str, float]], path: Path) -> None:
    """Draw [`training`] into a PNG file."""
    figure = style.new_figure(2.6, 9)
    training(log_history, figure.subplots(1, 3))
    with replacing(path) as part:
        figure.savefig(part, format="png", dpi=150)


def sample_efficiency(
    models: Sequence[TrainedModel], ax: Axes | None = None, *, colors: style.Colors = None, labels: style.Labels = None
) -> Axes:
    """Accuracy over the number of training examples, as in figure 2 of the paper.

    Args:
        models (`Sequence[TrainedModel]`): each drawn as a point with its name, if there is room for it, and
            its interval, if it has one.
        ax (`matplotlib.axes.Axes`, *optional*): where to draw; by default a new figure, as large as the names need.
        colors, labels (*optional*): one per model, in their order or by name.

    Returns:
        `matplotlib.axes.Axes`: with a log10 axis of examples.

    Raises:
        ModuleNotFoundError: matplotlib is not installed. ValueError: there are no models.

    Example:

    MATH500 in the paper's table 1:

    ```python
    >>> from s1_hf.plots import TrainedModel, sample_efficiency
    >>> ax = sample_efficiency([TrainedModel("s1", 1000, 93.0), TrainedModel("r1-distill", 800_000, 94.3)])

    ```
    """
    if not models:
        raise ValueError("`models` has to contain at least one model, but is empty.")
    is_ours, ax = ax is None, style.axes_of(ax)
    names = [model.name for model in models]
    texts = style.labels_of(names, labels, [style.label(name, 30) for name in names])
    spans = [(m.accuracy if m.low is None else m.low, m.accuracy if m.high is None else m.high) for m in models]
    style.accuracy_axis(ax, [low for low, _ in spans], [high for _, high in spans])
    ax.set_xscale("log")
    ticker = require("matplotlib.ticker", "plot")
    ax.xaxis.set_major_formatter(lambda n, _: style.short_number(n))
    ax.xaxis.set_minor_formatter(ticker.NullFormatter())
    ax.set_xlim(min(m.examples for m in models) / 4, max(m.examples for m in models) * 4)
    for model, (low, high), look in zip(models, spans, style.looks(style.colors_of(ax, names, colors)), strict=True):
        style.points_with_intervals(ax, [model.examples], [model.accuracy], [low], [high], **look)
    style.finish(ax, x="training examples (log scale)", y="accuracy (%)")
    marks = [
        Mark(model.examples, model.accuracy, *span, text, style.ink(ax))
        for model, span, text in zip(models, spans, texts, strict=True)
    ]
    write_names(ax, marks, grows=is_ours, beside=True)
    return ax
