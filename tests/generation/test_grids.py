"""The settings of a sweep: their order, the largest and smallest, and what is none."""

import pytest

from s1_hf import Budget
from s1_hf.generation.grids import chosen_settings, curve, grid, largest_setting, smallest_setting


def points(settings: list[Budget]) -> list[tuple]:
    return [(setting.max_thinking_tokens, setting.num_ignores) for setting in settings]


def test_a_grid_has_every_combination_ignores_within_caps():
    assert points(grid([9, None, 4], [2, 0])) == [(9, 2), (9, 0), (None, 2), (None, 0), (4, 2), (4, 0)]


def test_all_settings_share_the_rest_of_the_budget():
    settings = grid([9, None], [0, 1], Budget(wait_text="Hmm"))
    assert {setting.wait_text for setting in settings} == {"Hmm"}


def test_a_curve_has_caps_no_intervention_and_ignores():
    assert points(curve([3, 9], [1, 4])) == [(3, 0), (9, 0), (None, 0), (None, 1), (None, 4)]
    assert points(curve([], [2])) == [(None, 0), (None, 2)]
    assert points(curve([5], [])) == [(5, 0), (None, 0)]


def test_a_curve_with_0_ignores_is_refused():
    with pytest.raises(ValueError, match="`num_ignores` has to be without 0"):
        curve([3], [0, 1])


@pytest.mark.parametrize(
    ("settings", "largest"),
    [
        ([(3, 0), (9, 1), (4, 5)], (9, 5)),
        ([(3, 2), (None, 0), (9, 1)], (None, 2)),
        ([(0, 0)], (0, 0)),
    ],
)
def test_the_largest_setting_has_the_largest_cap_and_the_most_ignores(settings, largest):
    """They need not belong to one setting; no cap is larger than any."""
    budgets = [Budget(max_thinking_tokens=cap, num_ignores=count) for cap, count in settings]
    assert points([largest_setting(budgets)]) == [largest]


def test_the_smallest_setting_has_the_smallest_cap():
    assert smallest_setting(grid([None, 7, 20], [0])).max_thinking_tokens == 7
    assert smallest_setting(grid([None, 0], [0])).max_thinking_tokens == 0


def test_given_settings_are_kept_in_their_order():
    given = [Budget(num_ignores=2), Budget(max_thinking_tokens=4)]
    assert chosen_settings(given) == given
    assert points(chosen_settings(None, [4], [1, 0])) == [(4, 1), (4, 0)]


@pytest.mark.parametrize(
    "other", [{"max_thinking_tokens": [3]}, {"num_ignores": [1]}, {"budget": Budget(wait_text="a")}]
)
def test_given_settings_stand_alone(other):
    with pytest.raises(ValueError, match="`settings` has to stand alone"):
        chosen_settings([Budget(max_thinking_tokens=4)], **other)


def test_what_has_no_effect_under_any_setting_is_refused():
    with pytest.raises(ValueError, match="`cut_window` has no effect without `max_thinking_tokens`"):
        grid([None], [0, 1], Budget(cut_window=3))
    grid([None, 9], [0], Budget(cut_window=3))


@pytest.mark.parametrize(
    ("values", "match"),
    [
        (([], [0]), "`max_thinking_tokens` has to be a sequence of different numbers of tokens"),
        ((500, [0]), "`max_thinking_tokens` has to be a sequence"),
        (("auto", [0]), "`max_thinking_tokens` has to be a sequence"),
        (([5, 5], [0]), "`max_thinking_tokens` has to be a sequence of different"),
        (([5], [1, 1]), "`num_ignores` has to be a sequence of different numbers of ends"),
        (([5], None), "`num_ignores` has to be a sequence"),
        ((["auto"], [0]), "has to be made of numbers and None, but has 'auto'"),
    ],
)
def test_what_is_no_grid_is_refused(values, match):
    with pytest.raises(ValueError, match=match):
        grid(*values)
