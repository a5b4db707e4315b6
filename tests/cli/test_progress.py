"""How far a command is: a bar with the time that is left on a terminal, a line now and then in a file."""

from __future__ import annotations

import pytest

pytest.importorskip("typer")

from s1_hf.cli import progress
from s1_hf.engines.progress import Progress


@pytest.fixture
def clock(monkeypatch):
    """Moved by hand."""
    now = [1000.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    return now


def moment(done: int, found: int = 0, seconds: float = 10.0) -> Progress:
    return Progress(found=found, done=done, total=1000, tokens=100 * done, seconds=seconds)


def test_in_a_file_there_are_lines_with_the_time_left_and_fewer_and_fewer(clock, capsys):
    with progress.progress_bar() as show:
        for second in range(1, 601):
            clock[0] = 1000.0 + second
            show(moment(second, seconds=second))
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == "generating: 2 of 1,000, 100 tokens/s, 0:16:38 left"
    assert lines[-1] == "generating: 600 of 1,000, 100 tokens/s, 0:06:40 left"
    assert 10 <= len(lines) <= 16


def test_what_takes_less_than_two_seconds_says_nothing_but_what_was_found(clock, capsys):
    with progress.progress_bar() as show:
        show(moment(500))
        clock[0] += 1
        show(moment(1000))
    assert capsys.readouterr().err == ""
    with progress.progress_bar() as show:
        show(moment(30, found=30))
    assert capsys.readouterr().err.startswith("30 found on disk: 30 of 1,000")


def test_what_is_counted_has_a_time_left_too(clock, capsys):
    with progress.counted() as tell:
        tell("drawing", 0, 4)
        clock[0] += 4
        tell("drawing", 1, 4)
    assert capsys.readouterr().err == "drawing: 1 of 4, 0:00:12 left\n"


def test_a_terminal_has_a_bar_that_ends(clock, monkeypatch, capsys):
    monkeypatch.setattr(type(progress.messages), "is_terminal", True)
    with progress.counted() as tell:
        for done in range(5):
            clock[0] += 1
            tell("drawing", done, 4)
    assert "4/4" in capsys.readouterr().err


def test_phases_are_lines_in_a_file(capsys):
    with progress.phases("reading") as begin:
        begin("writing")
    assert capsys.readouterr().err == "reading\nwriting\n"
