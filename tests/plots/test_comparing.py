"""Methods side by side: lines over tokens, bars with Control and Scaling."""

import pytest

pytest.importorskip("matplotlib")

from drawn_axes import axes, intervals, legend, rows, texts

from s1_hf.plots import Curve, compare, performance
from s1_hf.results.summaries import MethodSummary


def test_methods_are_lines_over_the_same_tokens_in_the_order_of_tokens():
    ax = compare(
        [Curve("voting", [(800, 60, 50, 70), (200, 40, 30, 50)]), Curve("forcing", [(100, 20, 10, 30)])], axes()
    )
    lines = [container.lines[0] for container in ax.containers]
    assert [list(line.get_xdata()) for line in lines] == [[200, 800], [100]]
    assert [list(line.get_ydata()) for line in lines] == [[40, 60], [20]]
    assert ((800, 50), (800, 70)) in intervals(ax) and legend(ax) == ["voting", "forcing"]
    assert len({(line.get_color(), line.get_marker()) for line in lines}) == 2


def test_bars_of_methods_have_control_and_scaling_beside_them():
    best = MethodSummary("budget forcing", "t", 100, 15.2, 56.7, 8)
    ax = performance([best, MethodSummary("voting", "t", None, None, 60, 1)], axes())
    assert [bar.get_width() for bar in ax.patches] == [56.7, 60] and rows(ax) == ["budget forcing", "voting"]
    assert texts(ax) == ["56.7", "60.0", "100", "+15.2", "n/a", "n/a", "Control\n%", "Scaling\npp/×2"]


@pytest.mark.parametrize(("draw", "nothing"), [(compare, []), (compare, [Curve("a", [])]), (performance, [])])
def test_no_methods_are_refused(draw, nothing):
    with pytest.raises(ValueError, match="at least one"):
        draw(nothing, axes())


def test_behind_several_methods_the_best_of_all_is_drawn_and_behind_one_nothing():
    voting, forcing = Curve("voting", [(200, 40, 30, 50), (800, 60, 50, 70)]), Curve("forcing", [(100, 20, 10, 30)])
    worse = Curve("worse", [(400, 35, 30, 50), (900, 60, 50, 70)])
    ax = compare([voting, forcing, worse], axes())
    (best,) = [line for line in ax.lines if line.get_drawstyle() == "steps-post"]
    assert list(zip(*best.get_data(), strict=True))[:3] == [(100, 20), (200, 40), (800, 60)]
    assert best.get_xdata()[-1] >= 900 and len(legend(ax)) == 3
    assert not any(line.get_drawstyle() == "steps-post" for line in compare([voting], axes()).lines)
