"""Rows between two steps: padding that goes, and rows side by side."""

from __future__ import annotations

import torch
from transformers import DynamicCache
from transformers.cache_utils import DynamicLayer, DynamicSlidingWindowLayer

from s1_hf import Budget
from s1_hf.generation.running import Row, Standing

WINDOW = 4


def standing(tokens: list[list[int]], mask: list[list[int]] | None = None) -> Standing:
    """Rows whose cache holds each slot's token, and a layer that holds the last three of them."""
    ids = torch.tensor(tokens)
    cache = DynamicCache()
    cache.layers = [DynamicLayer(), DynamicSlidingWindowLayer(WINDOW)]
    for i in range(ids.shape[1] - 1):
        states = ids[:, None, i : i + 1, None].float()
        for layer in range(2):
            cache.update(states, states, layer)
    carried = {
        "attention_mask": None if mask is None else torch.tensor(mask),
        "position_ids": torch.arange(ids.shape[1]).expand(len(ids), -1),
        "past_key_values": cache,
        "use_cache": True,
    }
    rows = [Row(i, Budget()) for i in range(len(ids))]
    return Standing(rows, ids, carried, torch.zeros(7, len(ids), dtype=torch.long), True)


def held(one: Standing) -> list[list[list[float]]]:
    """What each layer holds of each row."""
    return [layer.keys[:, 0, :, 0].tolist() for layer in one.carried["past_key_values"].layers]


def test_padding_that_all_rows_have_in_common_is_cut_off():
    one = standing([[0, 0, 1, 2, 3], [0, 4, 5, 6, 7]], [[0, 0, 1, 1, 1], [0, 1, 1, 1, 1]]).cut()
    assert one.ids.tolist() == [[0, 1, 2, 3], [4, 5, 6, 7]]
    assert one.carried["attention_mask"].tolist() == [[0, 1, 1, 1], [1, 1, 1, 1]]
    assert held(one) == [[[0, 1, 2], [4, 5, 6]]] * 2
    assert one.carried["past_key_values"].get_seq_length() == 3


def test_without_any_padding_there_is_no_mask():
    one = standing([[0, 1, 2, 3], [0, 5, 6, 7]], [[0, 1, 1, 1], [0, 1, 1, 1]]).cut()
    assert one.ids.tolist() == [[1, 2, 3], [5, 6, 7]] and one.carried["attention_mask"] is None


def test_rows_that_join_end_in_the_same_slot():
    """Whichever are the longer ones; a window holds its last slots only."""
    long, short = [[1, 2, 3, 4, 5, 6]], [[7, 8, 9]]
    for both in (standing(long).beside(standing(short)), standing(short).beside(standing(long))):
        rows = both.ids.tolist()
        assert sorted(rows) == [[0, 0, 0, 7, 8, 9], [1, 2, 3, 4, 5, 6]]
        assert both.carried["attention_mask"].tolist() == [[int(token > 0) for token in row] for row in rows]
        assert both.carried["position_ids"][rows.index([0, 0, 0, 7, 8, 9])].tolist() == [0, 0, 0, 0, 1, 2]
        assert held(both) == [[row[:-1] for row in rows], [row[-WINDOW:-1] for row in rows]]
        assert {layer.get_seq_length() for layer in both.carried["past_key_values"].layers} == {5}
        assert len(both.rows) == both.state.shape[1] == 2
