"""Names beside marks, measured as they are drawn."""

import random
from functools import cache

import pytest

pytest.importorskip("matplotlib")

from drawn_axes import axes, names, overlaps, texts
from matplotlib.transforms import Bbox

from s1_hf.plots import ScalingPoint, TrainedModel, sample_efficiency, scaling
from s1_hf.plots.style import new_figure

TABLE = {
    "r1-distill": (800_000, 94.3), "OpenThinker-32B": (114_000, 90.6), "Sky-T1": (17_000, 82.4),
    "Bespoke-32B": (17_000, 93.0), "LIMO": (817, 94.8), "s1 w/o BF": (1000, 92.6), "s1-32B": (1000, 93.0),
    "1K-random": (1000, 90.6), "1K-diverse": (1000, 91.2), "1K-longest": (1000, 90.4), "59K-full": (59_000, 92.8),
    "s1K-1.1": (1000, 94.8),
}  # fmt: skip


def settings(count, seed=0):
    """Settings that crowd where thinking is long, as those of a grid do."""
    draw = random.Random(seed)
    for n in range(count):
        tokens = 2 ** min(draw.uniform(8, 14), 12 + draw.random() / 2)
        accuracy = min(99.0, 8 * (tokens / 256) ** 0.7 + 6 * draw.random())
        spread = draw.uniform(2, 9)
        kind = draw.choice(["cap", "none", "ignore", "both"])
        yield ScalingPoint(tokens, accuracy, max(0, accuracy - spread), min(100, accuracy + spread), kind, f"{n}, ×{n}")


def crosses(ax, points):
    """The boxes of marks."""
    size = 4.5 * ax.figure.dpi / 72
    return [Bbox.from_bounds(x - size / 2, y - size / 2, size, size) for x, y in ax.transData.transform(points)]


@cache
def crowd():
    return scaling(list(settings(40)))


@cache
def models():
    given = [(name, *at) for name, at in TABLE.items()]
    ax = sample_efficiency([TrainedModel(*one) for one in given])
    ax.figure.draw_without_rendering()
    return ax, given


@pytest.mark.parametrize(("count", "seed"), [(3, 0), (7, 1), (12, 2), (12, 3), (40, 0)])
def test_names_touch_no_name_no_mark_and_no_edge(count, seed):
    points = list(settings(count, seed))
    ax = crowd() if count == 40 else scaling(points)
    ax.figure.draw_without_rendering()
    written = names(ax)
    assert not overlaps(written)
    assert not overlaps(written, crosses(ax, [(p.thinking_tokens, p.accuracy) for p in points]))
    assert not overlaps(written, [ax.get_legend().get_window_extent()])
    assert all(ax.bbox.count_contains([box.min, box.max]) == 2 for box in written)
    assert len(written) >= 0.9 * count and (count > 12 or len(written) == count)


def test_all_models_of_a_paper_have_their_names():
    ax, given = models()
    assert texts(ax) == [name for name, *_ in given] and not overlaps(names(ax))


def test_a_name_without_a_line_is_nearest_to_its_own_mark():
    ax, given = models()
    marks = ax.transData.transform([at for _, *at in given])
    with_line = {tuple(at) for at in ax.collections[-1].get_offsets().tolist()}
    for (_, *at), own, box in zip(given, marks, names(ax), strict=True):
        away = [max(box.x0 - x, x - box.x1, box.y0 - y, y - box.y1) for x, y in marks]
        if tuple(at) not in with_line:
            assert min(away) == max(box.x0 - own[0], own[0] - box.x1, box.y0 - own[1], own[1] - box.y1)
    assert with_line and len(with_line) < len(given)


def test_lines_lead_from_marks_to_names():
    ax, given = models()
    lines = ax.collections[-1]
    at_name = dict(zip([tuple(at) for _, *at in given], names(ax), strict=True))
    scale = ax.figure.dpi / 72
    for (start, end), at in zip(lines.get_segments(), lines.get_offsets().tolist(), strict=True):
        x, y = ax.transData.transform(at) + scale * (end - start)
        box = at_name[tuple(at)].padded(1)
        assert start.tolist() == [0, 0] and box.contains(x, y)


def test_a_figure_of_ours_grows_and_one_that_is_given_does_not():
    few, many = scaling(list(settings(5))).figure, crowd().figure
    assert few.get_figwidth() == 3.3 and many.get_figwidth() == 6.6 and many.get_figheight() > few.get_figheight()
    given = new_figure()
    scaling(list(settings(20)), given.add_subplot())
    assert given.get_size_inches().tolist() == [3.3, 2.2]


def test_a_subfigure_can_be_drawn_into():
    half, _ = new_figure().subfigures(1, 2)
    assert texts(scaling(list(settings(1)), half.add_subplot())) == ["0, ×0"]


def test_in_a_crowd_settings_in_the_same_place_share_a_name():
    same = [ScalingPoint(100, 20, 10, 30, "cap", name) for name in ("a", "b", "", "c")]
    others = [ScalingPoint(200 * n, 40 + 2 * n, 39 + 2 * n, 41 + 2 * n, "both", f"{n}") for n in range(1, 15)]
    assert set(texts(scaling([*same, *others]))) == {"a +2", *(point.label for point in others)}
    assert {"a", "b", "c"} <= set(texts(scaling(same)))


def test_where_there_is_no_room_a_name_is_left_out():
    ax = axes()
    ax.figure.set_size_inches(1, 1)
    written = texts(scaling([ScalingPoint(10, 50 + n / 100, 0, 100, "cap", f"setting {n}") for n in range(9)], ax))
    assert len(written) < 9
