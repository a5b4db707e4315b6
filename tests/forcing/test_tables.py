"""What a token does to a row's state, and tables that are looked up safely."""

from __future__ import annotations

import torch

from placed_rows import PlacedRows
from s1_hf.forcing.report import Ended
from s1_hf.forcing.tables import OTHERS, Cell, Effect, State, Tables, after_effect, classified

THINKING = State(cell=1, thinking_tokens=5, ended=Ended.UNFINISHED)


def test_a_token_goes_to_the_next_cell_and_counts_as_its_effect_says():
    after = after_effect(THINKING, Effect(next=3, thinks=1, answers=2))
    assert (after.cell, after.thinking_tokens, after.answer_tokens, after.ended) == (3, 6, 2, Ended.UNFINISHED)


def test_pending_tokens_are_kept_or_begun_anew():
    pending = THINKING._replace(pending=2)
    assert after_effect(pending, Effect(1, thinks=1, keeps=1, begins=1)).pending == 3
    assert after_effect(pending, Effect(1, thinks=1, keeps=0, begins=1)).pending == 1
    assert after_effect(pending, Effect(1, thinks=1)).pending == 0


def test_closing_takes_the_delimiters_own_tokens_off_the_thinking():
    """Two tokens were pending, this is the third: of 5 + 1 thinking tokens three were the delimiter."""
    after = after_effect(THINKING._replace(pending=2), Effect(4, thinks=1, keeps=1, begins=1, closes=1))
    assert (after.thinking_tokens, after.pending, after.ended) == (3, 0, Ended.NATURAL)


def test_opening_makes_a_row_unfinished():
    before = State(cell=0)
    assert before.ended == Ended.NEVER_STARTED
    assert after_effect(before, Effect(1, opens=1)).ended == Ended.UNFINISHED
    assert after_effect(before._replace(ended=Ended.NATURAL), Effect(1, opens=1)).ended == Ended.UNFINISHED


def test_any_other_token_leaves_how_thinking_ended():
    for ended in Ended:
        assert after_effect(THINKING._replace(ended=ended), Effect(1)).ended == ended


def test_what_came_before_thinking_is_forgotten_as_an_answer():
    before = State(cell=0, answer_tokens=7)
    assert after_effect(before, Effect(1, answers=1, forgets=1)).answer_tokens == 0
    assert after_effect(before, Effect(0, answers=1)).answer_tokens == 8


def test_tokens_leave_the_counts_of_ignored_ends_alone():
    after = after_effect(THINKING._replace(ignores_used=2, ends_ignored=3), Effect(1, thinks=1))
    assert (after.ignores_used, after.ends_ignored) == (2, 3)


def test_one_formula_serves_a_row_and_a_batch():
    rows = [THINKING._replace(pending=2), State(0, answer_tokens=3)]
    effects = [Effect(4, 1, 1, 1, 0, 0, 1, 0), Effect(1, 0, 0, 0, 1, 1, 0, 1)]
    together = after_effect(State(*torch.tensor(rows).unbind(1)), Effect(*torch.tensor(effects).unbind(1)))
    alone = [after_effect(row, effect) for row, effect in zip(rows, effects, strict=True)]
    assert torch.stack(together).T.tolist() == [list(map(int, row)) for row in alone]


def test_ids_beyond_the_tokenizer_are_looked_up_as_one_classless_token():
    tables = PlacedRows("think").tables
    last = len(tables.classes) - 1
    assert tables.clamp(torch.tensor([0, last - 1, last, last + 99])).tolist() == [0, last - 1, last, last]
    assert (int(tables.classes[last]), bool(tables.is_end[last]), bool(tables.ends_line[last])) == (0, False, False)


def test_tokens_that_act_alike_in_every_cell_are_one_class():
    """Tokens 1 and 3 act alike, 2 differs from them in the second cell alone; 0 and 4 have no effects of their own."""
    first = {OTHERS: Effect(0), 1: Effect(1), 2: Effect(1), 3: Effect(1)}
    second = {OTHERS: Effect(1), 2: Effect(2)}
    classes, effects = classified([first, second, {OTHERS: Effect(0, thinks=1)}], num_ids=5)
    assert classes.dtype == torch.long
    assert classes.tolist() == [0, 1, 2, 1, 0, 0]
    assert effects.shape == (3, 3, 9)


def test_a_class_does_in_each_cell_what_its_tokens_do():
    """In the cell of a forced run, the last one, every token does the same."""
    cells = [{OTHERS: Effect(0), 1: Effect(1), 2: Effect(2)}, {OTHERS: Effect(1), 2: Effect(0)}, {OTHERS: Effect(2)}]
    classes, effects = classified(cells, num_ids=3)
    found = [[Effect(*row) for row in of_cell] for of_cell in effects[:, classes].tolist()]  # by cell and token
    assert found == [
        [Effect(0), Effect(1), Effect(2), Effect(0)],
        [Effect(1), Effect(1), Effect(0), Effect(1)],
        [Effect(2)] * 4,
    ]


def test_columns_of_cells_have_names():
    rows = PlacedRows("think", wait_text="Hm Wait")
    cells = torch.tensor([rows.automaton.think, rows.automaton.answer, rows.automaton.wait_cells[0]])
    assert rows.tables.forced(cells).tolist() == [-1, -1, rows.id("Hm")]
    assert rows.tables.thinking(cells).tolist() == [1, 0, 0]
    found = rows.tables.cell(cells)
    assert isinstance(found, Cell) and found.forced.tolist() == [-1, -1, rows.id("Hm")]


def test_tables_move_to_a_device_as_a_whole():
    tables = PlacedRows("think").tables
    moved = tables.to(torch.device("meta"))
    kinds = {name: value.device.type for name, value in vars(moved).items() if isinstance(value, torch.Tensor)}
    assert set(kinds.values()) == {"meta"} and len(kinds) == 13
    assert isinstance(moved, Tables) and moved.num_ids == tables.num_ids
