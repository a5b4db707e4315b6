"""Work in a thread of its own, that is told while it is done and ends within a step once nobody waits for it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from queue import Empty, SimpleQueue
from typing import Any, Generic, TypeVar

from s1_hf.engines.engine import Step, Stopped

T = TypeVar("T")

EVERY_S = 0.1
"""Between two looks at what has come."""


class Run(Generic[T]):
    """Work that tells things.

    Args:
        work (`Callable`): called with what it tells things by, and with the [`Step`] for its engine.
        turns (`Semaphore`): one of these is held while it works.

    Attributes:
        steps (`int`): that the engine has made.
        has_turn (`bool`): whether it has begun to work.
    """

    def __init__(self, work: Callable[[Callable[[T], Any], Step], Any], turns: threading.Semaphore) -> None:
        self._work, self._turns = work, turns
        self._told: SimpleQueue[T] = SimpleQueue()
        self._wanted = True
        self.steps, self.has_turn, self._begun, self._seconds = 0, False, 0.0, 0.0
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, daemon=True, name="playground")
        self._thread.start()

    def __iter__(self) -> Iterator[list[T]]:
        """What has been told since the last look, perhaps nothing, until the work is done.

        Raises what the work has raised, but for [`Stopped`].
        """
        while self._thread.is_alive():
            self._thread.join(EVERY_S)
            yield self._news()
        yield self._news()
        if self._error is not None and not isinstance(self._error, Stopped):
            raise self._error

    @property
    def seconds(self) -> float:
        """That it has worked."""
        return self._seconds or (time.monotonic() - self._begun if self.has_turn else 0.0)

    @property
    def is_over(self) -> bool:
        """Whether its thread has ended."""
        return not self._thread.is_alive()

    @property
    def was_stopped(self) -> bool:
        """Whether it has ended because nobody waited for the rest."""
        return isinstance(self._error, Stopped)

    def stop(self) -> None:
        """Nobody waits for the rest: it ends at its next step."""
        self._wanted = False

    def _run(self) -> None:
        while not self._turns.acquire(timeout=EVERY_S):
            if not self._wanted:
                return
        try:
            self._begun, self.has_turn = time.monotonic(), True
            if self._wanted:
                self._work(self._told.put, self._step)
        except BaseException as error:  # to be raised where it is looked at
            self._error = error
        finally:
            self._seconds = time.monotonic() - self._begun
            self._turns.release()

    def _step(self, rows: int) -> None:
        self.steps += 1
        if not self._wanted:
            raise Stopped

    def _news(self) -> list[T]:
        found: list[T] = []
        while True:
            try:
                found.append(self._told.get_nowait())
            except Empty:
                return found


class Visits:
    """What every visitor has running: one thing of each kind.

    Args:
        at_once (`int`): how many work at a time.
    """

    def __init__(self, at_once: int) -> None:
        self._turns = threading.Semaphore(at_once)
        self._runs: dict[tuple[str, str], Run[Any]] = {}
        self._lock = threading.Lock()

    def begin(self, visitor: str, kind: str, work: Callable[[Callable[[Any], Any], Step], Any]) -> Run[Any]:
        """Start work; what the visitor had running of this kind is stopped."""
        with self._lock:
            self._stop(visitor, kind)
            run: Run[Any] = Run(work, self._turns)
            self._runs = {key: one for key, one in self._runs.items() if not one.is_over}
            self._runs[visitor, kind] = run
            return run

    def stop(self, visitor: str, kind: str | None = None) -> Run[Any] | None:
        """Stop a visitor's work of a kind, or all of it; returns what ran, or has just been stopped otherwise."""
        with self._lock:
            return self._stop(visitor, kind)

    @property
    def running(self) -> int:
        """How many threads there are."""
        with self._lock:
            return sum(not run.is_over for run in self._runs.values())

    def _stop(self, visitor: str, kind: str | None) -> Run[Any] | None:
        found = None
        for (whose, which), run in self._runs.items():
            if whose == visitor and kind in (None, which) and (run.was_stopped or not run.is_over):
                run.stop()
                found = run
        return found
