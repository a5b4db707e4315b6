"""Answers that are tried while a row thinks: each is what a run under a cap at that point gives."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from s1_hf.grading import group_equivalent

if TYPE_CHECKING:
    from s1_hf.grading.extraction import AnswerKind
    from s1_hf.results.rows import Row


@dataclass(frozen=True)
class Trial:
    """An answer at one point of a row's thinking.

    Args:
        row ([`Row`]): of a run of its own, under a cap at this point.
        spent (`int`): tokens that were generated for it since the trial before: those of the thinking in between, and
            of the answer with what closes the thinking.
        is_last (`bool`): there is nothing to go on to: the thinking has ended here by itself, or at its own limit.
        answering (`int`, defaults to 0): how many of `spent` were for an answer beside a row that has paused to think
            on; 0 if the row itself went on to its answer.
    """

    row: Row
    spent: int
    is_last: bool
    answering: int = 0


def ended_for_room(row: Row) -> bool:
    """Whether the thinking has ended by itself only because its cap left no room for another Wait: under a larger cap
    the same row thinks on."""
    return row.ended == "natural" and row.ends_ignored < (row.num_ignores or 0)


def trials_of(rows: Iterable[Row], *, opening_tokens: int = 0) -> list[list[Trial]]:
    """The trials that a row which thinks on from cap to cap makes, from the rows of a sweep over these caps.

    A row that is cut at a cap pauses there instead, has its answer written beside, and thinks on. What that takes is
    known from the rows: the tokens of each but those with which the row had paused before.

    Rows whose prompts hold thinking already cannot be replayed: they do not say how much of it was generated.

    Args:
        rows (`Iterable[Row]`): of one task or several, under the same caps, or none, and otherwise one budget.
        opening_tokens (`int`, defaults to 0): how many tokens the model generates before its thinking begins, such as
            an opening delimiter that the prompt does not have. Rows do not say. If it is too low, as by default where
            there are such tokens, they are counted again with each trial.

    Returns:
        `list[list[Trial]]`: of each problem and sample, in the rows' order; by growing caps, up to the last.

    Raises:
        ValueError: rows differ in more than their caps, have other caps than the first, or cannot be trials.
    """
    groups: dict[tuple[str, str, int], list[Row]] = {}
    for row in rows:
        groups.setdefault((row.task, row.problem, row.sample), []).append(row)
    if not groups:
        raise ValueError("`rows` has to hold the rows of a sweep over caps, but is empty.")
    caps = None
    found = []
    for (_, problem, _), of_problem in groups.items():
        _check(of_problem, problem)
        ordered = sorted(of_problem, key=_cap)
        own = [row.max_thinking_tokens for row in ordered]
        caps = own if caps is None else caps
        if own != caps or len(set(own)) < len(own):
            raise ValueError(
                f"`rows` has to hold every problem once under each cap, but has {own} of problem {problem!r}, and of "
                f"the first {caps}. Take the rows of one sweep and one number of ignores."
            )
        found.append(_trials(ordered, opening_tokens))
    if len({_shared(row) for of_problem in groups.values() for row in of_problem}) > 1:
        raise ValueError(
            "`rows` has to differ in caps only, but has several methods or budgets. Take the rows of one sweep and one "
            "number of ignores."
        )
    return found


def streak(trials: Sequence[Trial], kind: AnswerKind = "math") -> int:
    """How many of the last trials have one and the same answer; 0 if the last has none.

    Answers are compared with the last one's, by [`group_equivalent`].
    """
    answers = [trial.row.extracted for trial in reversed(trials)]
    if not answers or answers[0] is None:
        return 0
    same = set(group_equivalent(answers, kind)[0])
    return next((i for i in range(len(answers)) if i not in same), len(answers))


def _trials(rows: Sequence[Row], opening_tokens: int) -> list[Trial]:
    trials: list[Trial] = []
    length = 0  # of the row where it has paused
    for row in rows:
        spent = row.total_tokens - length
        if row is rows[-1] or not (row.ended == "cut" or ended_for_room(row)):
            return [*trials, Trial(row, spent, True)]
        answering = 0
        if row.ended == "cut":
            length = opening_tokens + row.thinking_tokens
            answering = row.total_tokens - length
            if answering < 0:
                raise ValueError(
                    f"`opening_tokens` has to be less, but is {opening_tokens}: problem {row.problem!r} has "
                    f"{row.total_tokens} tokens under {row.setting!r}, {row.thinking_tokens} of them thinking."
                )
        trials.append(Trial(row, spent, False, answering))
    return trials


def _cap(row: Row) -> float:
    return float("inf") if row.max_thinking_tokens is None else row.max_thinking_tokens


def _shared(row: Row) -> tuple[object, ...]:
    return row.method, row.num_ignores, row.wait_text, row.answer_prefix, row.loop_guard


def _check(rows: Sequence[Row], problem: str) -> None:
    for row in rows:
        budget = row.budget
        if budget is None or budget.cut_text is not None or budget.cut_window or budget.min_thinking_tokens:
            raise ValueError(
                "`rows` has to be those of a sweep over caps, without stop messages, soft cuts and minimums, but a row "
                f"of problem {problem!r} under {row.setting!r} says otherwise, or nothing."
            )
