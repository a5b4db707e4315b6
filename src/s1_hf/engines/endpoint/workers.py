"""Jobs in threads, each given back as soon as it is done."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from queue import Empty, SimpleQueue
from typing import TypeVar

Job = TypeVar("Job")
Result = TypeVar("Result")


def as_they_end(
    work: Callable[[Job], Result], jobs: Sequence[Job], concurrency: int
) -> Iterator[list[tuple[int, Result]]]:
    """What `work` makes of each job, with its place: whatever is done by the time that it is asked for, in one list.

    An error of `work` is raised here, and no further job is begun. Threads are daemons: an interrupted run does not
    wait for replies.

    Example:

    ```python
    >>> from s1_hf.engines.endpoint.workers import as_they_end
    >>> sorted(done for batch in as_they_end(str, [3, 5], concurrency=2) for done in batch)
    [(0, '3'), (1, '5')]

    ```
    """
    todo: SimpleQueue[tuple[int, Job]] = SimpleQueue()
    done: SimpleQueue[tuple[int, Result] | Exception] = SimpleQueue()

    def run() -> None:
        while True:
            try:
                place, job = todo.get_nowait()
            except Empty:
                return
            try:
                done.put((place, work(job)))
            except Exception as error:  # to be raised where it is seen
                _empty(todo)
                done.put(error)

    for one in enumerate(jobs):
        todo.put(one)
    for _ in range(min(concurrency, len(jobs))):
        threading.Thread(target=run, daemon=True).start()
    left = len(jobs)
    try:
        while left:
            batch, error = _ready(done)
            left -= len(batch)
            if batch:
                yield batch
            if error is not None:
                raise error
    finally:
        _empty(todo)


def _ready(
    done: SimpleQueue[tuple[int, Result] | Exception],
) -> tuple[list[tuple[int, Result]], Exception | None]:
    """All that is done by now, at least one, up to an error, if there is one."""
    batch: list[tuple[int, Result]] = []
    found = done.get()
    while True:
        if isinstance(found, Exception):
            return batch, found
        batch.append(found)
        try:
            found = done.get_nowait()
        except Empty:
            return batch, None


def _empty(queue: SimpleQueue[tuple[int, Job]]) -> None:
    while True:
        try:
            queue.get_nowait()
        except Empty:
            return
