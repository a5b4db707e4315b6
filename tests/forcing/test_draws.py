"""Draws follow the probabilities, and the same step draws the same number whenever it comes again."""

from __future__ import annotations

import pytest
import torch

from s1_hf.forcing.draws import CHUNK, RowNumbers, SeededDraws, SharedDraws, exact_dtype

EVEN = torch.full((1, 1000), 1 / 1000)


def drawn(draws: SeededDraws | SharedDraws, rows: int, length: int, again: bool = False) -> list[int]:
    return draws.draw(EVEN.expand(rows, -1), length, again).tolist()


def test_a_token_is_drawn_where_the_running_sum_passes_the_number():
    """Drawn by the same numbers from [.2, .5, .3] and from a thousand even parts, which show what the numbers were."""
    draws = SeededDraws(range(500))
    parts = torch.tensor([0.2, 0.5, 0.3])
    tokens, numbers = draws.draw(parts.expand(500, -1), 3), torch.tensor(drawn(draws, 500, 3))
    expected = (numbers >= 200).long() + (numbers >= 700).long()
    assert torch.equal(tokens, expected)
    assert set(tokens.tolist()) == {0, 1, 2}


def test_a_token_without_probability_is_never_drawn():
    """At either end, between others, and where sums fall short of 1 by rounding."""
    parts = torch.tensor([0.0, 0.25, 0.0, 0.75 - 1e-4, 0.0])
    tokens = SeededDraws(range(2000)).draw(parts.expand(2000, -1), 1)
    assert set(tokens.tolist()) == {1, 3}


@pytest.mark.parametrize("make", [SharedDraws, lambda: SeededDraws(range(5))], ids=["shared", "seeded"])
def test_the_same_length_draws_the_same_again_until_a_new_call_begins(make):
    """A step that assisted decoding takes back and asks about again."""
    torch.manual_seed(0)
    draws = make()
    draws.begin()
    first = [drawn(draws, 5, length) for length in (7, 8, 9)]
    assert [drawn(draws, 5, length) for length in (7, 8, 9)] == first
    assert first[0] != first[1] != first[2]


def test_shared_draws_are_new_in_every_call():
    torch.manual_seed(0)
    draws = SharedDraws()
    first = drawn(draws, 5, 7)
    draws.begin()
    assert drawn(draws, 5, 7) != first


def test_shared_draws_follow_torchs_generator():
    torch.manual_seed(3)
    first = drawn(SharedDraws(), 5, 7)
    torch.manual_seed(3)
    assert drawn(SharedDraws(), 5, 7) == first


def test_a_seeded_row_depends_on_its_seed_and_step_alone():
    """Not on the rows beside it, torch's own generator, or how long its prompt is."""
    torch.manual_seed(0)
    together, alone = SeededDraws([4, 5, 6]), SeededDraws([5])
    for step in range(3):
        assert drawn(together, 3, 20 + step)[1] == drawn(alone, 1, 7 + step)[0]
        torch.rand(9)


def test_a_seeded_row_goes_on_from_the_steps_it_has_taken():
    whole, rest = SeededDraws([4, 5]), SeededDraws([4, 5], steps=[2, 3])
    steps = [drawn(whole, 2, 10 + step) for step in range(6)]
    assert [drawn(rest, 2, 50 + step) for step in range(3)] == [
        [steps[2 + step][0], steps[3 + step][1]] for step in range(3)
    ]


def test_numbers_are_drawn_ahead_without_a_seam():
    """Steps on either side of a chunk's edge are those of a run that starts there."""
    long, late = SeededDraws([4]), SeededDraws([4], steps=[CHUNK - 1])
    drawn(long, 1, 10)
    assert [drawn(long, 1, 10 + CHUNK - 1 + k) for k in range(3)] == [drawn(late, 1, 10 + k) for k in range(3)]


def test_a_step_has_two_numbers_of_its_own():
    draws = SeededDraws(range(5))
    assert drawn(draws, 5, 7) != drawn(draws, 5, 7, again=True)


def test_sums_are_kept_in_double_precision_where_there_is_one():
    assert exact_dtype(torch.device("cpu")) == exact_dtype(torch.device("cuda")) == torch.float64
    assert exact_dtype(torch.device("mps")) == torch.float32


def test_a_rows_numbers_are_those_of_its_seeded_draws():
    """Both of a step, in any order, across the seam of what is drawn ahead."""
    draws, numbers = SeededDraws([3, 8]), RowNumbers(8)
    steps = [0, CHUNK - 1, CHUNK, 5]
    drawn(draws, 2, 0)
    for step in sorted(steps, reverse=True):
        wanted = [int(1000 * number) for number in numbers.at(step)]
        assert wanted == [drawn(draws, 2, step)[1], drawn(draws, 2, step, again=True)[1]]
