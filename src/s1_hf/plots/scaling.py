"""Accuracy over thinking tokens."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from s1_hf.plots import style
from s1_hf.plots.labels import Mark, write_names

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from s1_hf.results.summaries import SettingSummary

PointKind = Literal["cap", "none", "ignore", "both"]

_KINDS: dict[PointKind, tuple[str, str, str]] = {
    "cap": ("limit on thinking", "o", style.BLUE),
    "none": ("no intervention", "D", style.INK),
    "ignore": ("ends ignored", "s", style.VERMILION),
    "both": ("limit, ends ignored", "^", style.GREEN),
}


@dataclass(frozen=True)
class ScalingPoint:
    """One setting: mean thinking tokens, accuracy with its interval in percent, what was done to it, and a label.

    Raises:
        ValueError: the `kind` is not one of "cap", "none", "ignore" and "both".
    """

    thinking_tokens: float
    accuracy: float
    low: float
    high: float
    kind: PointKind
    label: str

    def __post_init__(self) -> None:
        if self.kind not in tuple(_KINDS):
            raise ValueError(f"`kind` has to be one of {', '.join(map(repr, _KINDS))}, but is {self.kind!r}.")

    @classmethod
    def of(cls, setting: SettingSummary) -> ScalingPoint:
        """From a setting's summary. The label is `"500"` for a cap and `"×2"` for ignores.

        A setting counts as limited if it promises a maximum, and as ignoring ends if any end was ignored.
        """
        limited, ignored = setting.max_thinking_tokens is not None, setting.ends_ignored > 0
        kinds: dict[tuple[bool, bool], PointKind] = {
            (True, True): "both",
            (True, False): "cap",
            (False, True): "ignore",
        }
        return cls(
            thinking_tokens=setting.thinking_tokens,
            accuracy=setting.accuracy,
            low=setting.low,
            high=setting.high,
            kind=kinds.get((limited, ignored), "none"),
            label=_short(setting.setting),
        )


def scaling(
    points: Sequence[ScalingPoint], ax: Axes | None = None, *, colors: style.Colors = None, labels: style.Labels = None
) -> Axes:
    """Accuracy over thinking tokens, as in figure 1 of the paper (https://arxiv.org/abs/2501.19393).

    Args:
        points (`Sequence[ScalingPoint]`): drawn with their intervals and labels, and connected in order of thinking
            tokens, except those of kind `"both"`.
        ax (`matplotlib.axes.Axes`, *optional*): where to draw; by default a new figure, as large as the labels need.
        colors, labels (*optional*): for `"cap"`, `"none"`, `"ignore"` and `"both"`, in this order or by name.

    Returns:
        `matplotlib.axes.Axes`: with a log2 axis of thinking tokens. The accuracy axis spans at least 20 points, but
            not always 0 to 100 %.

    Raises:
        ModuleNotFoundError: matplotlib is not installed. ValueError: there are no points.

    Example:

    ```python
    >>> from s1_hf.plots import ScalingPoint, scaling
    >>> cut = ScalingPoint(500, 64.0, 59.7, 68.1, kind="cap", label="500")
    >>> ax = scaling([cut, ScalingPoint(3200, 93.0, 90.4, 94.9, kind="none", label="")])

    ```
    """
    if not points:
        raise ValueError("`points` has to contain at least one setting, but is empty.")
    is_ours, ax = ax is None, style.axes_of(ax)
    names, markers, usual = zip(*_KINDS.values(), strict=True)
    color_of = dict(zip(_KINDS, style.colors_of(ax, list(_KINDS), colors, usual), strict=True))
    name_of = dict(zip(_KINDS, style.labels_of(list(_KINDS), labels, names), strict=True))
    style.accuracy_axis(ax, [p.low for p in points], [p.high for p in points])
    at = style.token_axis(ax, [p.thinking_tokens for p in points])
    placed = sorted(zip(at, points, strict=True), key=lambda pair: pair[0])
    line = [(x, p.accuracy) for x, p in placed if p.kind != "both"]
    ax.plot([x for x, _ in line], [y for _, y in line], color=style.PALE, linewidth=1, zorder=1)
    for kind, marker in zip(_KINDS, markers, strict=True):
        x, own = [x for x, p in placed if p.kind == kind], [p for _, p in placed if p.kind == kind]
        if own:
            y, low, high = [p.accuracy for p in own], [p.low for p in own], [p.high for p in own]
            look: dict[str, Any] = {
                "color": color_of[kind],
                "marker": marker,
                "label": name_of[kind],
                "crowded": len(points) > style.CROWD,
            }
            style.points_with_intervals(ax, x, y, low, high, **look)
    style.finish(ax, x="mean thinking tokens (log scale)", y="accuracy (%)")
    style.legend_above(ax, is_ours)
    marks = [Mark(x, p.accuracy, p.low, p.high, style.label(p.label, 14), color_of[p.kind]) for x, p in placed]
    write_names(ax, marks, [line], grows=is_ours, folds=True)
    return ax


def _short(setting: str) -> str:
    """`"cap 500, 2 ignores"` becomes `"500, ×2"`, `"no intervention"` becomes empty; other names stay."""
    name = re.sub(r"^cap (?=\d)", "", setting)
    return "" if name == "no intervention" else re.sub(r"(\d+) ignores?$", r"×\1", name)
