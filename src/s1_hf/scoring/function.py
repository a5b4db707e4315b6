"""Any function as a scorer."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

from s1_hf.scoring.scorer import Candidate, Scores, ScoringCost, check_finished


class FunctionScorer:
    """A [`Scorer`] that calls a function for every candidate, once for those that are equal in one call.

    It costs no tokens. What a function with a model of its own has cost, only the function knows.

    Args:
        function (`Callable`): from a [`Candidate`] to its numbers, one for each of its `parts`; or to one number.
        name (`str`): tells it from other functions in results and ledgers: change it when the function changes.
        of_steps (`bool`): see [`Scorer`].

    Example:

    ```python
    >>> from s1_hf.scoring import Candidate, FunctionScorer
    >>> short = FunctionScorer(lambda one: [-len(part) for part in one.parts], "short steps", of_steps=True)
    >>> short.scores([Candidate("1 + 1?", ["It is", "2"])]).values
    [(-5.0, -1.0)]

    ```
    """

    def __init__(self, function: Callable[[Candidate], float | Sequence[float]], name: str, *, of_steps: bool) -> None:
        if not name:
            raise ValueError("`name` has to tell this function from others, but is empty.")
        if not callable(function):
            raise TypeError(f"`function` has to be a function of a candidate, but is {function!r}.")
        self._function, self._name, self.of_steps = function, name, of_steps

    @property
    def identity(self) -> dict[str, Any]:
        """See [`Scorer`]."""
        return {"scorer": "function", "name": self._name, "of_steps": self.of_steps}

    def scores(self, candidates: Sequence[Candidate]) -> Scores:
        """See [`Scorer`].

        Raises:
            ValueError: also if the function gives another number of numbers than it should, or one that is not finite.
        """
        if not self.of_steps:
            check_finished(candidates, repr(self._name))
        known: dict[str, tuple[float, ...]] = {}
        values = []
        for one in candidates:
            key = repr((one.question, one.parts, one.is_finished))
            if key not in known:
                known[key] = self._values(one)
            values.append(known[key])
        return Scores(values, ScoringCost())

    def _values(self, candidate: Candidate) -> tuple[float, ...]:
        found: Any = self._function(candidate)
        wanted = len(candidate.parts) if self.of_steps else 1
        try:
            values = tuple(map(float, found if isinstance(found, Sequence) else [found]))
        except (TypeError, ValueError):  # no numbers
            values = ()
        if len(values) != wanted or not all(map(math.isfinite, values)):
            numbers = "a finite number" if wanted == 1 else f"{wanted} finite numbers"
            raise ValueError(f"{self._name!r} has to give {numbers} for this, but gave {found!r}.")
        return values
