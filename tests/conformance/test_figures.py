"""What is measured: bytes alive, and steps that wait for the device."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from s1_hf.conformance.cases import setting
from s1_hf.conformance.figures import Guarded, measure_memory
from s1_hf.conformance.live_bytes import LiveBytes
from s1_hf.conformance.models import biases, random_transformer
from s1_hf.engines.transformers_engine import TransformersEngine


def test_the_most_bytes_alive_at_once_are_counted():
    with LiveBytes() as live:
        one = torch.zeros(1000)
        two = one + 1
        del one
        three = two + 1  # takes the place of the first
    assert live.peak == 2 * 4000 and len(three) == 1000


def test_views_count_once():
    with LiveBytes() as live:
        one = torch.zeros(10, 100)
        _ = one[2:].T.reshape(-1)[:3]
    assert 4000 <= live.peak <= 4000 + 3200  # the reshaped part is a copy


def test_steps_after_the_first_may_not_wait_for_the_gpu(monkeypatch):
    """CUDA's debug mode is played: it is an error during the second call, and what it was afterwards."""
    mode = ["default"]
    monkeypatch.setattr(torch.cuda, "get_sync_debug_mode", lambda: mode[0])
    monkeypatch.setattr(torch.cuda, "set_sync_debug_mode", lambda value: mode.__setitem__(0, value))

    def step(ids: int) -> int:
        if mode[0] == "error":
            raise RuntimeError("called a synchronizing CUDA operation")
        return ids

    guarded = Guarded(step)
    assert guarded(7) == 7
    with pytest.raises(RuntimeError, match="synchronizing"):
        guarded(8)
    assert mode == ["default"]


@pytest.mark.parametrize("family", ["think", "plain"])
def test_memory_is_measured_for_every_kind_of_format(family):
    """Also where ends cannot be ignored, so that a sweep has caps only."""
    model: Any = random_transformer(family, 1, biases(family))
    tokenizer, fmt, _ = setting(family)
    found = measure_memory(TransformersEngine(model, tokenizer, format=fmt), "a", rows=2)
    assert found.verdict == "measured" and min(found.figures.values()) > 0
    assert f"a sweep of {3 if family == 'plain' else 9} settings" in found.what
