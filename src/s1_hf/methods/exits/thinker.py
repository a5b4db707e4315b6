"""A row that thinks on from point to point of its budget, and has an answer tried at each."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Protocol

from s1_hf.forcing.pauses import Pause
from s1_hf.methods.bench import new_tokens
from s1_hf.methods.exits.trials import Trial, ended_for_room
from s1_hf.results.rows import row_of

if TYPE_CHECKING:
    from s1_hf.engines.engine import Engine
    from s1_hf.engines.request import Request
    from s1_hf.forcing.pauses import Begun
    from s1_hf.generation.chats import Completion
    from s1_hf.grading.extraction import AnswerKind
    from s1_hf.results.rows import Problem, Row


@dataclass(frozen=True)
class Points:
    """Where an answer is tried: one of the two is given.

    Args:
        caps (`Callable`, *optional*): from 0, 1, 2, ... to growing numbers of thinking tokens; `None` from where there
            are no more.
        separator (`str`, *optional*): behind this text, whatever tokens it is written in.
    """

    caps: Callable[[int], int | None] | None = None
    separator: str | None = None


class Asking(Protocol):
    """A [`Bench`], or what stands before one."""

    @property
    def runner(self) -> Engine:
        """See [`Bench`]."""

    def complete(self, requests: Sequence[Request]) -> dict[str, Completion]:
        """See [`Bench`]."""


class Thinker:
    """One answer to one problem, thought on from point to point.

    At a cap the row runs under that cap, and pauses when it has come to it; its trial is the same run going on without
    a pause. So every trial is, token for token, what a run under its cap gives. A row that has ended under a cap, and
    would not have without it (see [`ended_for_room`]), goes on from the point before.

    Args:
        request ([`Request`]): of the whole answer, under its own budget.
        points ([`Points`]): where answers are tried.

    Attributes:
        trials (`list[Trial]`): so far.
        level (`int`): to how many points it has come.
        spent (`int`): tokens that were generated so far.
    """

    def __init__(self, problem: Problem, request: Request, points: Points) -> None:
        self.problem, self.request = problem, request
        self.trials: list[Trial] = []
        self.level = self.spent = 0
        self._points = points
        self._place: Begun | None = None  # where it thinks on
        self._asked: Request = request
        self._paused: Completion | None = None  # whose answer has not been tried
        self._counted = 0  # of what is spent, up to the last trial

    @property
    def is_over(self) -> bool:
        """Whether there is nothing to go on to."""
        return bool(self.trials) and self.trials[-1].is_last

    @property
    def awaits(self) -> bool:
        """Whether it has paused, and its answer there has not been tried."""
        return self._paused is not None

    @property
    def kind(self) -> AnswerKind:
        """Of its answers."""
        return self.problem.kind

    @property
    def thinking_tokens(self) -> int:
        """With how many it goes on."""
        return 0 if self._place is None else self._place.thinking_tokens

    def onward(self) -> Request:
        """To the next point, or the end."""
        self._asked = replace(self.request, begun=self._place)
        if self._points.separator is not None:
            self._asked = replace(self._asked, pause=Pause(self._points.separator))
        elif (cap := self._next_cap()) is not None:
            budget = replace(self.request.budget, max_thinking_tokens=cap)
            tokens = max(cap - self.thinking_tokens, 1)
            self._asked = replace(self._asked, budget=budget, pause=Pause(tokens=tokens))
        return self._asked

    def went(self, done: Completion, bench: Asking) -> None:
        """Take what [`onward`] has become."""
        self.spent += new_tokens(self._asked, done)
        self.level += 1
        self._paused = None
        if done.begun is None:
            self._tried(self._asked, done, bench)
            return
        self._place = done.begun
        is_free = self._points.separator is None or not done.begun.forced[-1]  # else a cap would have left no Wait here
        self._paused = done if is_free else None

    def trial(self) -> Request | None:
        """The answer where it has paused; `None` if there is none to try."""
        if self._paused is None:
            return None
        budget = replace(self.request.budget, max_thinking_tokens=self.thinking_tokens)
        self._asked = replace(self.request, begun=self._place, budget=budget)
        return self._asked

    def answered(self, done: Completion, bench: Asking) -> None:
        """Take what [`trial`] has become."""
        answering = new_tokens(self._asked, done)
        self.spent += answering
        self._paused = None
        self._tried(self._asked, done, bench, answering)

    def _tried(self, request: Request, done: Completion, bench: Asking, answering: int = 0) -> None:
        row = _row(bench, self.problem, request, done)
        was_capped = request.budget != self.request.budget
        is_last = not answering and not (was_capped and (row.ended == "cut" or ended_for_room(row)))
        self.trials.append(Trial(row, self.spent - self._counted, is_last, answering))
        self._counted = self.spent

    def _next_cap(self) -> int | None:
        """`None`: it goes to its end under its own budget."""
        assert self._points.caps is not None
        cap, own = self._points.caps(self.level), self.request.budget.max_thinking_tokens
        if cap is None or cap >= self.request.max_new_tokens or (isinstance(own, int) and cap >= own):
            return None
        return cap


def go_on(bench: Asking, thinkers: Sequence[Thinker]) -> None:
    """Every one to its next point, with its answer there."""
    think_on(bench, thinkers)
    try_answers(bench, thinkers)


def think_on(bench: Asking, thinkers: Sequence[Thinker]) -> None:
    """Every one to its next point; those that end have their answers."""
    asked = [thinker.onward() for thinker in thinkers]
    done = bench.complete(asked)
    for thinker, request in zip(thinkers, asked, strict=True):
        thinker.went(done[request.key], bench)


def try_answers(bench: Asking, thinkers: Sequence[Thinker]) -> None:
    """The answers of those that have paused."""
    asked = [(thinker, request) for thinker in thinkers if (request := thinker.trial()) is not None]
    done = bench.complete([request for _, request in asked])
    for thinker, request in asked:
        thinker.answered(done[request.key], bench)


def _row(bench: Asking, problem: Problem, request: Request, done: Completion) -> Row:
    return row_of(done, problem, bench.runner.tokenizer, request=request, method="", setting=request.budget.name)
