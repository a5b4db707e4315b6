"""How much of the accuracy caps keep."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from s1_hf.plots import style
from s1_hf.plots.labels import Mark, write_names

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from s1_hf.results.efforts import CapSummary, Claim

_MOST = 125.0  # percent: the axis ends here, whatever the intervals


def kept(
    caps: Sequence[CapSummary],
    claims: Sequence[Claim],
    ax: Axes | None = None,
    *,
    colors: style.Colors = None,
    labels: style.Labels = None,
) -> Axes:
    """The accuracy under each cap in percent of that without one, and the caps that efforts stand for.

    Args:
        caps (`Sequence[CapSummary]`): drawn with their intervals.
        claims (`Sequence[Claim]`): what they are to keep is a dotted line, and the cap that was found is labelled.
        ax (`matplotlib.axes.Axes`, *optional*): where to draw; by default a new figure, as large as the labels need.
        colors, labels (*optional*): for `"cap"` and `"effort"`, in this order or by name.

    Returns:
        `matplotlib.axes.Axes`: with a log2 axis of tokens.

    Raises:
        ModuleNotFoundError: matplotlib is not installed. ValueError: there are no caps.

    Example:

    ```python
    >>> from s1_hf.plots import kept
    >>> from s1_hf.results.efforts import CapSummary, Claim
    >>> large = CapSummary(900, 612, 80.1, 99.2, 97.1, 101.0, cut=3.0)
    >>> small = CapSummary(500, 430, 73.0, 90.5, 86.8, 93.9, cut=41.0)
    >>> ax = kept([large, small], [Claim("medium", 95, 900, "")])

    ```
    """
    if not caps:
        raise ValueError("`caps` has to contain at least one cap, but is empty.")
    is_ours, ax = ax is None, style.axes_of(ax)
    names = ["cap", "effort"]
    shades = dict(zip(names, style.colors_of(ax, names, colors), strict=True))
    texts = style.labels_of(names, labels, names)
    chosen = {claim.max_thinking_tokens for claim in claims}
    at = style.token_axis(ax, [cap.max_thinking_tokens for cap in caps])
    placed = sorted(zip(at, caps, strict=True), key=lambda pair: pair[0])
    line = [(x, cap.kept) for x, cap in placed]
    ax.plot([x for x, _ in line], [y for _, y in line], color=style.PALE, linewidth=1, zorder=1)
    for name, marker, text in zip(names, "os", texts, strict=True):
        own = [(x, cap) for x, cap in placed if (cap.max_thinking_tokens in chosen) == (name == "effort")]
        if own:
            x, y = [x for x, _ in own], [cap.kept for _, cap in own]
            low, high = [cap.low for _, cap in own], [_finite(cap.high) for _, cap in own]
            style.points_with_intervals(ax, x, y, low, high, color=shades[name], marker=marker, label=text)
    lowest = min([cap.low for cap in caps] + [claim.keeps for claim in claims])
    highest = min(_MOST, max(cap.high for cap in caps))
    margin = 0.06 * (highest - lowest)
    ax.set_ylim(max(lowest - margin, -margin), highest + 3 * margin)
    for claim in claims:
        ax.axhline(claim.keeps, color=style.PALE, linewidth=0.8, linestyle=":", zorder=0)
    style.finish(ax, x="cap on thinking tokens (log scale)", y="accuracy kept (%)")
    style.legend_above(ax, is_ours)
    marks = [
        Mark(x, cap.kept, cap.low, min(cap.high, _MOST), _label(cap, claims), shades["effort"]) for x, cap in placed
    ]
    levels = [[(x, claim.keeps) for x in ax.get_xlim()] for claim in claims]
    write_names(ax, marks, [line, *levels], grows=is_ours)
    return ax


def _finite(high: float) -> float:
    """An end that can be drawn, if far above the axis."""
    return 10 * _MOST if math.isinf(high) else high


def _label(cap: CapSummary, claims: Sequence[Claim]) -> str:
    """The efforts that a cap stands for; empty if there are none."""
    names = [f"{one.name} {one.keeps:g} %" for one in claims if one.max_thinking_tokens == cap.max_thinking_tokens]
    return style.label(f"{', '.join(names)}: {cap.max_thinking_tokens:,}", 36) if names else ""
