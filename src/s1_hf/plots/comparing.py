"""Methods side by side."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from s1_hf.plots import style

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from s1_hf.results.summaries import MethodSummary


_COLUMNS = (155, 200)  # right edges of Control and Scaling, to the right of the bars, in axis units


@dataclass(frozen=True)
class Curve:
    """A method's settings as (mean tokens, accuracy, low, high), in any order; accuracies in percent."""

    name: str
    points: Sequence[tuple[float, float, float, float]]


def compare(curves: Sequence[Curve], ax: Axes | None = None, *, tokens: str = "tokens generated") -> Axes:
    """Accuracy over tokens, one line per method: sequential and parallel scaling at equal cost (figures 4, 6 and 7).

    Args:
        curves (`Sequence[Curve]`): one per method, with intervals; points are connected in order of tokens.
        ax (`matplotlib.axes.Axes`, *optional*): where to draw; by default a new figure.
        tokens (`str`, defaults to `"tokens generated"`): what the curves count, as a mean per answer; to compare
            methods that draw several samples, count everything they generate.

    Returns:
        `matplotlib.axes.Axes`: with a log2 axis of tokens.

    Raises:
        ModuleNotFoundError: matplotlib is not installed. ValueError: there are no curves, or one has no points.

    Example:

    ```python
    >>> from s1_hf.plots import Curve, compare
    >>> sequential = Curve("budget forcing", [(500, 38, 31, 45), (4649, 60, 53, 66)])
    >>> ax = compare([sequential, Curve("majority voting", [(1747, 51, 44, 58), (4646, 60, 53, 66)])])

    ```
    """
    if not curves or not all(curve.points for curve in curves):
        raise ValueError("`curves` has to contain at least one curve, each with at least one point.")
    every = [point for curve in curves for point in curve.points]
    ax = style.axes_of(ax, style.HEIGHT - 0.3 + style.legend_height([_name(c.name) for c in curves]))
    style.accuracy_axis(ax, [low for *_, low, _ in every], [high for *_, high in every])
    style.token_axis(ax, [x for x, *_ in every])
    for curve, look in zip(curves, style.looks(len(curves)), strict=True):
        points = sorted((max(x, 1.0), *rest) for x, *rest in curve.points)
        x, y, low, high = zip(*points, strict=True)
        error = [
            [max(0.0, a - b) for a, b in zip(y, low, strict=True)],
            [max(0.0, b - a) for a, b in zip(y, high, strict=True)],
        ]
        ax.errorbar(
            x,
            y,
            yerr=error,
            capsize=1.5,
            elinewidth=0.8,
            linewidth=1,
            markersize=4,
            label=_name(curve.name),
            **look,
        )
    style.legend_above(ax)
    return style.finish(ax, x=f"mean {tokens} per answer (log scale)", y="accuracy (%)")


def performance(methods: Sequence[MethodSummary], ax: Axes | None = None) -> Axes:
    """The best accuracy of each method, with Control and Scaling beside it: table 3 of the paper as a figure.

    Control is in percent, Scaling in percentage points per doubling of thinking tokens.

    Args:
        methods (`Sequence[MethodSummary]`): of one task, drawn from top to bottom.
        ax (`matplotlib.axes.Axes`, *optional*): where to draw; by default a new figure.

    Raises:
        ModuleNotFoundError: matplotlib is not installed. ValueError: there are no methods.
    """
    if not methods:
        raise ValueError("`methods` has to contain at least one method, but is empty.")
    ax = style.axes_of(ax, 1.0 + 0.24 * len(methods))
    rows = list(range(len(methods)))
    bars = ax.barh(rows, [m.performance for m in methods], height=0.6, color=style.SKY, edgecolor="0.2", linewidth=0.6)
    ax.bar_label(bars, [f"{m.performance:.1f}" for m in methods], padding=2, fontsize=style.SMALL)
    for row, method in zip(rows, methods, strict=True):
        for x, value in zip(_COLUMNS, (_number(method.control, ".0f"), _number(method.scaling, "+.1f")), strict=True):
            ax.text(x, row, value, fontsize=style.SMALL, ha="right", va="center")
    for x, name in zip(_COLUMNS, ("Control\n%", "Scaling\npp/×2"), strict=True):
        ax.text(x, -0.6, name, fontsize=style.SMALL, ha="right", va="bottom")
    ax.set_xlim(0, _COLUMNS[-1])
    ax.spines["bottom"].set_bounds(0, 100)
    ax.set_xticks([0, 25, 50, 75, 100])
    ax.set_ylim(len(methods) - 0.4, -0.6)
    ax.set_yticks(rows, [_name(m.method) for m in methods])
    style.finish(ax, x="Performance: best accuracy (%)", y="", grid="none")
    ax.xaxis.label.set(x=50 / _COLUMNS[-1])
    return ax


def _name(method: str) -> str:
    """`"token-conditional control + budget forcing"` becomes `"token-conditional + BF"`, as in the paper's table 3."""
    short = method.replace("-conditional control", "-conditional").replace("+ budget forcing", "+ BF")
    return style.label(short, 24)


def _number(value: float | None, form: str) -> str:
    return "n/a" if value is None else f"{value:{form}}"
