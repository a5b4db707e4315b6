"""Names beside their marks.

A name stands next to its own mark and to no other, or a little away with a thin line to its mark; never on another
name, on a mark, or outside the axes. A figure of ours grows until every name has a place.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from s1_hf._lazy import require
from s1_hf.plots import style

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Curve = Sequence[tuple[float, float]]
Array = Any  # of floats; the last axis is (x, y), or of a box (left, bottom, right, top)

# All in points (1/72 inch).
_RADIUS, _GAP = 3.0, 2.0  # of a mark, and between it and its name
_APART = 3.0  # between a name and other marks, at least
_SAME = 1.5  # marks that are no farther apart are in the same place
_AWAY = np.array([10.0, 16.0, 24.0, 34.0, 46.0])  # from a mark to a name with a line to it
_ANGLES = np.arange(16) * np.pi / 8
_MANY = 15  # names, for which a narrow figure is not even tried
_GROWTH = ((1, 1), (1, 1.4), (2, 1.7), (2, 2.4))  # of width and height, tried in turn


@dataclass(frozen=True)
class Mark:
    """A point with its interval, and its name. Without a name, the names of others still keep off it."""

    x: float
    y: float
    low: float
    high: float
    text: str
    color: Any


@dataclass(frozen=True)
class _Place:
    """The box of a name and, if it is not next to its mark, the line from the mark to it; both relative to the mark."""

    box: Array
    line: Array | None


def write_names(
    ax: Axes,
    marks: Sequence[Mark],
    curves: Sequence[Curve] = (),
    *,
    grows: bool,
    beside: bool = False,
    folds: bool = False,
) -> None:
    """Write the names of `marks`. Call it when everything else is drawn: places depend on the layout.

    Args:
        curves (`Sequence[Sequence[tuple[float, float]]]`): lines that names keep off if they can.
        grows (`bool`): whether the figure may grow until every name has a place. A name without one is left out.
        beside (`bool`, defaults to `False`): names stand at the sides of their marks if they can, else above or below.
        folds (`bool`, defaults to `False`): in a figure that had to become wide, marks in the same place share a name,
            that of the first and how many more there are: `"500 +2"`.
    """
    figure: Any = ax.figure
    width, height = figure.get_size_inches() if grows else (0, 0)  # a subfigure has no size of its own
    is_crowd = sum(bool(mark.text) for mark in marks) > _MANY
    for wider, higher in _GROWTH[2 if is_crowd else 0 :] if grows else _GROWTH[:1]:
        if (wider, higher) != (1, 1):
            figure.set_size_inches(width * wider, height * higher)
            style.legend_above(ax)
        style.lay_out(ax)
        named = _folded(ax, marks) if folds and wider > 1 else marks
        places, are_all = _places(ax, named, curves, beside, some=not grows or (wider, higher) == _GROWTH[-1])
        if are_all:
            break
    _write(ax, [(named[i], place) for i, place in places.items()])


def _folded(ax: Axes, marks: Sequence[Mark]) -> list[Mark]:
    """Marks in the same place share the name of the first."""
    at = _points(ax, [(mark.x, mark.y) for mark in marks])
    more: dict[int, int] = {}  # by the first mark in a place, how many others are there
    texts = []
    for i, mark in enumerate(marks):
        first = next((j for j in more if np.abs(at[i] - at[j]).max() <= _SAME), None)
        if mark.text and first is None:
            more[i] = 0
        elif mark.text and first is not None:
            more[first] += 1
        texts.append(mark.text if i in more else "")
    return [
        replace(mark, text=f"{text} +{more[i]}" if more.get(i) else text)
        for i, (mark, text) in enumerate(zip(marks, texts, strict=True))
    ]


def _places(
    ax: Axes, marks: Sequence[Mark], curves: Sequence[Curve], beside: bool, some: bool
) -> tuple[dict[int, _Place], bool]:
    """By mark, the first place where its name touches nothing, and whether all names have one.

    Args:
        some (`bool`): whether to go on after a name for which there is none.
    """
    # 1. What is there already, as boxes.
    frame = ax.get_window_extent().get_points().ravel() * 72 / ax.figure.dpi
    at = _points(ax, [(mark.x, mark.y) for mark in marks])
    lows = np.minimum(_points(ax, [(mark.x, mark.low) for mark in marks])[:, 1], at[:, 1] - _RADIUS)
    highs = np.maximum(_points(ax, [(mark.x, mark.high) for mark in marks])[:, 1], at[:, 1] + _RADIUS)
    dots = _around(at, np.array([2 * _RADIUS, 2 * _RADIUS]))
    intervals = np.stack([at[:, 0] - 1, lows, at[:, 0] + 1, highs], axis=1)
    drawn = np.concatenate([np.empty((0, 4)), *(_line(_points(ax, curve)) for curve in curves if len(curve) > 1)])
    names = np.empty((0, 4))
    # 2. A place for each.
    found: dict[int, _Place] = {}
    named = [i for i, mark in enumerate(marks) if mark.text]
    for i in named:
        distances = np.abs(at - at[i]).max(axis=1)
        others = dots[distances > _SAME]
        size = _size(ax, marks[i].text)
        near = _next_to(at[i], lows[i], highs[i], size, beside)
        boxes = np.concatenate([near, _around_it(at[i], size)])
        free = (boxes[:, :2] >= frame[:2]).all(axis=1) & (boxes[:, 2:] <= frame[2:]).all(axis=1)
        free &= ~_touch(_wider(boxes, _APART), np.concatenate([others, intervals[distances > _SAME]]))
        free &= ~_touch(boxes, intervals[i : i + 1]) & ~_touch(_wider(boxes, _GAP / 2), names)
        clear = ~_touch(boxes, drawn)  # names stand on a curve rather than nowhere
        for place in [*np.flatnonzero(free & clear), *np.flatnonzero(free & ~clear)]:
            box = boxes[place]
            line = _line_to(box, at[i]) if place >= len(near) else np.empty((0, 4))
            if not _touch(line, np.concatenate([names, _wider(others, -1)])).any():
                found[i] = _Place(box - np.tile(at[i], 2), _nearest(at[i], box) - at[i] if len(line) else None)
                names = np.concatenate([names, [box], line])
                break
        if i not in found and not some:
            break
    return found, len(found) == len(named)


def _next_to(at: Array, low: float, high: float, size: Array, beside: bool) -> Array:
    """Boxes of a name at the sides of a mark and at the ends of its interval."""
    out = size / 2 + _GAP
    sides = [[at[0] + _RADIUS + out[0], at[1]], [at[0] - _RADIUS - out[0], at[1]]]
    ends = [[at[0], high + out[1]], [at[0], low - out[1]]]
    return _around(np.array([*sides, *ends] if beside else [*ends, *sides]), size)


def _around_it(at: Array, size: Array) -> Array:
    """Boxes of a name all around a mark, the nearest first."""
    directions = np.stack([np.cos(_ANGLES), np.sin(_ANGLES)], axis=1)
    return _around((at + directions * (_AWAY[:, None, None] + size / 2)).reshape(-1, 2), size)


def _line_to(box: Array, at: Array) -> Array:
    """The line from a mark to a name, between the two, as small boxes."""
    end = _nearest(at, box)
    length = np.hypot(*(end - at))
    return _line(np.array([at + (end - at) * min(1, _RADIUS / length), end + (at - end) * min(1, 1.5 / length)]))


def _line(bends: Array) -> Array:
    """A line as small boxes."""
    pieces = [np.linspace(start, end, 2 + round(np.hypot(*(end - start)))) for start, end in pairwise(bends)]
    return _around(np.concatenate(pieces), np.ones(2))


def _write(ax: Axes, named: Sequence[tuple[Mark, _Place]]) -> None:
    for mark, place in named:
        middle = (place.box[:2] + place.box[2:]) / 2
        look = {"fontsize": style.SMALL, "color": mark.color, "ha": "center", "va": "center"}
        text = ax.annotate(mark.text, (mark.x, mark.y), middle, textcoords="offset points", **look)
        text.set_in_layout(False)  # names stand inside the axes, and the layout must stay as it is
    lines = [(mark, place.line) for mark, place in named if place.line is not None]
    if lines:
        collections, transforms = (require(f"matplotlib.{name}", "plot") for name in ("collections", "transforms"))
        drawn = collections.LineCollection(
            [[(0, 0), line] for _, line in lines],
            offsets=[(mark.x, mark.y) for mark, _ in lines],
            offset_transform=ax.transData,
            colors=style.PALE,
            linewidths=0.6,
            zorder=1,
        )
        drawn.set_transform(transforms.Affine2D().scale(1 / 72) + ax.figure.dpi_scale_trans)
        drawn.set_in_layout(False)
        ax.add_collection(drawn, autolim=False)


def _size(ax: Axes, text: str) -> Array:
    """Width and height of a name."""
    drawn = ax.text(0, 0, text, fontsize=style.SMALL)
    with style.no_glyph_warnings():
        box = drawn.get_window_extent()
    drawn.remove()
    return np.array([box.width, box.height]) * 72 / ax.figure.dpi


def _points(ax: Axes, positions: Sequence[tuple[float, float]]) -> Array:
    """Positions in the data as points on the page."""
    return ax.transData.transform(positions) * 72 / ax.figure.dpi


def _around(middles: Array, size: Array) -> Array:
    return np.concatenate([middles - size / 2, middles + size / 2], axis=-1)


def _wider(boxes: Array, by: float) -> Array:
    return boxes + np.array([-by, -by, by, by])


def _nearest(at: Array, box: Array) -> Array:
    """The point of a box that is nearest to a mark."""
    return np.clip(at, box[:2], box[2:])


def _touch(boxes: Array, others: Array) -> Array:
    """For each of the boxes, whether it touches any of the others."""
    apart = (boxes[:, None, :2] >= others[None, :, 2:]) | (boxes[:, None, 2:] <= others[None, :, :2])
    return ~apart.any(axis=2).all(axis=1)
