"""Accuracy over thinking tokens."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from s1_hf.plots import style

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from s1_hf.results.summaries import SettingSummary

PointKind = Literal["cap", "none", "ignore", "both"]

_KINDS: dict[PointKind, dict[str, Any]] = {
    "cap": {"color": style.BLUE, "marker": "o", "label": "limit on thinking"},
    "none": {"color": style.BLACK, "marker": "D", "label": "no intervention"},
    "ignore": {"color": style.VERMILION, "marker": "s", "label": "ends ignored"},
    "both": {"color": style.GREEN, "marker": "^", "label": "limit, ends ignored"},
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


def scaling(points: Sequence[ScalingPoint], ax: Axes | None = None) -> Axes:
    """Accuracy over thinking tokens, as in figure 1 of the paper (https://arxiv.org/abs/2501.19393).

    Args:
        points (`Sequence[ScalingPoint]`): drawn with their intervals and labels, and connected in order of thinking
            tokens, except those of kind `"both"`.
        ax (`matplotlib.axes.Axes`, *optional*): where to draw; by default a new figure.

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
    ax = style.axes_of(ax)
    style.accuracy_axis(ax, [p.low for p in points], [p.high for p in points])
    at = style.token_axis(ax, [p.thinking_tokens for p in points])
    placed = sorted(zip(at, points, strict=True), key=lambda pair: pair[0])
    line = [(x, p.accuracy) for x, p in placed if p.kind != "both"]
    ax.plot([x for x, _ in line], [y for _, y in line], color="0.7", linewidth=1, zorder=1)
    for kind in _KINDS:
        own = [(x, p) for x, p in placed if p.kind == kind]
        if own:
            _draw(ax, own, **_KINDS[kind])
    named = [(x, p.low, p.high, style.label(p.label, 14), _KINDS[p.kind]["color"]) for x, p in placed]
    style.legend_above(ax)
    style.finish(ax, x="mean thinking tokens (log scale)", y="accuracy (%)")
    style.annotate(ax, named)
    return ax


def _draw(ax: Axes, placed: Sequence[tuple[float, ScalingPoint]], **look: Any) -> None:
    ax.errorbar(
        [x for x, _ in placed],
        [p.accuracy for _, p in placed],
        yerr=[[max(0.0, p.accuracy - p.low) for _, p in placed], [max(0.0, p.high - p.accuracy) for _, p in placed]],
        linestyle="none",
        capsize=1.5,
        elinewidth=0.8,
        markersize=4,
        **look,
    )


def _short(setting: str) -> str:
    """`"cap 500, 2 ignores"` becomes `"500, ×2"`, `"no intervention"` becomes empty; other names stay."""
    name = re.sub(r"^cap (?=\d)", "", setting)
    return "" if name == "no intervention" else re.sub(r"(\d+) ignores?$", r"×\1", name)
