"""Methods side by side."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from s1_hf.plots import style

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from s1_hf.results.summaries import MethodSummary


_COLUMNS = (44, 77)  # right edges of Control and Scaling, in points to the right of the axes
_FEW = 8  # curves, whose names have room above a narrow figure
_HEAD = -0.6  # the upper end of the rows


@dataclass(frozen=True)
class Curve:
    """A method's settings as (mean tokens, accuracy, low, high), in any order; accuracies in percent."""

    name: str
    points: Sequence[tuple[float, float, float, float]]


def compare(
    curves: Sequence[Curve],
    ax: Axes | None = None,
    *,
    tokens: str = "tokens generated",
    colors: style.Colors = None,
    labels: style.Labels = None,
) -> Axes:
    """Accuracy over tokens, one line per method: sequential and parallel scaling at equal cost (figures 4, 6 and 7).

    Args:
        curves (`Sequence[Curve]`): one per method, with intervals; points are connected in order of tokens.
        ax (`matplotlib.axes.Axes`, *optional*): where to draw; by default a new figure, two columns wide for more than
            eight curves.
        tokens (`str`, defaults to `"tokens generated"`): what the curves count, as a mean per answer; to compare
            methods that draw several samples, count everything they generate.
        colors, labels (*optional*): one per curve, in their order or by name.

    Returns:
        `matplotlib.axes.Axes`: with a log2 axis of tokens. Behind several curves a pale line shows their
            [`frontier`].

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
    is_wide = len(curves) > _FEW
    is_ours, ax = ax is None, style.axes_of(ax, width=style.WIDTH * (2 if is_wide else 1))
    names = [curve.name for curve in curves]
    texts = style.labels_of(names, labels, [_name(name, 36 if is_wide else 24) for name in names])
    style.accuracy_axis(ax, [low for *_, low, _ in every], [high for *_, high in every])
    style.token_axis(ax, [x for x, *_ in every])
    if len(curves) > 1:
        best = frontier([(max(x, 1.0), y) for x, y, *_ in every])
        right = max([x for x, _ in best] + [ax.get_xlim()[1]])
        steps = [*best, (right, best[-1][1])]
        ax.plot(*zip(*steps, strict=True), drawstyle="steps-post", color=style.PALE, linewidth=4, alpha=0.5, zorder=0)
    for curve, text, look in zip(curves, texts, style.looks(style.colors_of(ax, names, colors)), strict=True):
        points = sorted((max(x, 1.0), *rest) for x, *rest in curve.points)
        x, y, low, high = zip(*points, strict=True)
        look["crowded"] = len(every) > style.CROWD
        style.points_with_intervals(ax, x, y, low, high, linewidth=1, label=text, **look)
    style.finish(ax, x=f"mean {tokens} per answer (log scale)", y="accuracy (%)")
    style.legend_above(ax, is_ours)
    return ax


def frontier(points: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """Those of some points (tokens, accuracy) than which none has a higher accuracy at as few tokens, by their tokens.

    Example:

    ```python
    >>> from s1_hf.plots import frontier
    >>> frontier([(100, 30.0), (400, 50.0), (200, 50.0), (300, 40.0)])
    [(100, 30.0), (200, 50.0)]

    ```
    """
    best: list[tuple[float, float]] = []
    for x, y in sorted(points, key=lambda point: (point[0], -point[1])):
        if not best or y > best[-1][1]:
            best.append((x, y))
    return best


def performance(
    methods: Sequence[MethodSummary],
    ax: Axes | None = None,
    *,
    colors: style.Colors = None,
    labels: style.Labels = None,
) -> Axes:
    """The best accuracy of each method, with Control and Scaling beside it: table 3 of the paper as a figure.

    Control is in percent, Scaling in percentage points per doubling of thinking tokens.

    Args:
        methods (`Sequence[MethodSummary]`): of one task, drawn from top to bottom.
        ax (`matplotlib.axes.Axes`, *optional*): where to draw; by default a new figure.
        colors, labels (*optional*): one per method, in their order or by name.

    Raises:
        ModuleNotFoundError: matplotlib is not installed. ValueError: there are no methods.
    """
    if not methods:
        raise ValueError("`methods` has to contain at least one method, but is empty.")
    ax = style.axes_of(ax, 1.0 + 0.24 * len(methods))
    rows, names = list(range(len(methods))), [method.method for method in methods]
    texts = style.labels_of(names, labels, [_name(name, 24) for name in names])
    ink = style.ink(ax)
    look = {"color": style.colors_of(ax, names, colors, [style.SKY]), "edgecolor": ink, "linewidth": 0.6}
    bars = ax.barh(rows, [m.performance for m in methods], height=0.6, **look)
    ax.bar_label(bars, [f"{m.performance:.1f}" for m in methods], padding=2, fontsize=style.SMALL, color=ink)
    cells = [
        (row, (_number(m.control, ".0f"), _number(m.scaling, "+.1f"))) for row, m in zip(rows, methods, strict=True)
    ]
    for row, cell in [*cells, (_HEAD, ("Control\n%", "Scaling\npp/×2"))]:
        for right, text in zip(_COLUMNS, cell, strict=True):
            place: dict[str, Any] = {"xycoords": ("axes fraction", "data"), "textcoords": "offset points"}
            place |= {"ha": "right", "va": "bottom" if row == _HEAD else "center"}
            ax.annotate(text, (1, row), (right, 0), fontsize=style.SMALL, color=ink, **place)
    style.keep_titles_off(ax, 2.6 * style.SMALL / 72)
    ax.set_xlim(0, 100)
    ax.set_xticks([0, 50, 100])
    ax.set_ylim(len(methods) - 0.4, _HEAD)
    ax.set_yticks(rows, texts)
    return style.finish(ax, x="Performance: best accuracy (%)", y="", grid="none")


def _name(method: str, most: int) -> str:
    """`"token-conditional control + budget forcing"` becomes `"token-conditional + BF"`, as in the paper's table 3."""
    short = method.replace("-conditional control", "-conditional").replace("+ budget forcing", "+ BF")
    return style.label(short, most)


def _number(value: float | None, form: str) -> str:
    return "n/a" if value is None else f"{value:{form}}"
