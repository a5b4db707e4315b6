"""`--column OURS=YOURS`: the names that columns have in your data."""

from typing import Annotated

import typer

Columns = Annotated[
    list[str] | None,
    typer.Option(
        "--column",
        metavar="OURS=YOURS",
        help="A column with a name of its own, such as question=problem, or reply=generation for one that holds "
        "thinking and answer; once for each.",
    ),
]


def named_columns(given: list[str] | None) -> dict[str, str]:
    """What `--column` names: ours -> yours."""
    found = {}
    for pair in given or ():
        ours, equals, yours = pair.partition("=")
        if not (ours and equals and yours) or ours in found:
            raise ValueError(
                f"`--column` has to be OURS=YOURS, such as question=problem, once for each, but is {pair!r}."
            )
        found[ours] = yours
    return found
