"""What callers give as numbers and lists, in Python's own types."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from misuse import Series
from s1_hf.forcing.values import instead, plain, shown


@pytest.mark.parametrize(
    ("given", "held"),
    [
        (np.int64(3), 3),
        (torch.tensor(3), 3),
        (np.array([[1, 2], [3, 4]]), [[1, 2], [3, 4]]),
        (torch.tensor([0.5], dtype=torch.bfloat16, requires_grad=True), [0.5]),
        (Series([np.int64(1), None]), [1, None]),
        (np.array([np.array(["a"], dtype=object), None], dtype=object), [["a"], None]),
        ((torch.tensor(1), "12"), [1, "12"]),
        (True, True),
        (np.bool_(True), True),
        (None, None),
        ("12", "12"),
        (b"12", b"12"),
    ],
    ids=str,
)
def test_what_holds_values_is_what_it_holds(given, held):
    found = plain(given)
    assert found == held and type(found) is type(held)
    if isinstance(held, list):
        assert [type(one) for one in found] == [type(one) for one in held]


@pytest.mark.parametrize("given", [[1, None], (1, 2), {"a": 1}, {1}, [[1], ["a"]], [{"role": "user"}]], ids=str)
def test_what_is_plain_already_stays_itself(given):
    assert plain(given) is given


def test_a_value_is_shown_as_it_is_written_up_to_a_length():
    assert shown([1, "a"]) == "[1, 'a']"
    assert len(shown(list(range(100_000)))) < 500
    assert shown(list(range(100_000))).startswith("[0, 1,") and shown(list(range(100_000))).endswith("99999]")


@pytest.mark.parametrize(
    ("given", "is_loose"), [({1}, True), (iter([1]), True), ([1], False), ("a", False), (1, False)]
)
def test_only_what_can_be_gone_through_is_to_be_a_list(given, is_loose):
    assert bool(instead(given)) == is_loose


@pytest.mark.parametrize("given", [torch.ones(2).to_sparse(), torch.empty(2, device="meta")], ids=["sparse", "meta"])
def test_tensors_without_plain_values_are_refused(given):
    with pytest.raises(ValueError, match="have to be a list or a dense array"):
        plain(given)
