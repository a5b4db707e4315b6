"""The progress bar of what generates, on stderr."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING

from rich.progress import BarColumn, MofNCompleteColumn, TextColumn
from rich.progress import Progress as Bar

from s1_hf.cli.terminal import messages

if TYPE_CHECKING:
    from s1_hf.engines.progress import Progress


@contextmanager
def progress_bar() -> Iterator[Callable[[Progress], None]]:
    """Yields what moves it. Nothing is shown before generation begins."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[speed]}"))
    bar = Bar(*columns, console=messages)

    def show(progress: Progress) -> None:
        if not bar.tasks:
            bar.add_task(f"{progress.found} found on disk" if progress.found else "generating", speed="")
            bar.start()
        bar.update(bar.tasks[0].id, total=progress.total, completed=progress.done, speed=_speed(progress))
        if progress.done == progress.total:
            bar.stop()

    try:
        yield show
    finally:
        bar.stop()


def _speed(progress: Progress) -> str:
    """An endpoint may not tell how many tokens it writes."""
    said = [f"{progress.tokens_per_second:,.0f} tokens/s"] if progress.tokens else []
    left = progress.seconds_left
    return ", ".join(said + ([] if left is None else [f"{timedelta(seconds=round(left))} left"]))
