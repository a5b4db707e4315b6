"""The budgets of the rows of one call."""

from __future__ import annotations

import pytest

from s1_hf.generation.limits import check_repeated

A, B = [1, 2], [1, 3]


@pytest.mark.parametrize(
    ("rows", "prompts", "copies"),
    [([A, B], 2, 1), ([A, A, B, B], 2, 2), ([A, A, B, B], 2, 1), ([A], 1, 1), ([A, A, A, A], 2, 1), ([A] * 3, 1, 3)],
    ids=str,
)
def test_a_prompts_rows_stand_side_by_side(rows, prompts, copies):
    check_repeated(rows, prompts, copies)


@pytest.mark.parametrize(
    ("rows", "prompts", "copies"),
    [
        ([A, B, A, B], 2, 1),
        ([A], 2, 1),
        ([A, A, B], 2, 1),
        ([A, A, B, B], 2, 3),
        ([], 2, 1),
        ([A, A, A, B, B, B], 2, 2),
    ],
    ids=str,
)
def test_other_rows_do_not_fit(rows, prompts, copies):
    with pytest.raises(ValueError, match=f"{prompts} budgets were given, but the batch has {len(rows)} rows"):
        check_repeated(rows, prompts, copies)
