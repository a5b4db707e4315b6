"""A row that was changed, dropped, added or moved is found and named."""

import json
from dataclasses import replace

import pytest
from result_rows import a_row

from s1_hf.packs.chain import Link, chain, faults, head, link_of

FACTS = {"seed": 3}
ROWS = [a_row(problem=str(p), setting=s, answer=f"{p}{s}") for s in ("a", "b") for p in range(4)]
LINKS = chain(ROWS, FACTS)
HEAD = head(LINKS, FACTS)
ONE = "t, budget forcing, a, problem 2, sample 0"


def found(rows=ROWS, links=LINKS, facts=FACTS, told=HEAD):
    return faults(rows, links, facts, told)


def test_what_was_not_touched_has_no_faults():
    assert found() == []
    assert found([], [], FACTS, head([], FACTS)) == []


def test_a_changed_row_is_named():
    for changes in ({"correct": False}, {"answer": "x"}, {"thinking_tokens": 7}, {"digest": "0"}):
        rows = [*ROWS[:2], replace(ROWS[2], **changes), *ROWS[3:]]
        assert found(rows) == [f"A row was changed: {ONE}."]
    rows = [*ROWS[:2], replace(ROWS[2], transcript=[{"text": "a", "forced": True}]), *ROWS[3:]]
    assert found(rows) == [f"A row was changed: {ONE}."]


def test_a_dropped_row_is_named_also_the_last():
    assert found(ROWS[:2] + ROWS[3:]) == [f"A row was dropped: {ONE}."]
    assert found(ROWS[:-1]) == ["A row was dropped: t, budget forcing, b, problem 3, sample 0."]


def test_an_added_row_is_named_also_a_second_time_the_same():
    new = a_row(problem="9", setting="a")
    assert found([*ROWS, new]) == ["A row was added: t, budget forcing, a, problem 9, sample 0."]
    assert found([*ROWS, ROWS[2]]) == [f"A row was added: {ONE}."]


def test_moved_rows_are_found():
    assert found([ROWS[0], ROWS[2], ROWS[1], *ROWS[3:]]) == [
        "The rows stand in another order; row 2 is the first out of its place."
    ]
    rows = [ROWS[1], ROWS[0], *ROWS[2:-1]]
    assert [line[:10] for line in found(rows)] == ["A row was ", "The rows s"]


def test_several_changes_are_told_apart_and_many_are_counted():
    rows = [replace(ROWS[0], correct=False), *ROWS[2:], a_row(problem="9")]
    assert [line.split(":")[0] for line in found(rows)] == ["A row was changed", "A row was dropped", "A row was added"]
    rows = [replace(row, correct=False) for row in ROWS]
    assert found(rows)[5:] == ["3 more rows were changed."] and len(found(rows)) == 6


def test_a_chain_that_was_made_to_fit_changed_rows_has_another_head():
    rows = [*ROWS[:2], replace(ROWS[2], correct=False), *ROWS[3:]]
    assert found(rows, chain(rows, FACTS)) == [
        "The head in pack.json is not the last link of chain.jsonl: one of them was changed."
    ]


def test_lines_of_the_chain_that_were_changed_or_cut_off_are_found():
    lines = [*LINKS[:2], LINKS[2]._replace(of=["t", "m", "a", "2", 0]), *LINKS[3:]]
    assert found(links=lines) == ["Line 3 of chain.jsonl does not follow on line 2: one of them was changed."]
    assert "The head in pack.json is not the last link" in found(ROWS[:-1], LINKS[:-1])[0]


def test_changed_facts_are_found():
    assert found(facts={"seed": 4}) == [
        "Line 1 of chain.jsonl does not follow on the facts in pack.json: one of them was changed."
    ]


def test_the_head_is_the_same_on_every_machine_and_in_later_versions():
    """Of rows with nothing but what the first version had: if this changes, older packs are called changed."""
    assert HEAD == "09af03f04858ca650635338d047cf4d9f5cbaa42536a29b2ef0ed9638e14c171"


def test_a_link_comes_back_from_its_line_and_nothing_else_does():
    assert link_of(json.loads(json.dumps(LINKS[0]._asdict())), "line 1") == LINKS[0] and isinstance(LINKS[0], Link)
    for line in ([], {}, {"row": 1, "of": [], "link": "a"}, LINKS[0]._asdict() | {"more": 1}):
        with pytest.raises(ValueError, match="line 1"):
            link_of(line, "line 1")
