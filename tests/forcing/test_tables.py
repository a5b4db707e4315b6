"""What a token does to a row's state, and tables that are looked up safely."""

from __future__ import annotations

import random

import torch

from placed_rows import PlacedRows
from s1_hf.forcing.report import Ended
from s1_hf.forcing.tables import (
    OTHERS,
    Cell,
    Effect,
    Kind,
    Mark,
    Ruling,
    State,
    Tables,
    after_effect,
    classified,
    effects_of_rulings,
    move_of,
)

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


def test_an_ignored_end_is_counted_and_an_ignore_if_it_was_used():
    ignored = after_effect(THINKING, Effect(1, ignores=1))
    assert (ignored.ignores_used, ignored.ends_ignored) == (0, 1)
    used = after_effect(THINKING._replace(ignores_used=2, ends_ignored=3), Effect(1, ignores=1, uses=1))
    assert (used.ignores_used, used.ends_ignored) == (3, 4)


def test_thinking_is_closed_as_the_effect_says():
    for how in (Ended.NATURAL, Ended.CUT, Ended.LOOPED):
        assert after_effect(THINKING, Effect(4, closes=1, how=how)).ended == how
    assert after_effect(THINKING, Effect(4, hands_over=1, how=Ended.CUT)).ended == Ended.HANDED_OVER


def test_a_move_says_of_every_state_what_its_effect_says():
    """Every field of both, at random."""
    rng = random.Random(0)
    for _ in range(300):
        effect = Effect(rng.randint(0, 9), *(rng.randint(0, 1) for _ in Effect._fields[1:-3]))
        effect = effect._replace(how=rng.choice(list(Ended)), ignores=rng.randint(0, 1), uses=rng.randint(0, 1))
        state = State(*(rng.randint(0, 9) for _ in State._fields))
        added, times, of_pending = move_of(effect)
        moved = [a + t * s + p * state.pending for a, t, s, p in zip(added, times, state, of_pending, strict=True)]
        assert moved == list(map(int, after_effect(state, effect)))


def test_a_row_that_does_not_think_is_left_as_it_is_by_every_ruling():
    state = State(5, 9, 2, 1, 1, Ended.NATURAL, 4)
    effects = effects_of_rulings(5, Cell(natural=1, cut_after_line=1, cut_after_text=1, stop_message=1), [7, 8])
    assert len(effects) == Ruling.WAITS + 4
    assert {after_effect(state, effect) for effect in effects} == {state}


def test_each_ruling_does_what_it_says_to_a_row_that_thinks():
    """What is pending is no thinking where thinking is closed, and stays pending elsewhere."""
    state = State(5, 9, 2, 1, 3, Ended.UNFINISHED, 4)
    cell = Cell(thinking=1, natural=10, cut_after_line=11, cut_after_text=12, stop_message=13)
    found = [tuple(after_effect(state, effect)) for effect in effects_of_rulings(5, cell, [7, 8])]
    thinks, closed = (Ended.UNFINISHED, 4), (7, 0, 1, 3)
    assert found == [
        (5, 9, 2, 1, 3, *thinks),
        (10, *closed, Ended.NATURAL, 4),
        (5, 9, 2, 2, 4, *thinks),
        (5, 9, 2, 1, 4, *thinks),
        (13, *closed, Ended.CUT, 4),
        (12, *closed, Ended.CUT, 4),
        (11, *closed, Ended.CUT, 4),
        (12, *closed, Ended.LOOPED, 4),
        (11, *closed, Ended.LOOPED, 4),
        (7, 9, 2, 2, 4, *thinks),
        (7, 9, 2, 1, 4, *thinks),
        (8, 9, 2, 2, 4, *thinks),
        (8, 9, 2, 1, 4, *thinks),
    ]


def test_ids_beyond_the_tokenizer_are_looked_up_as_one_token_without_a_kind_of_its_own():
    tables = PlacedRows("think").tables
    last = len(tables.kinds) - 1
    tokens = torch.tensor([last, last + 1, last + 99])
    assert tables.kind(tokens).tolist() == [0, 0, 0]
    assert not tables.is_end(tokens).any() and not tables.ends_line(tokens).any()
    assert tables.is_end(torch.tensor([last - 1])).all()  # `</think>`, the last of the tokenizer


def test_tokens_that_act_alike_in_every_cell_are_one_kind():
    """Tokens 1 and 3 act alike, 2 differs from them in the second cell alone; 0 and 4 have no effects of their own."""
    first = {OTHERS: Effect(0), 1: Effect(1), 2: Effect(1), 3: Effect(1)}
    second = {OTHERS: Effect(1), 2: Effect(2)}
    kinds, known, effects = classified([first, second, {OTHERS: Effect(0, thinks=1)}], {}, num_ids=5)
    assert kinds.dtype == torch.long
    assert kinds.tolist() == [0, 1, 2, 1, 0, 0]
    assert (len(known), [len(of_cell) for of_cell in effects]) == (3, [3, 3, 3])


def test_tokens_that_the_rules_tell_apart_are_two_kinds():
    """Tokens 1 and 3 act alike, and 3 ends a line; 2 is nothing but the end of a line."""
    line = Mark(ends_line=True)
    cells = [{OTHERS: Effect(0), 1: Effect(1), 3: Effect(1)}]
    kinds, known, effects = classified(cells, {2: line, 3: line}, num_ids=4)
    assert kinds.tolist() == [0, 1, 2, 3, 0]
    assert known == [Kind((None,)), Kind((Effect(1),)), Kind((None,), line), Kind((Effect(1),), line)]
    assert effects == [[Effect(0), Effect(1), Effect(0), Effect(1)]]


def test_a_kind_does_in_each_cell_what_its_tokens_do():
    """In the cell of a forced run, the last one, every token does the same."""
    cells = [{OTHERS: Effect(0), 1: Effect(1), 2: Effect(2)}, {OTHERS: Effect(1), 2: Effect(0)}, {OTHERS: Effect(2)}]
    kinds, _, effects = classified(cells, {}, num_ids=3)
    found = [[of_cell[kind] for kind in kinds.tolist()] for of_cell in effects]  # by cell and token
    assert found == [
        [Effect(0), Effect(1), Effect(2), Effect(0)],
        [Effect(1), Effect(1), Effect(0), Effect(1)],
        [Effect(2)] * 4,
    ]


def test_columns_of_cells_have_names():
    rows = PlacedRows("think", wait_text="Hm Wait")
    cells = torch.tensor([rows.automaton.think, rows.automaton.answer, rows.automaton.wait_cells[0]])
    assert rows.tables.forced(cells).tolist() == [-1, -1, rows.id("Hm")]
    assert rows.tables.thinking(cells).tolist() == [True, False, False]


def test_tables_move_to_a_device_as_a_whole():
    tables = PlacedRows("think").tables
    moved = tables.to(torch.device("meta"))
    kinds = {name: value.device.type for name, value in vars(moved).items() if isinstance(value, torch.Tensor)}
    assert set(kinds.values()) == {"meta"} and len(kinds) == 14
    assert isinstance(moved, Tables) and moved.num_ids == tables.num_ids
