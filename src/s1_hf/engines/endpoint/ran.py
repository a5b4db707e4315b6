"""What became of a request at an endpoint."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NamedTuple

from s1_hf.forcing.confidence import as_confidences
from s1_hf.generation.chats import completion_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from s1_hf.forcing.confidence import Confidence
    from s1_hf.forcing.report import Report
    from s1_hf.generation.chats import Completion
    from s1_hf.vllm.asking import Asked
    from s1_hf.vllm.setup import Setup


@dataclass
class Spent:
    """What was asked of a server, and what it took.

    Args:
        requests (`int`): that were answered.
        read (`int`): tokens of their prompts, those that it may have had in its cache included.
        cached (`int`): those of them that it says it had.
        written (`int`): tokens that it generated.
        dropped (`int`): of these, tokens that came after thinking had to be stopped or continued, or had paused, and
            were not used.
    """

    requests: int = 0
    read: int = 0
    cached: int = 0
    written: int = 0
    dropped: int = 0

    def add(self, other: Spent) -> None:
        """Both together."""
        for name, value in vars(other).items():
            setattr(self, name, getattr(self, name) + value)


class Ran(NamedTuple):
    """One request."""

    completion: Completion
    states: list[list[int]]  # in which its tokens were taken, if they were asked for
    spent: Spent
    paused: tuple[int, ...] | None = None  # the state where it has paused

    @property
    def cached(self) -> int:
        """Tokens that the server did not have to compute, as far as it says."""
        return self.spent.cached

    def computed(self, asked: Asked) -> int:
        """Tokens that went through the model: of every round its prompt, and all that was written but the last."""
        return self.spent.read - self.spent.cached + self.spent.written - self.spent.requests


class Became(NamedTuple):
    """What became of a request."""

    report: Report
    states: list[list[int]]  # in which its tokens were taken, if they were asked for
    paused: Sequence[int] | None  # the state where it has paused
    measured: Sequence[int] | None = None  # how sure the model was of each token, in ten-thousandths

    def has_lost(self, confidence: Confidence | None) -> bool:
        """Whether it has lost the model's confidence with its last token."""
        if confidence is None or confidence.window is None or self.measured is None:
            return False
        return len(self.measured) >= confidence.window and sum(self.measured[-confidence.window :]) < confidence.least


def ran_of(setup: Setup, asked: Asked, ids: Sequence[int], became: Became, spent: Spent) -> Ran:
    """The same, from the ids that were generated and what became of them."""
    automaton, report = setup.automaton(asked.budget, ()), became.report
    own = list(ids)[: len(report.forced)]
    completion = completion_of(setup.tokenizer, automaton, list(asked.prompt), own, report)
    if became.measured is not None:
        completion = replace(completion, confidences=as_confidences(became.measured))
    paused = None if became.paused is None else tuple(map(int, became.paused))
    return Ran(completion, became.states, spent, paused)
