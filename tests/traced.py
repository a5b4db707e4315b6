"""CUDA graphs played on the CPU: traced once without looking at a value, then replayed into the same memory."""

import pytest
import torch
from torch.fx.experimental.proxy_tensor import make_fx

from s1_hf.forcing import decisions
from s1_hf.generation import cautions, processor, replay, sampling


class TracedGraph:
    def __init__(self, function, held):
        self._held = held
        self._graph = make_fx(function)(*held)
        self.results = tuple(torch.empty_like(result) for result in self._graph(*held))
        self.replays = 0

    def replay(self):
        self.replays += 1
        for result, new in zip(self.results, self._graph(*self._held), strict=True):
            result.copy_(new)


def play_graphs(monkeypatch: pytest.MonkeyPatch) -> list[TracedGraph]:
    """Those that are recorded from here on; as on a GPU no value is looked at."""
    graphs = []

    def record(function, held):
        graphs.append(TracedGraph(function, held))
        return graphs[-1], graphs[-1].results

    monkeypatch.setattr(replay, "record", record)
    for module in (processor, cautions):
        monkeypatch.setattr(module, "can_record", lambda device: True)
    for module in (decisions, sampling):
        monkeypatch.setattr(module, "possibly", lambda rows: True)
    monkeypatch.setattr(decisions, "highest", lambda scores: scores.argmax(-1))
    return graphs
