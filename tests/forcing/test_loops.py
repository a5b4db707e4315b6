"""Which rows repeat themselves, to the token; `test_decisions` and `test_loop_guard` test what becomes of them."""

from __future__ import annotations

import pytest
import torch

from s1_hf import LoopGuard
from s1_hf.forcing.loops import looping


def loops(text: str, thinking_tokens: int, **guard: int) -> bool:
    """Whether a row whose last tokens are the letters of `text` repeats itself."""
    ids = torch.tensor([[ord(letter) for letter in text]])
    return bool(looping(ids, torch.tensor([thinking_tokens]), LoopGuard(**guard)))


@pytest.mark.parametrize(
    ("text", "expected"),
    [("xab", False), ("xababa", False), ("xababab", True), ("ababab", True), ("xabxbab", False), ("ababa", False)],
)
def test_a_loop_is_so_many_repeats_of_its_period(text, expected):
    assert loops(text, len(text), max_period=2, repeats=3, min_tokens=2) is expected


@pytest.mark.parametrize("min_tokens", [2, 12])
@pytest.mark.parametrize(("period", "expected"), [(1, True), (2, True), (3, True), (4, False)])
def test_a_loop_has_a_period_of_at_most_the_longest(period, expected, min_tokens):
    assert loops("abcd"[:period] * 12, 12, max_period=3, repeats=2, min_tokens=min_tokens) is expected


def test_a_loop_may_have_a_shorter_period_than_the_longest():
    """Then it also takes fewer tokens, whatever stands before them."""
    assert loops("xyzaaa", 6, max_period=2, repeats=3, min_tokens=2) is True
    assert loops("xyzyaa", 6, max_period=2, repeats=3, min_tokens=2) is False


def test_a_loop_may_have_a_period_of_one_token():
    assert loops("baaa", 4, max_period=1, repeats=3, min_tokens=2) is True


def test_rows_may_be_shorter_than_any_loop():
    guard = LoopGuard(max_period=3, repeats=3, min_tokens=2)
    assert looping(torch.tensor([[1], [1], [2]]), torch.tensor([1, 1, 1]), guard).tolist() == [False] * 3


@pytest.mark.parametrize(("count", "expected"), [(6, False), (7, True), (8, True)])
def test_a_loop_has_at_least_the_fewest_tokens(count, expected):
    """More tokens than the repeats need, and no whole number of periods; the row may be shorter than the stretch."""
    assert loops("b" + "a" * count, count, max_period=2, repeats=2, min_tokens=7) is expected
    assert loops("a" * count, count, max_period=2, repeats=2, min_tokens=7) is expected


def test_a_loop_lies_wholly_in_thinking():
    """A prompt that sets the rhythm does not count."""
    assert [loops("ababab", n, max_period=2, repeats=3, min_tokens=2) for n in (0, 5, 6)] == [False, False, True]


def test_a_loop_shows_in_its_last_tokens():
    assert loops("abababc", 7, max_period=2, repeats=3, min_tokens=2) is False
    assert loops("cabababab", 9, max_period=2, repeats=3, min_tokens=2) is True


def test_a_loop_whose_first_token_is_off_is_none():
    assert loops("bbabab", 6, max_period=2, repeats=3, min_tokens=2) is False
    assert loops("cbabab", 6, max_period=2, repeats=3, min_tokens=2) is False


def test_a_loop_is_looked_for_in_every_row():
    ids = torch.tensor([[1, 2, 1, 2], [1, 2, 1, 1], [3, 3, 3, 3], [2, 1, 2, 1]])
    guard = LoopGuard(max_period=2, repeats=2, min_tokens=4)
    assert looping(ids, torch.tensor([4, 4, 4, 3]), guard).tolist() == [True, False, True, False]


def test_a_guard_is_patient_by_default():
    """Four rounds and 64 tokens: `0000` and a short list are no loops."""
    guard = LoopGuard()
    assert (guard.max_period, guard.repeats, guard.min_tokens) == (64, 4, 64)


def test_the_longest_period_is_at_most_512():
    """The cost of a step grows with its square."""
    assert LoopGuard(max_period=512).max_period == 512
    with pytest.raises(ValueError, match="`max_period` has to be at most 512"):
        LoopGuard(max_period=513)
    assert LoopGuard(max_period=512, repeats=8, min_tokens=4096).width == 4096
    for guard in ({"max_period": 512, "repeats": 9}, {"min_tokens": 4097}, {"repeats": 2**70}):
        with pytest.raises(ValueError, match="have to be at most 4,096 tokens"):
            LoopGuard(**guard)
    with pytest.raises(ValueError, match="but are 4,608 and 64"):
        LoopGuard(max_period=512, repeats=9)


def test_nothing_is_read_off_the_device():
    """Tensors of the meta device have shapes and no numbers: reading one, or mixing in one of the CPU, fails."""
    ids = torch.zeros(2, 9, dtype=torch.long, device="meta")
    looped = looping(ids, torch.zeros(2, dtype=torch.long, device="meta"), LoopGuard())
    assert (looped.device.type, looped.shape, looped.dtype) == ("meta", (2,), torch.bool)


@pytest.mark.parametrize(
    ("name", "least", "values"),
    [("max_period", 1, [0, -3]), ("repeats", 2, [1, 0]), ("min_tokens", 2, [1, -1])],
)
def test_a_loop_guards_numbers_have_lower_limits(name, least, values):
    """Each limit itself is allowed, one less is not, nor is anything but an integer."""
    LoopGuard(**{name: least})
    for value in [*values, True, 4.0, "4", None]:
        with pytest.raises(ValueError) as error:
            LoopGuard(**{name: value})
        assert str(error.value) == f"`{name}` has to be an integer of at least {least}, but is {value!r}."


def test_a_loop_guard_names_all_bad_numbers():
    with pytest.raises(ValueError, match="`max_period` .*`repeats` .*`min_tokens` "):
        LoopGuard(max_period=0, repeats=0, min_tokens=0)
