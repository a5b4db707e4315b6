"""How thinking ended, and how long it was, setting by setting."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from s1_hf.plots import style

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# Each has its own hatch, for greyscale print.
_ENDINGS = {
    "natural": (style.SKY, "", "natural"),
    "cut": (style.ORANGE, "//", "cut"),
    "looped": (style.PURPLE, "xx", "looped"),
    "handed_over": (style.GREEN, "\\\\", "handed over"),
    "unfinished": (style.VERMILION, "..", "unfinished"),
    "never_started": (style.YELLOW, "--", "never started"),
    "not_found": (style.GREY, "++", "not found"),
}


def ended(
    settings: Mapping[str, Mapping[str, int]],
    ax: Axes | None = None,
    *,
    colors: style.Colors = None,
    labels: style.Labels = None,
) -> Axes:
    """How thinking ended, one stacked bar per setting, in percent of the answers.

    Args:
        settings (`Mapping[str, Mapping[str, int]]`): by setting, how many times thinking ended in each way, see
            [`Row`]; drawn from top to bottom.
        ax (`matplotlib.axes.Axes`, *optional*): where to draw; by default a new figure.
        colors (*optional*): for `"natural"`, `"cut"` and so on, in the order of `s1_hf.results.rows.ENDED` or by name.
        labels (*optional*): one per setting, in their order; or by name, also for `"natural"`, `"cut"` and so on.

    Raises:
        ModuleNotFoundError: matplotlib is not installed. ValueError: there are no settings, one has no answers, or a
            way of ending does not exist.

    Example:

    ```python
    >>> from s1_hf.plots import ended
    >>> ax = ended({"cap 500": {"cut": 29, "natural": 1}, "no intervention": {"natural": 30}})

    ```
    """
    unknown = sorted({how for counts in settings.values() for how in counts} - set(_ENDINGS))
    if not settings or unknown or not all(sum(counts.values()) > 0 for counts in settings.values()):
        raise ValueError(
            f"`settings` has to contain at least one setting, each with at least one answer, counted by "
            f"{', '.join(_ENDINGS)}, but is {settings!r:.200}."
        )
    is_ours, ax = ax is None, style.axes_of(ax, 0.75 + 0.19 * len(settings))
    ways, names = list(_ENDINGS), list(settings)
    shades = style.colors_of(ax, ways, colors, [color for color, *_ in _ENDINGS.values()])
    usual = [name for *_, name in _ENDINGS.values()]
    given = labels if labels is None or isinstance(labels, Mapping) else [*usual, *labels]
    texts = style.labels_of([*ways, *names], given, [*usual, *_row_names(names)])
    left = np.zeros(len(settings))
    for how, color, text in zip(ways, shades, texts, strict=False):
        share = np.array([100 * counts.get(how, 0) / sum(counts.values()) for counts in settings.values()])
        if not share.any():
            continue
        look: dict[str, Any] = {"color": color, "hatch": _ENDINGS[how][1], "edgecolor": style.ink(ax), "linewidth": 0.5}
        ax.barh(range(len(settings)), share, left=left, height=0.7, label=text, **look)
        left += share
    ax.set_xlim(0, 100)
    _name_rows(ax, texts[len(ways) :])
    style.finish(ax, x="answers (%)", y="", grid="none")
    style.legend_above(ax, is_ours)
    return ax


def lengths(
    settings: Mapping[str, Sequence[int]],
    ax: Axes | None = None,
    *,
    colors: style.Colors = None,
    labels: style.Labels = None,
) -> Axes:
    """Histograms of thinking tokens, one row per setting on a shared log2 axis; a stroke marks the median.

    Args:
        settings (`Mapping[str, Sequence[int]]`): by setting, the thinking tokens of its answers; drawn from top to
            bottom. The tallest bar of each row fills the row.
        ax (`matplotlib.axes.Axes`, *optional*): where to draw; by default a new figure.
        colors, labels (*optional*): one per setting, in their order or by name.

    Raises:
        ModuleNotFoundError: matplotlib is not installed. ValueError: there are no settings, or one has no answers.

    Example:

    ```python
    >>> from s1_hf.plots import lengths
    >>> ax = lengths({"cap 500": [500, 500, 320], "no intervention": [2100, 320, 900]})

    ```
    """
    if not settings or not all(len(tokens) for tokens in settings.values()):
        raise ValueError("`settings` has to contain at least one setting, each with at least one answer.")
    ax = style.axes_of(ax, 0.7 + len(settings) * (0.26 if len(settings) <= 20 else 0.2))
    every = style.token_axis(ax, [n for tokens in settings.values() for n in tokens])
    # Each bin is a quarter of a doubling; a power of two starts a new bin.
    edges = 2 ** (np.arange(math.floor(4 * math.log2(min(every))), math.floor(4 * math.log2(max(every))) + 2) / 4)
    row_colors = style.colors_of(ax, list(settings), colors, [style.BLUE])
    for row, (tokens, color) in enumerate(zip(settings.values(), row_colors, strict=True)):
        drawn = np.maximum(tokens, 1)
        counts, _ = np.histogram(drawn * (1 + 1e-9), edges)
        heights = 0.85 * counts / counts.max()
        ax.stairs(row + 0.4 - heights, edges, baseline=row + 0.4, fill=True, color=color, alpha=0.5, linewidth=0)
        ax.stairs(row + 0.4 - heights, edges, baseline=row + 0.4, color=color, linewidth=0.7)
        ax.plot([np.median(drawn)] * 2, [row - 0.4, row + 0.4], color=style.ink(ax), linewidth=1.5)
    ax.set_xlim(min(ax.get_xlim()[0], edges[0]), max(ax.get_xlim()[1], edges[-1]))
    _name_rows(ax, style.labels_of(list(settings), labels, _row_names(list(settings))))
    return style.finish(ax, x="thinking tokens (log scale)", y="", grid="x")


def _row_names(names: Sequence[str]) -> list[str]:
    return [style.label(name, 22) for name in names]


def _name_rows(ax: Axes, texts: Sequence[str]) -> None:
    ax.set_ylim(len(texts) - 0.4, -0.6)
    ax.set_yticks(range(len(texts)), texts)
    ax.tick_params(axis="y", length=0)
