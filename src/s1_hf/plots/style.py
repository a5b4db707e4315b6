"""How all figures look: colours, sizes, axes and labels. Only this module makes figures; it needs the `plot` extra."""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import cycle
from typing import TYPE_CHECKING, Any, Literal

from s1_hf._lazy import require
from s1_hf.visible import shortened

if TYPE_CHECKING:
    from matplotlib.axes import Axes as Axes
    from matplotlib.figure import Figure as Figure

WIDTH, HEIGHT = 3.3, 2.5  # inches: a column of a two-column page
LARGE, SMALL = 8, 7  # points, at that width

# Okabe and Ito's colours, which colour-blind readers can tell apart; in greyscale, markers and hatches do that.
BLACK, ORANGE, SKY, GREEN = "#000000", "#E69F00", "#56B4E9", "#009E73"
YELLOW, BLUE, VERMILION, PURPLE = "#F0E442", "#0072B2", "#D55E00", "#CC79A7"
GREY = "#999999"
_COLORS = (BLUE, VERMILION, GREEN, ORANGE, PURPLE, SKY, BLACK)
_MARKERS = ("o", "s", "^", "D", "v", "P", "X", "<", ">", "*", "h")  # 7 colours and 11 markers, both prime: 77 pairs
_LINES = ("-", "--", "-.", ":")


def looks(count: int) -> list[dict[str, Any]]:
    """Colour, marker and line style for each of `count` series."""
    return [
        {"color": color, "marker": marker, "linestyle": line}
        for color, marker, line, _ in zip(cycle(_COLORS), cycle(_MARKERS), cycle(_LINES), range(count), strict=False)
    ]


def forget_own_settings() -> None:
    """For commands: no `matplotlibrc`, which matplotlib also takes from the working folder, decides about figures."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of settings that newer versions will not have
        require("matplotlib", "plot").rcdefaults()


def new_figure(height: float = HEIGHT, width: float = WIDTH) -> Figure:
    """An empty figure, without a window or a global backend."""
    figure: Figure = require("matplotlib.figure", "plot").Figure(figsize=(width, height), layout="constrained")
    return figure


@contextmanager
def no_glyph_warnings() -> Iterator[None]:
    """Draw characters that the font lacks as boxes, without a warning for each."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        yield


def axes_of(ax: Axes | None, height: float = HEIGHT) -> Axes:
    """`ax`, or the axes of a new figure."""
    return new_figure(height).add_subplot() if ax is None else ax


def label(text: str, most: int = 32) -> str:
    """Any name as one line of literal text: no mathematics, not too long, nothing hidden."""
    return shortened(text, most).replace("$", r"\$")


def finish(ax: Axes, *, x: str, y: str, grid: Literal["both", "x", "none"] = "both") -> Axes:
    """Set axis labels, sizes and grid; call it last."""
    ax.set_xlabel(x, fontsize=LARGE)
    ax.set_ylabel(y, fontsize=LARGE)
    ax.tick_params(labelsize=SMALL)
    ax.set_axisbelow(True)
    if grid != "none":
        ax.grid(axis=grid, color="0.9", linewidth=0.6)
    ax.spines[["top", "right"]].set_visible(False)
    return ax


def legend_above(ax: Axes) -> None:
    """A legend above the axes, clear of all points, in as many columns as fit."""
    names = ax.get_legend_handles_labels()[1]
    if names:
        ax.legend(
            loc="lower right",
            bbox_to_anchor=(1, 1),
            ncols=_columns(names),
            fontsize=SMALL,
            frameon=False,
            borderaxespad=0.2,
            handlelength=1.8,
            columnspacing=1.0,
            handletextpad=0.4,
        )


def legend_height(names: Sequence[str]) -> float:
    """The height of such a legend, in inches."""
    return 0.15 * math.ceil(len(names) / _columns(names))


def _columns(names: Sequence[str]) -> int:
    return max(1, int(72 * WIDTH / (25 + 0.56 * SMALL * max(map(len, names)))))


def token_axis(ax: Axes, tokens: Sequence[float]) -> list[float]:
    """A log2 axis that spans `tokens`; returns where to draw them. Counts below one are drawn at `≤1`."""
    drawn = [max(float(n), 1.0) for n in tokens]
    low, high = math.log2(min(drawn)), math.log2(max(drawn))
    margin = max((1 - (high - low)) / 2, 0.08 * (high - low))
    low, high = max(low - margin, -0.3), high + margin
    ax.set_xscale("log", base=2)
    ax.set_xlim(2**low, 2**high)
    ticks = _ticks(low, high)
    ax.set_xticks(ticks, ["≤1" if n == 1 and min(tokens) < 1 else short_number(n) for n in ticks])
    ax.set_xticks([], minor=True)
    return drawn


def _ticks(low: float, high: float) -> list[float]:
    """Powers of two; for a narrow range, round numbers."""
    every = math.ceil((high - low) / 6)
    powers = [2.0**n for n in range(math.ceil(low), math.floor(high) + 1, every)]
    if len(powers) > 1:
        return powers
    locator = require("matplotlib.ticker", "plot").MaxNLocator(4, integer=high > 3)
    return [n for n in map(float, locator.tick_values(2**low, 2**high)) if 2**low <= n <= 2**high and n > 0]


def short_number(number: float) -> str:
    """A count of tokens or examples on an axis.

    Example:

    ```python
    >>> from s1_hf.plots.style import short_number
    >>> [short_number(n) for n in (2.5, 512, 16384, 131072, 4194304)]
    ['2.5', '512', '16,384', '131k', '4.19M']

    ```
    """
    if number < 100_000:
        return f"{number:,.1f}".removesuffix(".0")
    return f"{number / 1e6:.3g}M" if number >= 1e6 else f"{number / 1e3:.0f}k"


def accuracy_axis(ax: Axes, lows: Sequence[float], highs: Sequence[float]) -> None:
    """An axis from the lowest interval to the highest, spanning at least 20 points, with room for labels."""
    low, high = min(lows), max(highs)
    spare = max(0.0, 20 - (high - low)) / 2
    low, high = max(0.0, low - spare), min(100.0, high + spare)
    margin = 0.06 * (high - low)
    ax.set_ylim(low - margin, high + 2 * margin)
    ax.set_yticks([n for n in ax.get_yticks() if low - margin <= n <= min(high + 2 * margin, 100) and n >= 0])


_LINE = 1.15 * SMALL  # height of a line of text
_FARTHEST = 6  # lines between an interval and its label


def annotate(ax: Axes, labels: Sequence[tuple[float, float, float, str, str]]) -> None:
    """Write each label (x, low, high, text, colour) above or below its interval, farther away if something is there.

    Where all places near the interval are taken, the label is left out: it would be read as another's. Call it after
    everything else is drawn: positions depend on the layout. An empty text still keeps other labels off its interval.
    """
    with no_glyph_warnings():
        ax.figure.canvas.figure.draw_without_rendering()  # `ax.figure` may be a subfigure
    spots = [(_points(ax, x, low), _points(ax, x, high)) for x, low, high, *_ in labels]
    taken = [(x - 3, bottom - 2, x + 3, top + 2) for (x, bottom), (_, top) in spots]
    for (x, low, high, text, color), ((across, bottom), (_, top)) in zip(labels, spots, strict=True):
        if not text:
            continue
        half = 0.3 * SMALL * len(text)
        boxes = {n: (across - half, y, across + half, y + _LINE) for n, y in _heights(bottom, top)}
        offset = next((n for n, box in boxes.items() if _is_free(ax, box, taken)), None)
        if offset is None:
            continue
        taken.append(boxes[offset])
        at = (x, high if offset > 0 else low)
        look: dict[str, Any] = {"fontsize": SMALL, "color": color, "ha": "center", "va": "bottom"}
        ax.annotate(text, at, (0, offset), textcoords="offset points", **look)


def _heights(bottom: float, top: float) -> Iterator[tuple[float, float]]:
    """Offsets from an interval's upper end, or if negative from its lower end, and the heights they lead to."""
    for step in range(_FARTHEST):
        up, down = 3 + step * _LINE, -3 - (step + 1) * _LINE
        yield up, top + up
        yield down, bottom + down


def _is_free(ax: Axes, box: tuple[float, ...], taken: Sequence[tuple[float, ...]]) -> bool:
    frame, unit = ax.get_window_extent(), 72 / ax.figure.dpi
    inside = frame.y0 * unit + 2 <= box[1] and box[3] <= frame.y1 * unit
    return inside and not any(_overlap(box, other) for other in taken)


def _points(ax: Axes, x: float, y: float) -> tuple[float, float]:
    """A position in points (1/72 inch)."""
    across, up = ax.transData.transform((x, y)) * 72 / ax.figure.dpi
    return float(across), float(up)


def _overlap(a: tuple[float, ...], b: tuple[float, ...]) -> bool:
    return a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]
