"""How thinking ended, and how long it was."""

import pytest

pytest.importorskip("matplotlib")

from drawn_axes import axes, legend, rows

from s1_hf.plots import ended, lengths
from s1_hf.plots.thinking import _ENDINGS
from s1_hf.results.rows import ENDED


def test_bars_of_how_thinking_ended_are_stacked_to_a_hundred_percent():
    ax = ended({"cap": {"cut": 3, "natural": 1}, "none": {"natural": 5}}, axes())
    natural, cut = ax.containers
    assert [bar.get_width() for bar in natural] == [25, 100] and [bar.get_width() for bar in cut] == [75, 0]
    assert [bar.get_x() for bar in cut] == [25, 100]
    assert rows(ax) == ["cap", "none"] and legend(ax) == ["natural", "cut"]
    assert {bar.get_hatch() for bar in natural} != {bar.get_hatch() for bar in cut}


def test_every_way_of_ending_has_its_own_look():
    """Those of reports and `not_found`; no two share a colour or a hatch, or a greyscale print is not readable."""
    assert tuple(_ENDINGS) == ENDED
    colors, hatches, names = zip(*_ENDINGS.values(), strict=True)
    assert len(set(colors)) == len(set(hatches)) == len(ENDED)
    ax = ended({"all": dict.fromkeys(ENDED, 1)}, axes())
    assert legend(ax) == list(names)


def test_an_unknown_way_of_ending_is_refused():
    with pytest.raises(ValueError, match="counted by natural, cut"):
        ended({"cap": {"timeout": 3}}, axes())


def test_histograms_count_answers_in_quarters_of_a_doubling_and_mark_the_median():
    ax = lengths({"one": [64, 64, 64, 100], "two": [128]}, axes())
    outline = ax.patches[1].get_data()
    assert outline.edges[0] == 64 and outline.edges[4] == 128
    assert (outline.baseline - outline.values).tolist() == pytest.approx([0.85, 0, 0.85 / 3, 0, 0])
    assert [list(line.get_xdata()) for line in ax.lines] == [[64, 64], [128, 128]] and rows(ax) == ["one", "two"]
