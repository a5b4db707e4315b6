"""Draws follow the weights, and the same step has the same numbers whenever it comes again."""

from __future__ import annotations

import pytest
import torch

from s1_hf.forcing.draws import BLOCK, CHUNK, RowNumbers, SeededDraws, SharedDraws, drawn, exact_dtype

CPU = torch.device("cpu")


def numbers(draws: SeededDraws | SharedDraws, rows: int, length: int, again: bool = False) -> list[float]:
    return draws.numbers(rows, length, CPU, again)[:, 0].tolist()


@pytest.mark.parametrize("before", [0, 5, BLOCK, 3 * BLOCK, 3 * BLOCK + 7])
@pytest.mark.parametrize("behind", [0, 5, 2 * BLOCK])
def test_a_token_is_drawn_where_the_running_sum_passes_the_number(before, behind):
    """In a small vocabulary and in one of several blocks; weights need not sum to 1."""
    weights = torch.cat([torch.zeros(before), torch.tensor([0.4, 1.0, 0.6]), torch.zeros(behind)])
    number = torch.tensor([[0.0], [0.19], [0.21], [0.69], [0.71], [1.0]])
    tokens = drawn(weights.expand(6, -1), number)[:, 0] - before
    assert tokens.tolist() == [0, 0, 1, 1, 2, 2]


def test_a_token_without_weight_is_never_drawn():
    """At either end, between others, and where sums fall short of 1 by rounding."""
    parts = torch.tensor([0.0, 0.25, 0.0, 0.75 - 1e-4, 0.0])
    for wide in (1, 1000):
        tokens = drawn(parts.repeat_interleave(wide).expand(2000, -1), torch.linspace(0, 1, 2000)[:, None]) // wide
        assert set(tokens[:, 0].tolist()) == {1, 3}


def test_every_token_is_drawn_as_often_as_its_weight_says():
    """Against running sums over the whole vocabulary, in which blocks are of no concern."""
    weights = torch.rand(3, 5 * BLOCK + 3, generator=torch.Generator().manual_seed(1)) ** 8
    for number in torch.linspace(0.001, 0.999, 97):
        sums = weights.double().cumsum(1)
        whole = torch.searchsorted(sums, number.double() * sums[:, -1:])
        assert torch.equal(drawn(weights, number.double().expand(3, 1)), whole)


@pytest.mark.parametrize("make", [SharedDraws, lambda: SeededDraws(range(5))], ids=["shared", "seeded"])
def test_the_same_length_draws_the_same_again_until_a_new_call_begins(make):
    """A step that assisted decoding takes back and asks about again."""
    torch.manual_seed(0)
    draws = make()
    draws.begin()
    first = [numbers(draws, 5, length) for length in (7, 8, 9)]
    assert [numbers(draws, 5, length) for length in (7, 8, 9)] == first
    assert first[0] != first[1] != first[2]


def test_shared_draws_are_new_in_every_call():
    torch.manual_seed(0)
    draws = SharedDraws()
    first = numbers(draws, 5, 7)
    draws.begin()
    assert numbers(draws, 5, 7) != first


def test_shared_draws_follow_torchs_generator():
    torch.manual_seed(3)
    first = numbers(SharedDraws(), 5, 7)
    torch.manual_seed(3)
    assert numbers(SharedDraws(), 5, 7) == first


def test_a_seeded_row_depends_on_its_seed_and_step_alone():
    """Not on the rows beside it, torch's own generator, or how long its prompt is."""
    torch.manual_seed(0)
    together, alone = SeededDraws([4, 5, 6]), SeededDraws([5])
    for step in range(3):
        assert numbers(together, 3, 20 + step)[1] == numbers(alone, 1, 7 + step)[0]
        torch.rand(9)


def test_a_seeded_row_goes_on_from_the_steps_it_has_taken():
    whole, rest = SeededDraws([4, 5]), SeededDraws([4, 5], steps=[2, 3])
    steps = [numbers(whole, 2, 10 + step) for step in range(6)]
    assert [numbers(rest, 2, 50 + step) for step in range(3)] == [
        [steps[2 + step][0], steps[3 + step][1]] for step in range(3)
    ]


def test_numbers_are_drawn_ahead_without_a_seam():
    """Steps on either side of a chunk's edge are those of a run that starts there."""
    long, late = SeededDraws([4]), SeededDraws([4], steps=[CHUNK - 1])
    numbers(long, 1, 10)
    assert [numbers(long, 1, 10 + CHUNK - 1 + k) for k in range(3)] == [numbers(late, 1, 10 + k) for k in range(3)]


def test_a_step_has_two_numbers_of_its_own():
    draws = SeededDraws(range(5))
    assert numbers(draws, 5, 7) != numbers(draws, 5, 7, again=True)


def test_sums_are_kept_in_double_precision_where_there_is_one():
    assert exact_dtype(torch.device("cpu")) == exact_dtype(torch.device("cuda")) == torch.float64
    assert exact_dtype(torch.device("mps")) == torch.float32


def test_a_rows_numbers_are_those_of_its_seeded_draws():
    """Both of a step, in any order, across the seam of what is drawn ahead."""
    draws, own = SeededDraws([3, 8]), RowNumbers(8)
    numbers(draws, 2, 0)
    for step in (CHUNK, CHUNK - 1, 5, 0):
        assert own.at(step) == [numbers(draws, 2, step)[1], numbers(draws, 2, step, again=True)[1]]
