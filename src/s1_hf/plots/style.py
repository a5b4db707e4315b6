"""How all figures look: colours, sizes, axes and legends. Only this module makes figures; it needs the `plot` extra."""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import cycle
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from s1_hf._lazy import require
from s1_hf.visible import shortened

if TYPE_CHECKING:
    from matplotlib.axes import Axes as Axes
    from matplotlib.figure import Figure as Figure

WIDTH, HEIGHT = 3.3, 2.2  # inches: a column of a two-column page; without the legend
LARGE, SMALL = 8, 7  # points, at that width

# Okabe and Ito's colours, which colour-blind readers can tell apart; in greyscale, markers and hatches do that.
ORANGE, SKY, GREEN, YELLOW = "#E69F00", "#56B4E9", "#009E73", "#F0E442"
BLUE, VERMILION, PURPLE, GREY = "#0072B2", "#D55E00", "#CC79A7", "#999999"
INK = "ink"  # that of the axes' text, see [`ink`]
COLORS = (BLUE, VERMILION, GREEN, ORANGE, PURPLE, SKY, INK)
PALE = "0.6"  # lines that must not distract, on white and on black
_MARKERS = ("o", "s", "^", "D", "v", "P", "X", "<", ">", "*", "h")  # 7 colours and 11 markers, both prime: 77 pairs
_LINES = ("-", "--", "-.", ":")
_MOST = 100  # characters of a label that was chosen

CROWD = 15
"""More points than this have pale intervals."""

Colors: TypeAlias = "Mapping[str, Any] | Sequence[Any] | None"
Labels: TypeAlias = "Mapping[str, str] | Sequence[str] | None"


def ink(ax: Axes) -> Any:
    """The colour of the axes' text: black on white, white on black."""
    return ax.xaxis.label.get_color()


def colors_of(ax: Axes, names: Sequence[str], given: Colors = None, usual: Sequence[str] = COLORS) -> list[Any]:
    """A colour for each of `names`: the one given for it, else one of matplotlib's cycle, else one of the usual.

    Args:
        given (`Mapping` or `Sequence`, *optional*): any colours of matplotlib, by name or in turn.
        usual (`Sequence[str]`): for axes with matplotlib's default cycle. Axes whose cycle somebody chose, by a style
            or for themselves, are drawn in theirs; if only one colour is usual, in the first of theirs.
    """
    cycled = _chosen_cycle(ax, len(names) if len(usual) > 1 else 1)
    turn = cycled or [ink(ax) if color == INK else color for color in usual]
    if isinstance(given, Mapping):
        _refuse_unknown("colors", given, names)
        return [given.get(name, color) for name, color in zip(names, cycle(turn), strict=False)]
    if given is not None:
        turn = [given] if isinstance(given, str) else list(given)
        if not turn:
            raise ValueError("`colors` has to contain at least one colour, but is empty.")
    return [color for _, color in zip(names, cycle(turn), strict=False)]


def labels_of(names: Sequence[str], given: Labels, usual: Sequence[str]) -> list[str]:
    """A text for each of `names`: the one given for it, by name or in order, else the usual one."""
    if given is None or isinstance(given, Mapping):
        chosen = given or {}
        _refuse_unknown("labels", chosen, names)
        return [label(chosen[name], _MOST) if name in chosen else text for name, text in zip(names, usual, strict=True)]
    if isinstance(given, str) or len(given) != len(names):
        raise ValueError(f"`labels` has to contain one label for each of {names!r:.200}, but is {given!r:.200}.")
    return [label(text, _MOST) for text in given]


def looks(colors: Sequence[Any]) -> list[dict[str, Any]]:
    """Colour, marker and line style for each of several series."""
    return [
        {"color": color, "marker": marker, "linestyle": line}
        for color, marker, line in zip(colors, cycle(_MARKERS), cycle(_LINES), strict=False)
    ]


def _chosen_cycle(ax: Axes, count: int) -> list[Any]:
    """The next colours of the axes' cycle; none if it is matplotlib's default one."""
    lines = [ax.plot([], [])[0] for _ in range(count)]
    for line in lines:
        line.remove()
    matplotlib, to_hex = require("matplotlib", "plot"), require("matplotlib.colors", "plot").to_hex
    found = [to_hex(line.get_color()) for line in lines]
    default = matplotlib.rcParamsDefault["axes.prop_cycle"]
    is_default = matplotlib.rcParams["axes.prop_cycle"] == default
    return [] if is_default and {*map(to_hex, default.by_key()["color"])}.issuperset(found) else found


def _refuse_unknown(argument: str, given: Mapping[str, Any], names: Sequence[str]) -> None:
    unknown = [name for name in given if name not in names]
    if unknown:
        raise ValueError(f"`{argument}` has to be for {names!r:.200}, but has {unknown!r:.200}.")


def forget_own_settings(colors: Sequence[str] = ()) -> None:
    """For commands: no `matplotlibrc`, which matplotlib also takes from the working folder, decides about figures.

    Args:
        colors (`Sequence[str]`): if there are any, matplotlib's cycle from here on.

    Raises:
        ModuleNotFoundError: matplotlib is not installed. ValueError: a colour is unknown.
    """
    matplotlib = require("matplotlib", "plot")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of settings that newer versions will not have
        matplotlib.rcdefaults()
    if colors:
        matplotlib.rc("axes", prop_cycle=matplotlib.cycler(color=list(colors)))


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


def axes_of(ax: Axes | None, height: float = HEIGHT, width: float = WIDTH) -> Axes:
    """`ax`, or the axes of a new figure."""
    return new_figure(height, width).add_subplot() if ax is None else ax


def label(text: str, most: int = 32, size: float = SMALL) -> str:
    """Any name as one line of literal text: no mathematics, nothing hidden, not longer than `most` usual characters."""
    line = shortened(text, most)
    while _width(line, size) > 0.62 * size * most:
        line = line.removesuffix("…")[:-1] + "…"
    line = line.replace("$", r"\$")
    return f" {line}" if line.startswith("_") else line  # matplotlib keeps such names out of legends


def _width(text: str, size: float) -> float:
    """In points."""
    font = require("matplotlib.font_manager", "plot").FontProperties(size=size)
    with no_glyph_warnings():
        measured = require("matplotlib.textpath", "plot").text_to_path.get_text_width_height_descent(text, font, False)
    return float(measured[0])


def finish(ax: Axes, *, x: str, y: str, grid: Literal["both", "x", "none"] = "both") -> Axes:
    """Set axis labels, sizes and grid; call it last."""
    ax.set_xlabel(x, fontsize=LARGE)
    ax.set_ylabel(y, fontsize=LARGE)
    ax.tick_params(labelsize=SMALL)
    ax.set_axisbelow(True)
    if grid != "none":
        ax.grid(axis=grid, color=ink(ax), alpha=0.1, linewidth=0.6)
    ax.spines[["top", "right"]].set_visible(False)
    return ax


def points_with_intervals(
    ax: Axes,
    x: Sequence[float],
    y: Sequence[float],
    low: Sequence[float],
    high: Sequence[float],
    *,
    color: Any,
    crowded: bool = False,
    **look: Any,
) -> None:
    """Marks with error bars, which are pale where many marks stand close to each other."""
    below = [max(0.0, a - b) for a, b in zip(y, low, strict=True)]
    above = [max(0.0, b - a) for a, b in zip(y, high, strict=True)]
    every: dict[str, Any] = {"linestyle": "none", "markersize": 4.5} | look
    every |= {"ecolor": (color, 0.3), "capsize": 0} if crowded else {"ecolor": color, "capsize": 1.5, "capthick": 0.8}
    every |= {"markeredgecolor": ax.get_facecolor(), "markeredgewidth": 0.4, "color": color, "elinewidth": 0.8}
    ax.errorbar(x, y, yerr=[below, above], **every)


def lay_out(ax: Axes) -> None:
    """Settle where everything stands."""
    with no_glyph_warnings():
        ax.figure.canvas.figure.draw_without_rendering()  # `ax.figure` may be a subfigure


def legend_above(ax: Axes, grows: bool = False) -> None:
    """A legend above the axes, clear of all points and below any title, in as many columns as fit.

    Args:
        grows (`bool`, defaults to `False`): whether the figure gets higher by it, so that the axes keep their size.
    """
    names = ax.get_legend_handles_labels()[1]
    if not names:
        return
    is_alone = ax.figure.axes == [ax]
    room = (ax.figure.bbox if is_alone else ax.bbox).width
    with no_glyph_warnings():
        for columns in range(len(names), 0, -1):
            legend = ax.legend(
                loc="lower right",
                bbox_to_anchor=(1, 1),
                ncols=columns,
                fontsize=SMALL,
                labelcolor=ink(ax),
                frameon=False,
                borderaxespad=0.2,
                handlelength=1.8,
                columnspacing=1.0,
                handletextpad=0.4,
            )
            box = legend.get_window_extent()
            if box.width <= 0.93 * room:
                break
    height = float(box.height / ax.figure.dpi)
    keep_titles_off(ax, height)
    if grows:
        figure: Any = ax.figure
        figure.set_figheight(figure.get_figheight() + height)


_RESERVED = "s1-hf: room for the legend"


def keep_titles_off(ax: Axes, height: float) -> None:
    """Reserve a height in inches above the axes: titles stand above all child axes, so an empty one goes there."""
    for child in list(ax.child_axes):
        if child.get_label() == _RESERVED:
            child.remove()
    transforms = require("matplotlib.transforms", "plot")
    above = ax.figure.dpi_scale_trans + transforms.ScaledTranslation(0, 1, ax.transAxes)
    place = transforms.blended_transform_factory(ax.transAxes, above)
    ax.inset_axes((0, 0, 1, height), transform=place, label=_RESERVED).set_axis_off()


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
