"""Options of commands that stop early, or spend a total."""

from typing import Annotated, Any, Literal

import typer

_STOPPING: Any = {"rich_help_panel": "Stopping early"}

VoteRule = Annotated[
    Literal["beta", "dirichlet"],
    typer.Option(help="Of adaptive: the two leading answers decide (beta), or all (dirichlet).", **_STOPPING),
]
VoteThreshold = Annotated[
    float, typer.Option(help="Of adaptive: the vote ends when its leader is so sure to lead.", **_STOPPING)
]
RoundSize = Annotated[
    int | None,
    typer.Option(help="Together are generated: samples of adaptive (1), problems of spending (8).", min=1, **_STOPPING),
]
First = Annotated[
    int, typer.Option(help="Of short: so many that finish thinking first vote, among --widths.", min=1, **_STOPPING)
]
Every = Annotated[
    int, typer.Option(help="Of early and spending: an answer is tried every so many tokens.", min=1, **_STOPPING)
]
Stable = Annotated[
    str, typer.Option(help="Of early: stop after so many equal answers in a row; 'none': not so.", **_STOPPING)
]
Confident = Annotated[
    str, typer.Option(help="Of early: stop at such a confidence, from 0 to 1; 'none': not so.", **_STOPPING)
]
Levels = Annotated[
    int, typer.Option(help="Of spending: thinking goes up to so many times --every.", min=1, **_STOPPING)
]
Totals = Annotated[
    str | None, typer.Option(help="Of spending: tokens for all problems together, separated by commas.", **_STOPPING)
]


def shares(name: str, given: str) -> list[float]:
    """What an option says that takes several numbers from 0 to 1, or 'none'."""
    if given.strip() == "none":
        return []
    try:
        found = [float(word) for word in given.split(",")]
    except ValueError:
        found = [-1.0]
    if not all(0 <= one <= 1 for one in found):
        raise ValueError(
            f"`{name}` has to be numbers from 0 to 1 separated by commas, such as 0.9,0.95, or 'none', but is "
            f"{given!r}."
        )
    return found
