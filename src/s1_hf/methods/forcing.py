"""Budget forcing itself, and the ablation of its cue."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from s1_hf.forcing.budget import NO_INTERVENTION, Budget
from s1_hf.forcing.values import is_count
from s1_hf.generation.grids import chosen_settings
from s1_hf.methods.method import Method
from s1_hf.results.rows import promises_of, row_of

if TYPE_CHECKING:
    from s1_hf.methods.bench import Bench
    from s1_hf.results.rows import Problem, Row

Cue = str | Sequence[str] | None

OF_THE_BENCH: Cue = ()
"""No cue of a method's own."""


@dataclass(frozen=True)
class BudgetForcing(Method):
    """Caps and ignored ends, in every combination or at single points, from one trace per problem (s1, section 3.1).

    See [`sweep`]. A cap is the setting's promise; ignores by themselves promise
    nothing.

    Args:
        max_thinking_tokens (`Sequence[int | None]`): caps; `None` is no cap.
        num_ignores (`Sequence[int]`): how many ends are ignored.
        points (`Sequence[Budget]`, *optional*): these in place of a grid, such as those of [`curve`]. What they share
            comes from the bench.
        wait_text (*optional*): as in [`Budget`]; by default the bench's.

    Raises:
        ValueError: the grid is empty or has a value twice or out of range, or stands beside `points`; `points` set more
            than caps and ignores.
    """

    max_thinking_tokens: Sequence[int | None] = (None,)
    num_ignores: Sequence[int] = (0,)
    points: Sequence[Budget] | None = None
    wait_text: Cue = OF_THE_BENCH

    def __post_init__(self) -> None:
        shared = self.grid()[0].shared()
        if shared != NO_INTERVENTION:
            raise ValueError(
                f"`points` have to leave all but caps and ignores to the bench, but share {shared}. Give that to the "
                "bench as its `budget`."
            )
        with_cue(NO_INTERVENTION, self.wait_text)

    @property
    def names(self) -> list[str]:
        return ["budget forcing"]

    def check(self, bench: Bench) -> None:
        bench.check(bench.problems, self.grid(), budget=with_cue(bench.budget, self.wait_text))

    def rows(self, bench: Bench, problems: Sequence[Problem]) -> list[Row]:
        rows = []
        answers = bench.answers(problems, self.grid(), budget=with_cue(bench.budget, self.wait_text))
        for point, problem, request, done in answers:
            row = row_of(
                done, problem, bench.runner.tokenizer,
                request=request, method=self.names[0], setting=point.name, **promises_of(point),
            )  # fmt: skip
            rows.append(row)
        return rows

    def grid(self) -> list[Budget]:
        return chosen_settings(self.points, self.max_thinking_tokens, self.num_ignores)


@dataclass(frozen=True)
class CueAblation(Method):
    """What replaces an ignored end (s1, table 4): any texts, and none.

    The settings are named as in the table: `no extrapolation`, `2x "Wait"`, `2x without string`.

    Args:
        wait_texts (`Sequence`): each is a `wait_text` of [`Budget`]: a text, several that are used in turn, or `None`,
            the paper's "without string".
        num_ignores (`int`, defaults to 2): how many ends are ignored.

    Raises:
        ValueError: there is no text, one twice, or one that is none; `num_ignores` is not positive.
    """

    wait_texts: Sequence[Cue] = ("Wait", "Hmm", "Alternatively", None)
    num_ignores: int = 2

    def __post_init__(self) -> None:
        if not is_count(self.num_ignores) or self.num_ignores < 1:
            raise ValueError(f"`num_ignores` has to be an integer of at least 1, but is {self.num_ignores!r}.")
        cues = self.wait_texts
        said = f"`wait_texts` has to be a sequence of different wait texts, but is {cues!r}."
        if isinstance(cues, str) or not isinstance(cues, Sequence) or not cues:
            raise ValueError(said)
        for cue in cues:
            Budget(wait_text=cue)
        if len(set(map(self._name, cues))) < len(cues):  # "Wait" and ["Wait"] are the same
            raise ValueError(said)

    @property
    def names(self) -> list[str]:
        return ["cue ablation"]

    def check(self, bench: Bench) -> None:
        for cue in self.wait_texts:
            bench.check(bench.problems, self.grid(), budget=replace(bench.budget, wait_text=cue))

    def rows(self, bench: Bench, problems: Sequence[Problem]) -> list[Row]:
        points = self.grid()
        rows = []
        for cue in self.wait_texts:
            for point, problem, request, done in bench.answers(
                problems, points, budget=replace(bench.budget, wait_text=cue)
            ):
                name = self._name(cue) if point.num_ignores else "no extrapolation"
                row = row_of(done, problem, bench.runner.tokenizer, request=request, method=self.names[0], setting=name)
                rows.append(row)
            points = points[-1:]  # without any end ignored all cues are the same
        return rows

    def grid(self) -> list[Budget]:
        return [NO_INTERVENTION, Budget(num_ignores=self.num_ignores)]

    def _name(self, cue: Cue) -> str:
        texts = [cue] if isinstance(cue, str) else list(cue or ())
        return f"{self.num_ignores}x " + (", ".join(f'"{text}"' for text in texts) or "without string")


def with_cue(budget: Budget, wait_text: Cue) -> Budget:
    """`budget` with a method's own `wait_text`, if it has one."""
    return budget if wait_text == OF_THE_BENCH else replace(budget, wait_text=wait_text)
