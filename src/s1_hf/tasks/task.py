"""A task as data: problems that are asked and counted together. It knows no host."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from s1_hf.grading.extraction import AnswerKind
    from s1_hf.results.rows import Problem

_LIGHTEVALS_SEED = 42


@dataclass(frozen=True)
class Task:
    """Problems of one kind, and how they are asked.

    Args:
        name (`str`): such as `"s1:aime24"`; its problems carry it.
        problems (`Sequence[Problem]`): at least one.
        samples (`int`, *optional*): how many answers are sampled to each, for votes; by default one, greedy or not.
        max_new_tokens (`int`, *optional*): the task's own limit, thinking included.
        source (`Mapping`): where the problems are from, as JSON types.
        is_part (`bool`): whether these are not all of its problems.
    """

    name: str
    problems: Sequence[Problem]
    samples: int | None = None
    max_new_tokens: int | None = None
    source: Mapping[str, Any] = field(default_factory=dict)
    is_part: bool = False

    @property
    def kind(self) -> AnswerKind:
        """Of its answers."""
        return self.problems[0].kind

    def drawn(self, max_samples: int | None) -> Task:
        """The same with so many of its problems, drawn as lighteval draws them; with `None` all, in their order."""
        if max_samples is None:
            return self
        shuffled = list(self.problems)
        random.Random(_LIGHTEVALS_SEED).shuffle(shuffled)
        return replace(self, problems=shuffled[:max_samples], is_part=max_samples < len(shuffled))
