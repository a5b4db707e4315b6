"""How much accuracy caps keep: points, intervals, lines and labels are where the numbers say."""

import math

import pytest

pytest.importorskip("matplotlib")

from drawn_axes import axes, intervals, legend, texts

from s1_hf.plots import kept
from s1_hf.results.efforts import CapSummary, Claim


def cap(most, share, low, high):
    return CapSummary(most, 50.0, 30.0, share, low, high, cut=10.0)


CAPS = [cap(512, 100, 98, 102), cap(128, 97, 94, 99), cap(32, 60, 50, 70)]
CLAIMS = [Claim("low", 90, 128, ""), Claim("high", 99, None, "")]


def test_points_and_intervals_are_drawn_where_they_are():
    ax = kept(CAPS, CLAIMS, axes())
    line = ax.get_lines()[0]
    assert line.get_xdata().tolist() == [32, 128, 512] and line.get_ydata().tolist() == [60, 97, 100]
    assert intervals(ax) == {((512, 98), (512, 102)), ((128, 94), (128, 99)), ((32, 50), (32, 70))}
    assert legend(ax) == ["cap", "effort"]


def test_what_is_to_be_kept_is_a_line_and_what_was_found_is_named():
    ax = kept(CAPS, CLAIMS, axes())
    levels = {line.get_ydata()[0] for line in ax.get_lines() if line.get_linestyle() == ":"}
    assert levels == {90, 99} and texts(ax) == ["low 90 %: 128"]


def test_two_efforts_may_stand_for_one_cap():
    ax = kept(CAPS, [Claim("a", 80, 128, ""), Claim("b", 90, 128, "")], axes())
    assert texts(ax) == ["a 80 %, b 90 %: 128"]


def test_an_infinite_interval_and_a_cap_of_0_can_be_drawn():
    ax = kept([cap(64, 110, 90, math.inf), cap(0, 0, 0, 12)], [Claim("all", 90, 64, "")], axes())
    ax.figure.canvas.draw()
    low, high = ax.get_ylim()
    assert low <= 0 and 110 < high < 150 and ax.get_lines()[0].get_xdata().tolist() == [1, 64]


def test_hostile_names_are_drawn_literally():
    ax = kept(CAPS, [Claim("$\x1b[2J_{", 90, 128, "")], axes())
    assert all("\x1b" not in text and r"\$" in text for text in texts(ax))


def test_no_caps_are_refused():
    with pytest.raises(ValueError, match="`caps` has to contain at least one cap"):
        kept([], CLAIMS)
