"""`s1-hf compare`."""

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from s1_hf.cli import options as o
from s1_hf.cli.tables import table_of
from s1_hf.cli.terminal import console, messages, plain_errors, print_json, print_table

if TYPE_CHECKING:
    from s1_hf.results.differences import Difference


def compare(
    results: Annotated[Path, typer.Argument(help="A folder with rows.jsonl or rows.parquet, or such a file.")],
    setting: Annotated[str, typer.Argument(help="Such as '2 ignores'; with its method if several have it.")],
    reference: Annotated[str, typer.Argument(help="What it is compared with, such as '1 ignore'.")],
    as_json: o.AsJson = False,
) -> None:
    """Compare two settings problem by problem: the difference in accuracy, its 95 % interval, and an exact p.

    Both need the same problems, and the same number of answers to each. The interval is by paired bootstrap over
    problems, p by the exact paired test (McNemar's for one answer per problem), two-sided, not corrected for the number
    of comparisons that you make.

    Examples:

    s1-hf compare results "2 ignores" "1 ignore"

    s1-hf compare results "majority voting, 4 votes" "budget forcing, 2 ignores"
    """
    with plain_errors():
        from s1_hf.reporting.tables import differences_table
        from s1_hf.results.differences import compare as compared
        from s1_hf.results.rows import load_rows

        found = compared(load_rows(results), setting, reference)
    if as_json:
        print_json([asdict(one) for one in found], indent=1)
        return
    print_table(table_of(differences_table(found), "points: accuracy minus that of the other; 95 % interval"))
    for one in found:
        console.print(_in_words(one), highlight=False, soft_wrap=True)
    if any(one.p > 0.05 for one in found):
        messages.print("How many problems would show a gain: s1-hf power", highlight=False)


def _in_words(one: "Difference") -> str:
    where = f"{one.task}: " if one.task else ""
    if one.p > 0.05:
        return f"{where}These {one.problems:,} problems do not show a difference (p = {one.p:.2g})."
    return f"{where}{'More' if one.points > 0 else 'Fewer'} right answers than under {one.reference} (p = {one.p:.2g})."
