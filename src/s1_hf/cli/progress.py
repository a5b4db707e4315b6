"""How far a command is, on stderr, with the time that is left: a bar on a terminal, elsewhere a line now and then."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING

from rich.progress import BarColumn, MofNCompleteColumn, TextColumn
from rich.progress import Progress as Bar

from s1_hf.cli.terminal import messages

if TYPE_CHECKING:
    from s1_hf.engines.progress import Progress

_FIRST_S, _LAST_S = 2.0, 60.0
"""Between lines, the time doubles from the one to the other."""

Tell = Callable[[str, int, int], None]
"""Told what is done, how many times it has been, and of how many."""


@contextmanager
def progress_bar() -> Iterator[Callable[[Progress], None]]:
    """Yields what moves it. Nothing is shown before generation begins."""
    with _shown() as shown:

        def show(progress: Progress) -> None:
            name = f"{progress.found} found on disk" if progress.found else "generating"
            shown.show(name, progress.done, progress.total, _speed(progress), at_once=progress.found > 0)

        yield show


@contextmanager
def counted() -> Iterator[Tell]:
    """The same for anything that can be counted."""
    with _shown() as shown:
        begun = time.monotonic()

        def tell(name: str, done: int, total: int) -> None:
            seconds = time.monotonic() - begun
            shown.show(name, done, total, _left(seconds / done * (total - done)) if 0 < done < total else "")

        yield tell


@contextmanager
def phases(first: str) -> Iterator[Callable[[str], None]]:
    """For what cannot be counted: yields what says which phase begins."""
    if not messages.is_terminal:
        messages.print(first, highlight=False, soft_wrap=True)
        yield lambda said: messages.print(said, highlight=False, soft_wrap=True)
        return
    with messages.status(first) as status:
        yield status.update


@contextmanager
def _shown() -> Iterator[_Bar | _Lines]:
    shown = _Bar() if messages.is_terminal else _Lines()
    try:
        yield shown
    finally:
        shown.stop()


class _Bar:
    def __init__(self) -> None:
        columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[more]}")
        self._bar = Bar(*columns, console=messages)

    def show(self, name: str, done: int, total: int, more: str, at_once: bool = False) -> None:
        if not self._bar.tasks:
            self._bar.add_task(name, more="")
            self._bar.start()
        self._bar.update(self._bar.tasks[0].id, description=name, total=total, completed=done, more=more)
        if done == total:
            self._bar.stop()

    def stop(self) -> None:
        self._bar.stop()


class _Lines:
    """In a file a bar would be a flood, or stand there only at the end."""

    def __init__(self) -> None:
        self._said, self._wait = time.monotonic(), _FIRST_S
        self._last, self._has_spoken = "", False

    def show(self, name: str, done: int, total: int, more: str, at_once: bool = False) -> None:
        self._last = ", ".join(filter(None, (f"{name}: {done:,} of {total:,}", more)))
        if time.monotonic() - self._said >= self._wait or (at_once and not self._has_spoken):
            self._say()
            self._wait = min(2 * self._wait, _LAST_S)

    def stop(self) -> None:
        if self._has_spoken and self._last:
            self._say()

    def _say(self) -> None:
        messages.print(self._last, highlight=False, soft_wrap=True)
        self._said, self._has_spoken, self._last = time.monotonic(), True, ""


def _speed(progress: Progress) -> str:
    """An endpoint may not tell how many tokens it writes."""
    said = [f"{progress.tokens_per_second:,.0f} tokens/s"] if progress.tokens else []
    left = progress.seconds_left
    return ", ".join(said + ([] if left is None else [_left(left)]))


def _left(seconds: float) -> str:
    return f"{timedelta(seconds=round(seconds))} left"
