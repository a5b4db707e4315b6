"""A function that is recorded once for each set of shapes."""

import torch

from s1_hf.generation.replay import Replayed, can_record
from traced import play_graphs


def doubled(one: torch.Tensor, other: torch.Tensor) -> tuple[torch.Tensor, ...]:
    return 2 * one, one + other


def test_it_is_recorded_once_for_each_set_of_shapes(monkeypatch):
    graphs = play_graphs(monkeypatch)
    replayed = Replayed(doubled)
    for rows in (3, 3, 2, 3):
        one, other = torch.rand(rows), torch.rand(rows)
        assert all(torch.equal(a, b) for a, b in zip(replayed(one, other), doubled(one, other), strict=True))
    assert [graph.replays for graph in graphs] == [3, 1]


def test_results_are_the_callers_own(monkeypatch):
    play_graphs(monkeypatch)
    replayed = Replayed(doubled)
    first = replayed(torch.ones(2), torch.ones(2))
    replayed(torch.zeros(2), torch.zeros(2))
    assert first[0].tolist() == first[1].tolist() == [2.0, 2.0]


def test_only_cuda_records():
    assert not can_record(torch.device("cpu"))
    assert not can_record(torch.device("mps"))
    assert can_record(torch.device("cuda", 1)) is (torch.version.hip is None)
