"""What is followed of rows beside their states: limits of their own, where they pause, how sure the model is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import torch

from s1_hf.forcing.budget import NO_LIMIT
from s1_hf.forcing.confidence import measured
from s1_hf.forcing.decisions import Field
from s1_hf.forcing.pauses import Pauses
from s1_hf.forcing.report import Ended
from s1_hf.generation.criteria import is_long

if TYPE_CHECKING:
    from s1_hf.vllm.row import Row


class Watched(NamedTuple):
    """Where some rows stand beside their states."""

    step_at: torch.Tensor  # (rows,): how far each row's step has come, see [`Pauses`]
    run: torch.Tensor  # (rows,): how many thinking tokens in a row end with its last one
    last: torch.Tensor  # (rows, window): how sure the model was of its last tokens, in ten-thousandths of a nat

    @classmethod
    def together(cls, rows: Sequence[Watched]) -> Watched:
        """These rows, one after the other."""
        return cls(*(torch.cat(column) for column in zip(*rows, strict=True)))

    def row(self, r: int) -> Watched:
        """One of the rows."""
        return Watched(*(column[r : r + 1] for column in self))

    def put(self, r: int, row: Watched) -> None:
        """Another row in the place of one."""
        for column, own in zip(self, row, strict=True):
            column[r] = own[0]

    def to(self, device: torch.device) -> Watched:
        """The same on `device`."""
        return Watched(*(column.to(device) for column in self))

    def but_where(self, moved: torch.Tensor, new: Watched) -> Watched:
        """The rows as they are, but those as in `new` that have `moved`, bool of shape `(rows,)`."""
        return Watched(
            torch.where(moved, new.step_at, self.step_at),
            torch.where(moved, new.run, self.run),
            torch.where(moved[:, None], new.last, self.last),
        )


class Watch:
    """Follows rows that are decided together, and says which of them end before their model does.

    A budget that is reached closes thinking; what is watched here ends the row.

    Args:
        rows (`Sequence[Row]`): of one `group_key`.
        device (`torch.device`): where they are.
    """

    def __init__(self, rows: Sequence[Row], device: torch.device) -> None:
        settings = [row.settings for row in rows]
        self._automaton = rows[0].automaton
        self._tables = self._automaton.tables_on(device)
        # 1. Limits of answers and of thinking.
        self._answers = _limits([one.max_answer_tokens for one in settings], device)
        self._thinking = _limits([one.give_up_after for one in settings], device)
        # 2. Pauses.
        self._pauses: Pauses | None = None
        if any(one.pause is not None for one in settings):
            self._pauses = Pauses.of(self._automaton, rows[0].separator, [row.pause_limit for row in rows], device)
        # 3. The model's confidence.
        confidences = [one.confidence for one in settings if one.confidence is not None]
        self._confidence = confidences[0] if confidences else None
        self._least: torch.Tensor | None = None
        if confidences and confidences[0].window is not None:
            self._least = torch.tensor([one.least for one in confidences], device=device)

    def begun(self, device: torch.device) -> Watched:
        """A row that has got nothing."""
        nothing = torch.zeros(1, dtype=torch.long, device=device)
        return Watched(nothing, nothing, nothing.new_zeros(1, self._window))

    @property
    def follows(self) -> bool:
        """Whether more than states has to be followed."""
        return self._pauses is not None or self._least is not None

    @property
    def _window(self) -> int:
        return 0 if self._confidence is None else self._confidence.window or 0

    def law(self, scores: torch.Tensor) -> torch.Tensor:
        """How sure the model is of the next tokens, `(rows,)`, in ten-thousandths; 0 if that is not measured."""
        if self._confidence is None:
            return torch.zeros(len(scores), dtype=torch.long, device=scores.device)
        return measured(scores.float(), self._confidence.top)

    def follow(
        self, watched: Watched, before: torch.Tensor, after: torch.Tensor, tokens: torch.Tensor, law: torch.Tensor
    ) -> Watched:
        """Where rows stand with one more token.

        Args:
            before, after (`torch.LongTensor` of shape `(7, rows)`): the state in which it was taken, and after it.
            tokens, law (`torch.LongTensor` of shape `(rows,)`): the token, and how sure the model was of it.
        """
        step_at, run, last = watched
        if self._pauses is not None:
            step_at = self._pauses.follow(step_at, after, tokens)
        if self._least is not None:
            run = torch.where(_thinks(before, after), run + 1, 0)
            last = torch.cat([last[:, 1:], law[:, None]], dim=1)
        return Watched(step_at, run, last)

    def read(self, before: torch.Tensor, after: torch.Tensor, tokens: torch.Tensor, law: torch.Tensor) -> Watched:
        """The same for all tokens of the only row: `(7, tokens)` and `(tokens,)`, on the CPU."""
        step_at, run, last = self.begun(tokens.device)
        if self._pauses is not None:
            step_at = self._pauses.read(after, tokens)
        if self._least is not None:
            others = (~_thinks(before, after)).nonzero()[:, 0]
            run = torch.tensor([len(tokens) - (int(others[-1]) + 1 if len(others) else 0)])
            last = torch.cat([last[0], law])[None, -self._window :]
        return Watched(step_at, run, last)

    def pausing(self, watched: Watched, state: torch.Tensor) -> torch.Tensor | None:
        """Which rows in `state`, `(7, rows)`, pause; bool of shape `(rows,)`, `None` if none does."""
        return None if self._pauses is None else self._pauses.due(watched.step_at, state, self._tables)

    def ending(self, watched: Watched, state: torch.Tensor) -> torch.Tensor | None:
        """Which rows pause, have reached a limit of their own, or have lost the model's confidence; likewise."""
        found = [self.pausing(watched, state)]
        thought = state[Field.THINKING] - state[Field.PENDING]
        if self._answers is not None:
            found.append(is_long(state, self._automaton, self._answers))
        if self._thinking is not None:
            found.append(thought > self._thinking)
        if self._least is not None:
            is_low = watched.last.sum(1) < self._least
            found.append(is_low & (watched.run >= self._window) & (state[Field.PENDING] == 0))
        ends = [one for one in found if one is not None]
        return torch.stack(ends).any(0) if ends else None


def _limits(given: Sequence[int | None], device: torch.device) -> torch.Tensor | None:
    """Limits of rows, `(rows,)`, if any of them has one."""
    if all(one is None for one in given):
        return None
    return torch.tensor([NO_LIMIT if one is None else min(one, NO_LIMIT) for one in given], device=device)


def _thinks(before: torch.Tensor, after: torch.Tensor) -> torch.Tensor:
    """Which tokens were thinking, that were taken in states `before` and led to `after`; bool."""
    return (after[Field.ENDED] == Ended.UNFINISHED) & (after[Field.THINKING] > before[Field.THINKING])
