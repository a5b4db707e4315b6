"""Scorers that know what is right: bounds for what any reward model can do, and labels for training one."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Protocol

from s1_hf.embedded.lines import right_lines
from s1_hf.embedded.problems import Problem, extract_answer, problems
from s1_hf.engines.request import digest
from s1_hf.grading import grade
from s1_hf.grading.extraction import AnswerKind
from s1_hf.scoring.scorer import Candidate, Scores, ScoringCost, check_finished


class Asked(Protocol):
    """A question with its right answer, such as a [`s1_hf.results.rows.Problem`]."""

    @property
    def question(self) -> str:
        """The text."""

    @property
    def gold(self) -> str:
        """Only the right answer."""

    @property
    def kind(self) -> AnswerKind:
        """See [`grade`]."""


class Oracle:
    """A [`Scorer`] of answers by [`grade`]: 1 if right, else 0. It costs no tokens, and no method may use it but as a
    bound: best of N by it is what a perfect reward model would reach (pass@N).

    Args:
        problems: those that may be asked about.

    Raises:
        ValueError: a question has two different right answers.
    """

    of_steps = False

    def __init__(self, problems: Iterable[Asked]) -> None:
        self._golds: dict[str, tuple[str, AnswerKind]] = {}
        for one in problems:
            gold = (one.gold, one.kind)
            if self._golds.setdefault(one.question, gold) != gold:
                raise ValueError(f"The question {one.question!r} has two right answers, so no oracle can know it.")

    @property
    def identity(self) -> dict[str, Any]:
        """See [`Scorer`]."""
        return {"scorer": "oracle", "problems": digest(sorted(self._golds.items()))[:16]}

    def scores(self, candidates: Sequence[Candidate]) -> Scores:
        """See [`Scorer`]."""
        check_finished(candidates, "The oracle")
        known = [self._golds.get(one.question_text) for one in candidates]
        values: list[tuple[float, ...]] = []
        for one, gold in zip(candidates, known, strict=True):
            if gold is None:
                raise ValueError(f"The oracle does not know the question {one.question_text!r}.")
            values.append((float(grade(one.answer or "", *gold).correct),))
        return Scores(values, ScoringCost())


class LampsOracle:
    """A [`Scorer`] of the embedded model's traces: of every line 1 if it and all before it are right (see
    [`right_lines`]), and of the answer 1 if it is right, else 0.

    That all lines are right does not mean that the search is over: the toy's mistake is to stop too early, and only
    the answer's number shows it.

    Example:

    ```python
    >>> from s1_hf.embedded import Problem
    >>> from s1_hf.scoring import Candidate, LampsOracle
    >>> lines = ["A from 2 by 7, B from 3 by 8.", "2 < 3", "9 > 3", "Not yet."]
    >>> LampsOracle().scores([Candidate(Problem(2, 7, 3, 8).question, lines, "Answer: 9")]).values
    [(1.0, 1.0, 1.0, 1.0, 0.0)]

    ```
    """

    of_steps = True

    def __init__(self) -> None:
        self._problems: dict[str, Problem] = {problem.question: problem for problem in problems()}

    @property
    def identity(self) -> dict[str, Any]:
        """See [`Scorer`]."""
        return {"scorer": "lamps oracle"}

    def scores(self, candidates: Sequence[Candidate]) -> Scores:
        """See [`Scorer`]."""
        values = []
        for one in candidates:
            problem = self._problems.get(one.question_text)
            if problem is None:
                raise ValueError(f"{one.question_text!r} is no problem of the two lamps.")
            right = right_lines(problem, one.steps)
            if one.answer is not None:
                right.append(extract_answer(one.answer) == problem.answer)
            values.append(tuple(map(float, right)))
        return Scores(values, ScoringCost())
