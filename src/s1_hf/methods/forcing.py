"""Budget forcing itself, and the ablation of its cue."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from s1_hf.forcing.budget import Budget, is_count
from s1_hf.generation.generate import budget_forcing
from s1_hf.generation.sweep import check_cache
from s1_hf.methods.bench import NO_INTERVENTION, Bench
from s1_hf.methods.method import Method
from s1_hf.results.rows import row_of

if TYPE_CHECKING:
    from s1_hf.results.rows import Problem, Row

Cue = str | Sequence[str] | None


@dataclass(frozen=True)
class BudgetForcing(Method):
    """Caps and ignored ends, in every combination or at single points, from one trace a problem (s1, section 3.1).

    See [`sweep`]. A cap is the setting's promise (`max_thinking_tokens` of its rows); ignores alone promise nothing.

    Args:
        max_thinking_tokens (`Sequence[int | None]`): caps; `None` is no cap.
        num_ignores (`Sequence[int]`): how many ends are ignored.
        points (`Sequence[Budget]`, *optional*): these in place of a grid, such as those of [`curve`].
        wait_text: see [`Budget`].

    Raises:
        ValueError: the grid is empty or has a value twice or out of range, or stands beside `points`.
    """

    max_thinking_tokens: Sequence[int | None] = (None,)
    num_ignores: Sequence[int] = (0,)
    points: Sequence[Budget] | None = None
    wait_text: Cue = "Wait"

    def __post_init__(self) -> None:
        self._settings()
        Budget(wait_text=self.wait_text)

    def _settings(self) -> list[Budget]:
        return chosen(self.points, self.max_thinking_tokens, self.num_ignores)

    @property
    def names(self) -> list[str]:
        return ["budget forcing"]

    def check(self, bench: Bench) -> None:
        check_grid(bench, self._settings(), self.wait_text)

    def rows(self, bench: Bench, problems: Sequence[Problem]) -> list[Row]:
        settings = self._settings()
        return [
            row_of(
                done, problem, bench.tokenizer,
                method=self.names[0], setting=setting.name, sample=sample,
                max_thinking_tokens=setting.max_thinking_tokens,
            )
            for setting, problem, sample, done in bench.answers(problems, settings, wait_text=self.wait_text)
        ]  # fmt: skip


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
            check_grid(bench, [Budget(max_thinking_tokens=None, num_ignores=self.num_ignores)], cue)
        check_cache(bench.model.config)

    def rows(self, bench: Bench, problems: Sequence[Problem]) -> list[Row]:
        settings = [NO_INTERVENTION, Budget(max_thinking_tokens=None, num_ignores=self.num_ignores)]
        rows = []
        for cue in self.wait_texts:
            for setting, problem, sample, done in bench.answers(problems, settings, wait_text=cue):
                name = self._name(cue) if setting.num_ignores else "no extrapolation"
                rows.append(row_of(done, problem, bench.tokenizer, method=self.names[0], setting=name, sample=sample))
            settings = settings[-1:]  # without any end ignored all cues are the same
        return rows

    def _name(self, cue: Cue) -> str:
        texts = [cue] if isinstance(cue, str) else list(cue or ())
        return f"{self.num_ignores}x " + (", ".join(f'"{text}"' for text in texts) or "without string")


def check_grid(bench: Bench, settings: Sequence[Budget], wait_text: Cue) -> None:
    """Raises what generating under these settings would."""
    if len(settings) > 1:
        check_cache(bench.model.config)
    for setting in settings:
        arguments: dict[str, Any] = bench.arguments(sampled=False, wait_text=wait_text)
        arguments |= {"max_thinking_tokens": setting.max_thinking_tokens, "num_ignores": setting.num_ignores}
        budget_forcing(bench.model, bench.tokenizer, **arguments)
