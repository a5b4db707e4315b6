"""Work in threads: it is told as it is done, and ends at its next step when nobody waits for it."""

from __future__ import annotations

import threading

import pytest

from s1_hf.playground.running import Visits


def endless(tell, on_step):
    while True:
        tell("a")
        on_step(1)
        threading.Event().wait(0.01)


def test_what_is_told_comes_in_order_and_an_error_comes_last():
    def work(tell, on_step):
        for number in range(5):
            tell(number)
            on_step(1)
        raise ValueError("so it is")

    run, told = Visits(1).begin("me", "answer", work), []
    with pytest.raises(ValueError, match="so it is"):
        for news in run:
            told += news
    assert told == [0, 1, 2, 3, 4] and run.steps == 5 and run.is_over


def test_what_is_stopped_ends_at_its_next_step_without_an_error():
    run = Visits(1).begin("me", "answer", endless)
    for news in run:
        if news:
            steps = run.steps
            run.stop()
    assert run.is_over and run.steps <= steps + 2


def test_visitors_and_kinds_are_apart_and_one_visitors_next_run_ends_its_last():
    visits = Visits(2)
    mine, yours = visits.begin("me", "answer", endless), visits.begin("you", "answer", endless)
    other = visits.begin("me", "curve", endless)  # waits: there is room for two
    assert not other.has_turn and visits.running == 3
    again = visits.begin("me", "answer", endless)
    list(mine)
    assert mine.is_over and not yours.is_over
    assert visits.stop("nobody") is None
    visits.stop("me")
    list(again), list(other)
    assert not yours.is_over and visits.running == 1
    assert visits.stop("you", "answer") is yours
    list(yours)
    assert visits.running == 0
