"""The tables say what the automaton says."""

from __future__ import annotations

import pytest
import torch

from placed_rows import PlacedRows
from s1_hf.forcing.tables import Cell, Effect


@pytest.mark.parametrize("family", ["s1", "plain", "harmony", "kimi_k3", "tools"])
def test_every_cell_and_effect_is_in_the_tables(family):
    automaton = PlacedRows(family, num_ignores=int(family != "plain"), max_thinking_tokens=9).automaton
    tables = automaton.tables
    tokens = torch.arange(tables.num_ids)
    for cell, fixed in enumerate(automaton.cells):
        assert Cell(*tables.cells[cell].tolist()) == fixed
        effects = tables.effects[cell, tables.classes[tokens]].tolist()
        for token in range(0, tables.num_ids, 7):
            assert Effect(*effects[token]) == automaton.effect_of(token, cell)
        banned = {int(i) for i in tables.banned_ids[tables.bans[fixed.bans]]}
        assert banned == automaton.ban_rows[fixed.bans]


@pytest.mark.parametrize(("at", "soft"), [("line", ["\n"]), ("sentence", ["\n", ".", "?) "])])
def test_a_soft_cut_may_follow_the_end_of_a_line_or_sentence(at, soft):
    rows = PlacedRows("think", max_thinking_tokens=9, cut_window=3, cut_at=at)
    texts, tables = rows.texts, rows.tables
    marked = {texts[i] for i in tables.soft_end[: tables.num_ids].nonzero()[:, 0].tolist()}
    assert [text for text in ("\n", ".", "?) ", "a") if text in texts and text in marked] == [
        text for text in soft if text in texts
    ]
    assert tables.ends_line[rows.id("\n")] and not tables.ends_line[rows.id(".")]


def test_ends_and_stops_are_marked():
    rows = PlacedRows("think")
    assert {rows.texts[i] for i in rows.tables.is_end.nonzero()[:, 0].tolist()} == {"</think>", "<|im_end|>"}
    assert {rows.texts[i] for i in rows.tables.stops.nonzero()[:, 0].tolist()} == {"<|im_end|>"}
