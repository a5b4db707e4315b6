"""A function of tensors, recorded once as a CUDA graph and then replayed: one launch in place of many."""

from __future__ import annotations

from collections.abc import Callable

import torch

Function = Callable[..., tuple[torch.Tensor, ...]]
"""Of tensors alone, whose shapes say everything about the operations; it waits for nothing and draws nothing."""


class Replayed:
    """A function that is recorded once for all arguments of the same shapes.

    What it holds, such as limits and tables, is recorded by its address, and has to stay as it is.
    """

    def __init__(self, function: Function) -> None:
        self._function = function
        self._recordings: dict[tuple[torch.Size, ...], Recording] = {}

    def __call__(self, *given: torch.Tensor) -> tuple[torch.Tensor, ...]:
        shapes = tuple(tensor.shape for tensor in given)
        if shapes not in self._recordings:
            self._recordings[shapes] = Recording(self._function, given)
        return self._recordings[shapes](*given)


class Recording:
    """One CUDA graph, with the memory that it reads and writes. It belongs to one device and one thread at a time."""

    def __init__(self, function: Function, given: tuple[torch.Tensor, ...]) -> None:
        self._held = [tensor.clone() for tensor in given]
        self._graph, self._results = record(function, self._held)

    def __call__(self, *given: torch.Tensor) -> tuple[torch.Tensor, ...]:
        for held, tensor in zip(self._held, given, strict=True):
            held.copy_(tensor)
        self._graph.replay()
        return tuple(result.clone() for result in self._results)  # the next replay writes over them


def can_record(device: torch.device) -> bool:
    """Whether graphs are recorded there."""
    return device.type == "cuda" and torch.version.hip is None


def record(function: Function, held: list[torch.Tensor]) -> tuple[torch.cuda.CUDAGraph, tuple[torch.Tensor, ...]]:
    """The graph of `function(*held)`, and where each replay writes its results.

    What `torch.cuda.graph` does, without its collection of garbage and its waiting for the device, which cost more than
    a short call saves. The function has run once before, so that nothing in it starts for the first time.
    """
    graph, stream = torch.cuda.CUDAGraph(), torch.cuda.Stream(held[0].device)
    stream.wait_stream(torch.cuda.current_stream(held[0].device))
    with torch.cuda.stream(stream):
        graph.capture_begin(capture_error_mode="thread_local")
        try:
            results = function(*held)
        finally:
            graph.capture_end()
    torch.cuda.current_stream(held[0].device).wait_stream(stream)
    return graph, results
