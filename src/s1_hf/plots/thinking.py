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


def ended(settings: Mapping[str, Mapping[str, int]], ax: Axes | None = None) -> Axes:
    """How thinking ended, one stacked bar per setting, in percent of the answers.

    Args:
        settings (`Mapping[str, Mapping[str, int]]`): by setting, how many times thinking ended in each way, see
            [`Row`]; drawn from top to bottom.
        ax (`matplotlib.axes.Axes`, *optional*): where to draw; by default a new figure.

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
    kinds = [how for how in _ENDINGS if any(counts.get(how) for counts in settings.values())]
    ax = style.axes_of(ax, 0.75 + 0.19 * len(settings) + style.legend_height([_ENDINGS[how][2] for how in kinds]))
    left = np.zeros(len(settings))
    for how in kinds:
        share = np.array([100 * counts.get(how, 0) / sum(counts.values()) for counts in settings.values()])
        color, hatch, name = _ENDINGS[how]
        look: dict[str, Any] = {"color": color, "hatch": hatch, "edgecolor": "0.2", "linewidth": 0.5}
        ax.barh(range(len(settings)), share, left=left, height=0.7, label=name, **look)
        left += share
    ax.set_xlim(0, 100)
    _name_rows(ax, list(settings))
    style.legend_above(ax)
    return style.finish(ax, x="answers (%)", y="", grid="none")


def lengths(settings: Mapping[str, Sequence[int]], ax: Axes | None = None) -> Axes:
    """Histograms of thinking tokens, one row per setting on a shared log2 axis; a stroke marks the median.

    Args:
        settings (`Mapping[str, Sequence[int]]`): by setting, the thinking tokens of its answers; drawn from top to
            bottom. The tallest bar of each row fills the row.
        ax (`matplotlib.axes.Axes`, *optional*): where to draw; by default a new figure.

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
    ax = style.axes_of(ax, 0.7 + 0.26 * len(settings))
    every = style.token_axis(ax, [n for tokens in settings.values() for n in tokens])
    # Each bin is a quarter of a doubling; a power of two starts a new bin.
    edges = 2 ** (np.arange(math.floor(4 * math.log2(min(every))), math.floor(4 * math.log2(max(every))) + 2) / 4)
    for row, tokens in enumerate(settings.values()):
        drawn = np.maximum(tokens, 1)
        counts, _ = np.histogram(drawn * (1 + 1e-9), edges)
        heights = 0.85 * counts / counts.max()
        ax.stairs(row + 0.4 - heights, edges, baseline=row + 0.4, fill=True, color=style.SKY, linewidth=0)
        ax.stairs(row + 0.4 - heights, edges, baseline=row + 0.4, color=style.BLUE, linewidth=0.7)
        ax.plot([np.median(drawn)] * 2, [row - 0.4, row + 0.4], color=style.BLACK, linewidth=1.5)
    ax.set_xlim(min(ax.get_xlim()[0], edges[0]), max(ax.get_xlim()[1], edges[-1]))
    _name_rows(ax, list(settings))
    return style.finish(ax, x="thinking tokens (log scale)", y="", grid="x")


def _name_rows(ax: Axes, names: Sequence[str]) -> None:
    ax.set_ylim(len(names) - 0.4, -0.6)
    ax.set_yticks(range(len(names)), [style.label(name, 22) for name in names])
    ax.tick_params(axis="y", length=0)
