"""What all methods have in common."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, TypeVar

from s1_hf.forcing.budget import NO_INTERVENTION, check_effect
from s1_hf.forcing.values import is_count
from s1_hf.methods.bench import at_points

if TYPE_CHECKING:
    from s1_hf.forcing.budget import Budget
    from s1_hf.methods.bench import Bench
    from s1_hf.results.rows import Problem, Row

T = TypeVar("T")


class Method(ABC):
    """A way to spend test-time compute: a frozen dataclass of its settings, checked when built."""

    @property
    @abstractmethod
    def names(self) -> list[str]:
        """The `method` of its rows."""

    def grid(self) -> list[Budget]:
        """The caps and ignores under which problems are answered."""
        return [NO_INTERVENTION]

    @abstractmethod
    def rows(self, bench: Bench, problems: Sequence[Problem]) -> list[Row]:
        """The rows of some of the bench's problems, which do not depend on the other ones."""

    def finish(self, rows: list[Row]) -> list[Row]:
        """The rows of all problems, with whatever depends on all of them."""
        return rows

    def check(self, bench: Bench) -> None:
        """Raises what a run would raise, before any compute."""
        bench.check(bench.problems)

    def answers(self, bench: Bench) -> int:
        """How many times it answers each problem."""
        return bench.samples or 1

    def chunk(self, bench: Bench) -> int:
        """How many problems are generated, and kept, together: as few as fill whole batches."""
        return bench.batch_size // math.gcd(bench.batch_size, self.answers(bench))

    def chunks(self, bench: Bench) -> Iterator[Sequence[Problem]]:
        """The bench's problems in these parts."""
        size = self.chunk(bench)
        for first in range(0, len(bench.problems), size):
            yield bench.problems[first : first + size]

    def run(self, bench: Bench) -> list[Row]:
        """All rows. To keep what is finished, see [`run_methods`].

        Raises:
            ValueError: the method cannot be run on this bench.
        """
        self.check(bench)
        check_shared([self], bench)
        bench.watch.begin(0, len(bench.problems))
        rows: list[Row] = []
        for problems in self.chunks(bench):
            rows += self.rows(bench, problems)
            bench.watch.finish(len(problems), 0)
        return in_order(self.finish(rows))

    @property
    def settings(self) -> dict[str, Any]:
        """Name and settings, as JSON types; what is empty was left to the bench, or not asked for."""
        given = {name: value for name, value in asdict(self).items() if value != ()}  # type: ignore[call-overload]
        return {"method": type(self).__name__, **given}


def check_shared(methods: Sequence[Method], bench: Bench) -> None:
    """Raises a `ValueError` for a setting of the bench's budget that has no effect under any of the methods."""
    points: list[Budget] = []
    for method in methods:
        points += method.grid()
    check_effect(at_points(bench.budget, points))


def in_order(rows: list[Row]) -> list[Row]:
    """Settings after each other, as they first appear; within each the order stays."""
    places: dict[tuple[str, str], int] = {}
    for row in rows:
        places.setdefault((row.method, row.setting), len(places))
    return sorted(rows, key=lambda row: places[row.method, row.setting])


def check_counts(name: str, values: Any, least: int = 1) -> None:
    """Raises a `ValueError` unless `values` are different integers of at least `least`, and not none."""
    listed = isinstance(values, Sequence) and not isinstance(values, str) and len(values) > 0
    if not listed or not all(is_count(v) and v >= least for v in values) or len(set(values)) < len(values):
        raise ValueError(
            f"`{name}` has to be a sequence of different integers of at least {least}, such as [16, 32], "
            f"but is {values!r}."
        )


def check_samples(samples: Any, widths: Sequence[int]) -> None:
    """Raises a `ValueError` unless as many samples as the largest width are asked for, or none are said."""
    most = max(widths)
    if samples is not None and (not is_count(samples) or samples < most):
        raise ValueError(f"`samples` has to be an integer of at least the largest width, {most}, but is {samples!r}.")


def disjoint(samples: Sequence[T], k: int) -> Iterator[tuple[int, Sequence[T]]]:
    """Disjoint groups of k, numbered, in their order; what is left over is in none."""
    for number in range(len(samples) // k):
        yield number, samples[number * k : (number + 1) * k]


def check_point(point: Any) -> None:
    """Raises a `ValueError` for a budget that sets more than caps, minimums and ignores."""
    if at_points(NO_INTERVENTION, [point])[0] != point:
        raise ValueError(f"`point` has to leave all but caps, minimums and ignores to the bench, but is {point}.")
