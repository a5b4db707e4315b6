"""Figures: numbers and axes in, axes out; nothing is shown or saved here. Needs the `plot` extra."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from s1_hf._lazy import require

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# Okabe-Ito colours: told apart by colour-blind readers, and in grey by their markers.
_STYLES: dict[str, dict[str, Any]] = {
    "cap": {"color": "#0072B2", "marker": "o", "label": "thinking cut at a cap"},
    "none": {"color": "#000000", "marker": "D", "label": "no intervention"},
    "ignore": {"color": "#D55E00", "marker": "s", "label": 'ends ignored ("Wait")'},
}


@dataclass(frozen=True)
class ScalingPoint:
    """One setting: mean thinking tokens, accuracy and its interval in percent, and what was done."""

    thinking_tokens: float
    accuracy: float
    low: float
    high: float
    kind: Literal["cap", "none", "ignore"]
    label: str


def scaling(points: Sequence[ScalingPoint], ax: Axes | None = None) -> Axes:
    """Accuracy over thinking tokens, as in figure 1 of the paper (https://arxiv.org/abs/2501.19393).

    Args:
        points (`Sequence[ScalingPoint]`): drawn with their intervals, connected in the order of thinking tokens.
        ax (`matplotlib.axes.Axes`, *optional*): a new figure's, if absent.

    Returns:
        `matplotlib.axes.Axes`: with a log2 axis of thinking tokens.

    Raises:
        ModuleNotFoundError: matplotlib is not installed. ValueError: there are no points.
    """
    pyplot = require("matplotlib.pyplot", "plot")
    if not points:
        raise ValueError("`points` has to hold at least one setting, but is empty.")
    axes: Axes = pyplot.subplots(figsize=(5.2, 3.6), layout="constrained")[1] if ax is None else ax
    ordered = sorted(points, key=lambda p: p.thinking_tokens)
    axes.plot([p.thinking_tokens for p in ordered], [p.accuracy for p in ordered], color="0.7", linewidth=1, zorder=1)
    for kind, style in _STYLES.items():
        own = [p for p in ordered if p.kind == kind]
        if own:
            axes.errorbar(
                [p.thinking_tokens for p in own],
                [p.accuracy for p in own],
                yerr=[[p.accuracy - p.low for p in own], [p.high - p.accuracy for p in own]],
                linestyle="none",
                capsize=2,
                markersize=5,
                **style,
            )
        for p in own:
            axes.annotate(
                p.label, (p.thinking_tokens, p.high), (0, 3), textcoords="offset points", fontsize=8, ha="center"
            )
    axes.set_xscale("log", base=2)
    axes.xaxis.set_major_formatter(lambda x, _: f"{x:g}")
    axes.set_xlabel("mean thinking tokens (log scale)")
    axes.set_ylabel("accuracy (%)")
    axes.set_ylim(0, 105)
    axes.grid(alpha=0.3)
    axes.legend(loc="upper left", fontsize=8, frameon=False)
    return axes


# What the trainer logs, as figure 9 of the paper shows it.
_TRAINING = {"loss": "training loss", "grad_norm": "gradient norm", "learning_rate": "learning rate"}


def training(log_history: Sequence[Mapping[str, float]], axes: Sequence[Axes] | None = None) -> Sequence[Axes]:
    """Loss, gradient norm and learning rate over optimizer steps, as in figure 9 of the paper.

    Args:
        log_history (`Sequence[Mapping[str, float]]`): that of the trainer's state (`trainer_state.json`).
        axes (`Sequence[matplotlib.axes.Axes]`, *optional*): three; those of a new figure, if absent.

    Raises:
        ModuleNotFoundError: matplotlib is not installed. ValueError: nothing has been logged.
    """
    pyplot = require("matplotlib.pyplot", "plot")
    logged = [entry for entry in log_history if "loss" in entry]
    if not logged:
        raise ValueError("`log_history` has to hold at least one entry with a loss: log more often (`logging_steps`).")
    if axes is None:
        axes = pyplot.subplots(1, 3, figsize=(9, 2.6), layout="constrained")[1]
    for ax, (name, label) in zip(axes, _TRAINING.items(), strict=True):
        ax.plot([entry["step"] for entry in logged], [entry[name] for entry in logged], color="#0072B2", linewidth=1.2)
        ax.set(xlabel="optimizer step", ylabel=label)
        ax.grid(alpha=0.3)
    axes[0].set_ylim(bottom=0)
    axes[1].set_ylim(bottom=0)
    return axes
