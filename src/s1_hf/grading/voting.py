"""Answers in groups of equal ones, for a majority vote."""

from __future__ import annotations

import time
from collections.abc import Sequence

from s1_hf.grading.equality import MAX_COMPARED_CHARS, without_math_verify
from s1_hf.grading.extraction import AnswerKind, check_kind, letter
from s1_hf.grading.forms import Form, form
from s1_hf.grading.worker import read, verify

VOTE_LIMIT_S = 60.0  # for math-verify in one vote; from then on, answers are equal only by text and number


def group_equivalent(answers: Sequence[str | None], kind: AnswerKind = "math") -> list[list[int]]:
    """The indices of equal answers in groups, for a majority vote.

    An answer joins the first group whose *first member* it equals ([`is_equal`]), or else starts a new one. Equality
    to six decimals is not transitive, so groups may depend on the order of `answers`. Groups are in order of their
    first members. `None` means no answer and is in no group.

    Each answer is read once, and only those are compared that may be equal by their values at a point. A formula that
    took math-verify too long is not tried again, and a vote spends at most a minute on math-verify.

    Example:

    ```python
    >>> from s1_hf.grading import group_equivalent
    >>> group_equivalent(["0.5", None, "7", "1/2", "07"])
    [[0, 3], [2, 4]]

    ```
    """
    check_kind(kind)
    vote = _Vote(kind)
    groups: list[tuple[str, list[int]]] = []
    group_of: dict[str, list[int]] = {}  # so that the same text is compared only once
    for index, answer in enumerate(answers):
        if answer is None:
            continue
        if answer not in group_of:
            members = next((members for first, members in groups if vote.equal(first, answer)), None)
            if members is None:
                groups.append((answer, members := []))
            group_of[answer] = members
        group_of[answer].append(index)
    return [members for _, members in groups]


class _Vote:
    """Comparisons for one vote: which formulas are not tried again, and how long math-verify has taken."""

    def __init__(self, kind: AnswerKind) -> None:
        self.kind = kind
        self.given_up: set[str] = set()
        self.spent_s = 0.0

    def equal(self, first: str, second: str) -> bool:
        if self.kind == "choice":
            return letter(first) is not None and letter(first) == letter(second)
        if max(len(first), len(second)) > MAX_COMPARED_CHARS:
            return False  # the same text does not come here
        one, other = form(first), form(second)
        settled = without_math_verify(one, other)
        return settled.equal is True if settled else self._equal_formulas(one, other)

    def _equal_formulas(self, first: Form, second: Form) -> bool:
        formulas = {first.formula, second.formula}
        if formulas & self.given_up or self.spent_s > VOTE_LIMIT_S:
            return False
        begin = time.monotonic()
        verdict = verify(first.formula, second.formula)
        self.spent_s += time.monotonic() - begin
        if verdict == "ended":
            self.given_up |= {formula for formula in formulas if read(formula).value is None} or formulas
        return verdict == "equal"
