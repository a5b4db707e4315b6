"""Which lines of a trace of the two lamps are right, exactly. Standard library only."""

from __future__ import annotations

from collections.abc import Sequence

from s1_hf.embedded.problems import Problem, compare

NOT_YET, KEEP_GOING, CHECK = "Not yet.", "Wait, keep going.", "Wait, check: "


def right_lines(problem: Problem, lines: Sequence[str]) -> list[bool]:
    """Of each line of thinking, whether it and all lines before it are right.

    Right is: first the problem's [`summary`]; then the states of its search in their order, none left out and none
    twice, each with the right sign; `Not yet.` and `Wait, keep going.` anywhere as long as the lamps have not met;
    `Wait, check: 36 = 36.` once they have, with the time at which they did. Space around a line and a full stop after
    a comparison do not matter. After the first wrong line nothing is right.

    Example:

    ```python
    >>> from s1_hf.embedded import Problem
    >>> from s1_hf.embedded.lines import right_lines
    >>> lines = ["A from 2 by 7, B from 3 by 8.", "2 < 3", "Not yet.", "9 > 3", "9 < 12"]
    >>> right_lines(Problem(2, 7, 3, 8), lines)
    [True, True, True, True, False]

    ```
    """
    states = list(problem.states())
    found, shown, right = [], 0, True
    for number, line in enumerate(line.strip() for line in lines):
        met = shown == len(states)
        if number == 0:
            right = line == problem.summary
        elif line in (NOT_YET, KEEP_GOING):
            right = right and not met
        elif line.startswith(CHECK):
            right = right and met and line == f"{CHECK}{compare(*states[-1])}."
        else:
            right = right and not met and line.removesuffix(".") == compare(*states[shown])
            shown += right
        found.append(right)
    return found
