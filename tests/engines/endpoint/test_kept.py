"""A report that cannot be under its budget is told from those that can."""

from __future__ import annotations

from dataclasses import replace

import pytest

from s1_hf.conformance.cases import case_of, expected, setting
from s1_hf.engines.endpoint.kept import Terms, broken_in
from s1_hf.engines.endpoint.replay import Replay
from s1_hf.forcing.budget import NO_LIMIT
from s1_hf.forcing.report import Ended, Report
from s1_hf.forcing.tables import State
from toy_servers import asked_of, plug_in_row, setup_of

CASES = [case_of(seed) for seed in range(2000, 2180)]


def terms_of(case, asked) -> Terms:
    return Replay(setup_of(case), asked).terms


def test_what_the_slow_reference_reports_is_possible():
    """All families, budgets and prompts; a third of the rows are full before they end."""
    checked = set()
    for case in CASES:
        for place in range(len(case["prompts"])):
            row = expected(case, place)
            ends = row.answer_tokens(setting(case["family"])[2].eos)
            report = Report(row.thinking_tokens, row.ended, row.ends_ignored, tuple(row.forced), ends)
            assert broken_in(report, terms_of(case, asked_of(case, place))) is None, (case, place)
            checked.add((case["family"], row.ended))
    assert len(checked) > 30


@pytest.mark.parametrize("limit", [{"max_answer_tokens": 3}, {"give_up_after": 4}], ids=str)
def test_so_is_what_the_plug_in_reports_of_rows_with_limits_of_their_own(limit):
    for case in CASES[:40]:
        asked = asked_of(case, 0, **limit)
        assert broken_in(plug_in_row(case, asked)[2].report, terms_of(case, asked)) is None


def test_a_row_whose_budget_was_dropped_passes_only_where_the_budget_would_have_changed_nothing():
    """Greedy rows of one block, soft cuts aside: what passes is what the budget gives."""
    found = passed = 0
    for case in CASES[:120]:
        asked = asked_of(case, 0)
        format = setting(case["family"])[1]
        if format.plain or format.interleaved or asked.budget.cut_window:
            continue
        without = plug_in_row(case, replace(asked, budget=replace(asked.budget, **FREE)))[2].report
        rightly = plug_in_row(case, asked)[2].report
        if broken_in(without, terms_of(case, asked)) is None:
            assert without == rightly
            passed += 1
        else:
            assert without != rightly
            found += 1
    assert found > 15 and passed > 10


FREE = {"max_thinking_tokens": None, "min_thinking_tokens": 0, "num_ignores": 0, "cut_text": None, "cut_window": 0,
        "cut_at": "line"}  # fmt: skip

TERMS = Terms(
    start=State(0, ended=Ended.UNFINISHED),
    starts=False,
    room=50,
    cap=20,
    least=5,
    ignores=2,
    window=0,
    waits=(3,),
    message=0,
    has_guard=False,
    give_up_after=None,
    max_answer_tokens=4,
    plain=False,
    interleaved=False,
)


def report(thought: int, ended: str, ignored: int = 2, written: int = 30, answered: int = 4) -> Report:
    return Report(thought, ended, ignored, (False,) * written, answered)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "fine",
    [
        (report(15, "natural"), {}),
        (report(5, "natural", 7), {}),  # five of them below the minimum
        (report(17, "natural", 0), {}),  # the Wait has no room
        (report(20, "cut", 0), {}),
        (report(18, "cut"), {"window": 3}),
        (report(7, "unfinished", written=50, answered=0), {}),
        (report(7, "unfinished", answered=0), {"give_up_after": 6}),
        (report(15, "looped", 0), {"has_guard": True}),
        (report(0, "never_started", 0), {"start": State(0)}),
        (report(30, "cut", 0), {"start": State(0, thinking_tokens=30, ended=Ended.UNFINISHED)}),
        (report(9, "cut", 0, written=50), {}),  # the end of the row tears the stop message
        (report(18, "cut", 0), {"plain": True}),  # in the midst of a delimiter
        (report(4, "natural", 0), {"plain": True}),
        (report(0, "never_started", 0, written=50), {"start": State(0), "starts": True}),
        (report(0, "never_started", 0, answered=5), {"start": State(0)}),  # a delimiter is begun
        (report(1, "natural", 0), {"start": State(0, thinking_tokens=1, ended=Ended.NATURAL)}),
    ],
)
def test_what_can_be_passes(fine):
    assert broken_in(fine[0], TERMS._replace(**fine[1])) is None


@pytest.mark.parametrize(
    ("wrong", "changes", "said"),
    [
        (report(16, "natural", 1), {}, "16 thinking tokens, of which 1 ends were ignored, where 2 have to be"),
        (report(16, "natural", 0), {"waits": ()}, "of which 0 ends were ignored, where 2 have to be"),
        (report(4, "natural"), {}, "after 4 thinking tokens, where 5 is the minimum"),
        (report(20, "natural"), {}, "where it is cut at 20"),
        (report(16, "natural"), {"message": 4}, "where it is cut at 16"),
        (report(21, "natural"), {}, "21 thinking tokens, where 20 is the cap"),
        (report(15, "natural", 8), {}, "8 ends were ignored, where no more than 7 can be"),
        (report(15, "natural", 3), {"start": State(0, 10, 0, 1, 1, Ended.UNFINISHED)}, "where no more than 2 can be"),
        (report(19, "cut"), {}, "thinking was cut after 19 thinking tokens, where 20 is the cap"),
        (report(17, "cut"), {"window": 3}, "thinking was cut after 17 thinking tokens"),
        (report(19, "cut"), {"cap": NO_LIMIT}, "where there is no cap"),
        (report(15, "looped"), {}, "where no loop guard was asked for"),
        (report(7, "unfinished", answered=0), {}, "left open after 30 tokens, where 50 may be written"),
        (report(7, "unfinished", answered=0), {"give_up_after": 7}, "left open after 30 tokens"),
        (report(0, "never_started", 0), {}, "nothing was thought"),
        (report(0, "never_started", 0), {"start": State(0), "starts": True}, "nothing was thought"),
        (report(15, "natural", answered=5), {}, "the answer has 5 tokens, where 4 is the most"),
        (report(9, "cut"), {"start": State(0, ended=Ended.NATURAL)}, r"had ended \(natural\) is said to be cut"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_said(wrong, changes, said):
    with pytest.raises(AssertionError, match=said):
        raise AssertionError(broken_in(wrong, TERMS._replace(**changes)))
