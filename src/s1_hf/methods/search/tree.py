"""One search for an answer: rows that pause at the ends of their steps, of which some go on, others more than once."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from random import Random
from typing import TYPE_CHECKING

from s1_hf.engines.request import digest
from s1_hf.methods.bench import new_tokens

if TYPE_CHECKING:
    from s1_hf.engines.request import Request
    from s1_hf.generation.chats import Completion
    from s1_hf.methods.search.rewards import Rewards
    from s1_hf.results.rows import Problem

Choice = Callable[[Sequence[float], Sequence[bool], int, Random], list[int]]
"""From the rewards of rows, whether each has ended, the width of the search and random numbers to how many times each
goes on, or stays if it has ended; as many in all as the search is wide."""


@dataclass(eq=False)
class Node:
    """A row up to the end of a step, or to its end.

    Args:
        request ([`Request`]): whose completion it is.
        parent ([`Node`], *optional*): what it goes on from.
        reward (`float`): 0 until it is known.
    """

    request: Request
    completion: Completion
    parent: Node | None
    reward: float = 0.0
    is_leaf: bool = True

    @property
    def has_ended(self) -> bool:
        """Whether it has its answer."""
        return self.completion.begun is None


class Tree:
    """A search of one width for one answer to a problem.

    Draws of a row follow from a seed. The first row that goes on from a node keeps its seed, so that it becomes what it
    would have become without a pause; every other one has a new seed, of the node's, how many tokens it has got, and
    its own number.

    Args:
        roots (`Sequence[Request]`): the first rows, as many as the search is wide, which pause.
        max_steps (`int`, *optional*): rows that have gone on so many times do not pause again.
        seed (`int`): for what a choice draws.

    Attributes:
        asked (`list[Request]`): what has to be generated next; nothing is left when the search is over.
        rows (`list[Node]`): what the search has now, in the order of their paths. One may be there more than once.
        nodes (`list[Node]`): all that were ever there, each once.
        scorer_tokens (`int`): see [`Row`].
    """

    def __init__(self, problem: Problem, roots: Sequence[Request], *, max_steps: int | None, seed: int) -> None:
        self.problem, self.width = problem, len(roots)
        self._max_steps, self._seed, self._steps = max_steps, seed, 0
        self._next: list[Node | tuple[Request, Node | None]] = [(root, None) for root in roots]
        self.rows: list[Node] = []
        self.nodes: list[Node] = []
        self.scorer_tokens = 0

    @property
    def asked(self) -> list[Request]:
        return [one[0] for one in self._next if isinstance(one, tuple)]

    def grow(self, done: Mapping[str, Completion], rewards: Rewards) -> None:
        """Take what was generated, and have it scored. A search that is one row wide has nothing to choose."""
        new = []
        self.rows = []
        for one in self._next:
            if isinstance(one, tuple):
                request, parent = one
                one = Node(request, done[request.key], parent)
                new.append(one)
            self.rows.append(one)
        self.nodes += new
        if self.width > 1:
            scored = rewards.of(self.problem, [node.completion for node in new])
            self.scorer_tokens += scored.tokens
            for node, reward in zip(new, scored.rewards, strict=True):
                node.reward = reward
        self._steps += 1

    def choose(self, choice: Choice) -> None:
        """Say which rows go on; if all have ended, the search is over."""
        if all(row.has_ended for row in self.rows):
            self._next = []
            return
        random = Random(f"{self._seed} {self._steps}")
        ended = [row.has_ended for row in self.rows]
        counts = choice([row.reward for row in self.rows], ended, self.width, random)
        self._next = []
        for row, count in zip(self.rows, counts, strict=True):
            if row.has_ended:
                self._next += [row] * count
                continue
            row.is_leaf = count == 0
            self._next += [(self._further(row, number), row) for number in range(count)]
        if not self.asked:  # of rows that were drawn none goes on
            self.rows = [one for one in self._next if isinstance(one, Node)]

    def _further(self, row: Node, number: int) -> Request:
        """The `number`-th request that goes on from a row."""
        begun = row.completion.begun
        assert begun is not None
        seed = row.request.seed
        if number:
            seed = int(digest([seed, len(begun.ids), number])[:16], 16) >> 1
        pause = row.request.pause if self._max_steps is None or self._steps < self._max_steps else None
        return replace(row.request, begun=begun, seed=seed, pause=pause)

    # -- what it took -------------------------------------------------------------------------------------------

    @property
    def total_tokens(self) -> int:
        """All that were generated."""
        return sum(new_tokens(node.request, node.completion) for node in self.nodes)

    @property
    def thinking_tokens(self) -> int:
        """Those of them that are thinking."""
        return sum(node.completion.report.thinking_tokens - _thought_before(node) for node in self.nodes)

    @property
    def answer_tokens(self) -> int:
        """Those of them that are answers, which only rows have that have ended."""
        return sum(node.completion.report.answer_tokens for node in self.nodes if node.has_ended)

    @property
    def leaves(self) -> int:
        """How many rows have ended, or were given up."""
        return sum(node.is_leaf for node in self.nodes)


def _thought_before(node: Node) -> int:
    return 0 if node.parent is None else node.parent.completion.report.thinking_tokens
