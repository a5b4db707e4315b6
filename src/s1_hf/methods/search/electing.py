"""Which of several scored answers is given."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal, get_args

from s1_hf.grading import group_equivalent

if TYPE_CHECKING:
    from s1_hf.grading.extraction import AnswerKind

Election = Literal["best", "weighted", "majority"]


def elected(
    answers: Sequence[str | None], rewards: Sequence[float], election: Election, kind: AnswerKind = "math"
) -> int:
    """The index of the answer that is given.

    Answers are the same by [`group_equivalent`]. Whoever gave none has no vote and is not elected, unless nobody gave
    any: then it is the first. Of equals the first is taken.

    Args:
        election (`str`): `"best"`: the highest reward. `"weighted"`: the answer whose rewards sum to the most, in the
            row of it with the highest one. `"majority"`: the answer given most often, in the row of the first.

    Raises:
        ValueError: votes are weighted by a negative reward.

    Example:

    ```python
    >>> from s1_hf.methods.search.electing import elected
    >>> answers, rewards = ["7", None, "0.5", "1/2"], [0.6, 0.9, 0.2, 0.5]
    >>> [elected(answers, rewards, how) for how in ("best", "weighted", "majority")]
    [0, 3, 2]

    ```
    """
    voters = [i for i, answer in enumerate(answers) if answer is not None]
    if not voters:
        return 0
    if election == "best":
        return max(voters, key=lambda i: rewards[i])
    groups = group_equivalent(answers, kind)
    if election == "majority":
        return max(groups, key=len)[0]
    least = min(rewards[i] for i in voters)
    if least < 0:
        raise ValueError(
            f"Votes are weighted by rewards, which must not be negative, but one is {least}. Take the best answer, or "
            "a scorer whose numbers are at least 0, such as `Outcome(sigmoid=True)`."
        )
    heaviest = max(groups, key=lambda group: sum(rewards[i] for i in group))
    return max(heaviest, key=lambda i: rewards[i])


def check_election(election: object) -> None:
    """Raises a `ValueError` if there is no such election."""
    if election not in get_args(Election):
        raise ValueError(
            f"`election` has to be one of {', '.join(map(repr, get_args(Election)))}, but is {election!r}."
        )
