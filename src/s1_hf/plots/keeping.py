"""How much of the accuracy caps keep."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from s1_hf.plots import style

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from s1_hf.results.efforts import CapSummary, Claim

_MOST = 125.0  # percent: the axis ends here, whatever the intervals


def kept(caps: Sequence[CapSummary], claims: Sequence[Claim], ax: Axes | None = None) -> Axes:
    """The accuracy under each cap in percent of that without one, and the caps that efforts stand for.

    Args:
        caps (`Sequence[CapSummary]`): drawn with their intervals.
        claims (`Sequence[Claim]`): what they are to keep is a dotted line, and the cap that was found is labelled.
        ax (`matplotlib.axes.Axes`, *optional*): where to draw; by default a new figure.

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
    ax = style.axes_of(ax)
    chosen = {claim.max_thinking_tokens for claim in claims}
    at = style.token_axis(ax, [cap.max_thinking_tokens for cap in caps])
    placed = sorted(zip(at, caps, strict=True), key=lambda pair: pair[0])
    ax.plot([x for x, _ in placed], [cap.kept for _, cap in placed], color="0.7", linewidth=1, zorder=1)
    _draw(ax, [pair for pair in placed if pair[1].max_thinking_tokens not in chosen], style.BLUE, "o", "cap")
    _draw(ax, [pair for pair in placed if pair[1].max_thinking_tokens in chosen], style.VERMILION, "s", "effort")
    lowest = min([cap.low for cap in caps] + [claim.keeps for claim in claims])
    highest = min(_MOST, max(cap.high for cap in caps))
    margin = 0.06 * (highest - lowest)
    ax.set_ylim(max(lowest - margin, -margin), highest + 3 * margin)
    for claim in claims:
        ax.axhline(claim.keeps, color="0.7", linewidth=0.8, linestyle=":", zorder=0)
    style.legend_above(ax)
    style.finish(ax, x="cap on thinking tokens (log scale)", y="accuracy kept (%)")
    style.annotate(ax, [_label(x, cap, claims) for x, cap in placed])
    return ax


def _draw(ax: Axes, placed: Sequence[tuple[float, CapSummary]], color: str, marker: str, label: str) -> None:
    if not placed:
        return
    below = [max(0.0, cap.kept - cap.low) for _, cap in placed]
    above = [max(0.0, _finite(cap.high) - cap.kept) for _, cap in placed]
    look: dict[str, Any] = {"color": color, "marker": marker, "label": label}
    ax.errorbar(
        [x for x, _ in placed],
        [cap.kept for _, cap in placed],
        yerr=[below, above],
        linestyle="none",
        capsize=1.5,
        elinewidth=0.8,
        markersize=4,
        **look,
    )


def _finite(high: float) -> float:
    """An end that can be drawn, if far above the axis."""
    return 10 * _MOST if math.isinf(high) else high


def _label(x: float, cap: CapSummary, claims: Sequence[Claim]) -> tuple[float, float, float, str, str]:
    names = [f"{one.name} {one.keeps:g} %" for one in claims if one.max_thinking_tokens == cap.max_thinking_tokens]
    text = style.label(f"{', '.join(names)}: {cap.max_thinking_tokens:,}", 36) if names else ""
    return x, cap.low, min(cap.high, _MOST), text, style.VERMILION
