"""Options of commands that stop early, or spend a total."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from s1_hf.cli.sweep import numbers

if TYPE_CHECKING:
    from s1_hf.methods.exits.rules import Rule
    from s1_hf.results.rows import Row

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
    str | None, typer.Option(help="Of spending: tokens for all problems of a task, separated by commas.", **_STOPPING)
]

SweptIgnores = Annotated[
    int | None, typer.Option(help="The sweep's rows with so many ignores; by default the only ones.", min=0)
]
OpeningTokens = Annotated[
    int, typer.Option(help="Generated before thinking begins, if prompts do not open it; see docs.", min=0)
]


def swept_rows(rows: "Sequence[Row]", num_ignores: int | None, uncapped: bool = False) -> "list[Row]":
    """The rows of a sweep over caps with one number of ignores; those without a cap too, if `uncapped`."""
    capped = [row for row in rows if row.max_thinking_tokens is not None and row.method == "budget forcing"]
    if not capped:
        raise ValueError(
            "There are no rows of a sweep over caps. Make them: `s1-hf sweep MODEL --tasks ... --max-thinking-tokens "
            "500,1000,2000`."
        )
    seen = sorted({row.num_ignores or 0 for row in capped})
    if num_ignores is None and len(seen) > 1:
        raise ValueError(f"`--num-ignores` has to choose one of {', '.join(map(str, seen))}, which the sweep has.")
    chosen = seen[0] if num_ignores is None else num_ignores
    if chosen not in seen:
        raise ValueError(f"`--num-ignores` has to be one of {', '.join(map(str, seen))}, but is {chosen}.")
    ours = [row for row in rows if row.method == "budget forcing"] if uncapped else capped
    return [row for row in ours if (row.num_ignores or 0) == chosen]


def rules_of(stable: str, confident: str) -> "list[Rule]":
    """The rules that two options name, from strict to loose as they are given."""
    from s1_hf.methods import Confident, Stable

    times = [] if stable.strip() == "none" else numbers("--stable", stable)
    rules: list[Rule] = [Stable(one) for one in times if one is not None]
    rules += [Confident(one) for one in shares("--confident", confident)]
    if not rules:
        raise ValueError("`--stable` or `--confident` has to say when thinking stops, but both are 'none'.")
    return rules


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
