"""What several answers to one problem come to."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from s1_hf.grading.voting import group_equivalent
from s1_hf.metrics import pass_at_k

if TYPE_CHECKING:
    from s1_hf.grading.extraction import AnswerKind


def counts(samples: int) -> list[int]:
    """The numbers of answers that are looked at: 2, 4, ... and all of them."""
    return sorted({2**i for i in range(1, samples.bit_length())} | {samples})


def names(samples: int) -> list[str]:
    """Of what [`vote_scores`] gives."""
    return [f"{name}@{k}" for name in ("avg", "cov", "pass", "maj") for k in counts(samples)]


def vote_scores(right: Sequence[bool], answers: Sequence[str | None], kind: AnswerKind) -> dict[str, float]:
    """`avg@k`, `cov@k`, `pass@k` and `maj@k` of n answers, for k = 2, 4, ... and n, as in s1's evaluation.

    - `avg@k`: how many of the first k are right, between 0 and 1;
    - `cov@k`: 1 if any of the first k is right: pass@k, as measured on these k;
    - `pass@k`: the same, as [`s1_hf.metrics.pass_at_k`] estimates it from all n;
    - `maj@k`: 1 if the answer given most often among the first k is right; of answers given equally often, the first.

    **Where we differ**: equal are answers by [`group_equivalent`] ("1/2" and "0.5"), not by their text or a language
    model; and "no answer" has no vote, where s1's evaluation counts the text it is left with. Without any vote `maj@k`
    is 0.

    Args:
        right (`Sequence[bool]`): whether each of the n answers is.
        answers (`Sequence[str | None]`): what was found in each.

    Example:

    ```python
    >>> from s1_hf.tasks.votes import vote_scores
    >>> vote_scores([False, True, True, False], ["3", "0.5", "1/2", None], "math")["maj@4"]
    1.0

    ```
    """
    groups = group_equivalent(answers, kind)
    scores: dict[str, float] = {}
    for k in counts(len(right)):
        # max() keeps the first of equals, and the groups stand in the order of their first members
        largest = max(groups, key=lambda group: sum(member < k for member in group), default=[])
        scores[f"avg@{k}"] = sum(right[:k]) / k
        scores[f"cov@{k}"] = float(any(right[:k]))
        scores[f"pass@{k}"] = pass_at_k([right], k) / 100
        scores[f"maj@{k}"] = float(bool(largest) and largest[0] < k and right[largest[0]])
    return {name: scores[name] for name in names(len(right))}
