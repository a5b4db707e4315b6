"""The tables say what the automaton says."""

from __future__ import annotations

import pytest
import torch

from placed_rows import PlacedRows
from s1_hf.forcing.tables import effects_of_rulings, move_of


@pytest.mark.parametrize("family", ["s1", "plain", "harmony", "kimi_k3", "tools"])
def test_every_cell_and_effect_is_in_the_tables(family):
    automaton = PlacedRows(family, num_ignores=int(family != "plain"), max_thinking_tokens=9).automaton
    tables = automaton.tables
    tokens = torch.arange(tables.num_ids)
    for cell, fixed in enumerate(automaton.cells):
        at = torch.tensor(cell)
        assert (int(tables.forced(at)), int(tables.thinking(at))) == (fixed.forced, fixed.thinking)
        moves = tables.moves[:, :, cell, tables.kinds[tokens]].permute(2, 0, 1).tolist()
        for token in {*range(0, tables.num_ids, 7), *automaton.format.ends}:
            assert moves[token] == list(map(list, move_of(automaton.effect_of(token, cell))))
        banned = {int(i) for i in tables.banned_ids[tables.bans[cell]]}
        assert banned == automaton.ban_rows[fixed.bans]


def test_rulings_stand_behind_the_kinds_of_tokens():
    automaton = PlacedRows("think", num_ignores=2, wait_text=["Wait", "Hm Wait"]).automaton
    tables = automaton.tables
    for cell, fixed in enumerate(automaton.cells):
        moves = tables.moves[:, :, cell, tables.num_kinds :].permute(2, 0, 1).tolist()
        effects = effects_of_rulings(cell, fixed, automaton.wait_cells)
        assert moves == [list(map(list, move_of(effect))) for effect in effects]


@pytest.mark.parametrize(("at", "soft"), [("line", ["\n"]), ("sentence", ["\n", ".", "?) "])])
def test_a_soft_cut_may_follow_the_end_of_a_line_or_sentence(at, soft):
    rows = PlacedRows("think", max_thinking_tokens=9, cut_window=3, cut_at=at)
    texts, tables = rows.texts, rows.tables
    marked = {texts[i] for i in tables.soft_kinds[tables.kinds[:-1]].nonzero()[:, 0].tolist()}
    assert [text for text in ("\n", ".", "?) ", "a") if text in texts and text in marked] == [
        text for text in soft if text in texts
    ]
    assert tables.ends_line(rows.ids(["\n", "."])).tolist() == [True, False]


def test_ends_are_marked_and_are_attempts_where_a_row_thinks():
    rows = PlacedRows("think")
    tables, ends = rows.tables, {"</think>", "<|im_end|>"}
    tokens = torch.arange(tables.num_ids)
    assert {rows.texts[i] for i in tables.is_end(tokens).nonzero()[:, 0].tolist()} == ends
    for cell, fixed in enumerate(rows.automaton.cells):
        tried = {rows.texts[i] for i in tables.attempts[cell, tables.kind(tokens)].nonzero()[:, 0].tolist()}
        assert tried == (ends if fixed.thinking else set())
        assert {rows.texts[i] for i in tables.ends[tables.ends_in[cell]].tolist()} == tried


def test_behind_a_finished_tool_call_ends_of_sequence_are_no_attempts():
    rows = PlacedRows("tools")
    tables, called = rows.tables, rows.automaton.called
    assert tables.attempts[called, tables.kind(rows.ids(["</think>", "<|im_end|>"]))].tolist() == [1, 0]
    assert [rows.texts[i] for i in tables.ends[tables.ends_in[called]].tolist()] == ["</think>"]
