"""`s1-hf power`."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich import box
from rich.table import Table
from rich.text import Text

from s1_hf.cli import options as o
from s1_hf.cli.terminal import console, messages, plain_errors, print_json, print_table
from s1_hf.visible import shortened

if TYPE_CHECKING:
    from s1_hf.results.power import Outlook, Plan


def power(
    pilot: Annotated[Path, typer.Argument(help="Rows of a small run: a folder with rows.jsonl or rows.parquet.")],
    setting: Annotated[str | None, typer.Argument(help="Such as '2 ignores'; all settings by default.")] = None,
    reference: Annotated[
        str | None, typer.Argument(help="What it is compared with; by default no intervention, or the first setting.")
    ] = None,
    *,
    gain: Annotated[float, typer.Option(help="Percentage points that are worth showing.", min=0.01, max=100)],
    power: Annotated[float, typer.Option(help="Probability of showing them.", min=0.5, max=0.999)] = 0.8,
    max_problems: Annotated[int | None, typer.Option(help="How many problems there are to run.", min=1)] = None,
    tokens_per_second: Annotated[
        float | None, typer.Option(help="That your machine generates, for hours; by default the pilot's.", min=0.001)
    ] = None,
    seed: Annotated[int, typer.Option(help="Random seed for the safe numbers.", min=0)] = 0,
    as_json: o.AsJson = False,
) -> None:
    """How many problems, samples and hours would show a gain, planned from a pilot of some 30 problems.

    To show a gain is to reject equality by the exact paired test at 5 %. Each row is the cheapest plan for a setting;
    for a single setting all plans. "safe" is by the largest spread between problems that the pilot leaves possible
    (at 90 %), "problems" by the one that it has seen; what the pilot cannot tell is said. docs/results.md has the law.

    Examples:

    s1-hf power results --gain 5

    s1-hf power results "2 ignores" "no intervention" --gain 3 --max-problems 500 --tokens-per-second 2000
    """
    with plain_errors():
        from s1_hf.reporting import load_about
        from s1_hf.results.power import outlooks
        from s1_hf.results.rows import load_rows

        found = outlooks(
            load_rows(pilot),
            gain,
            setting=setting,
            reference=reference,
            max_problems=max_problems,
            tokens_per_second=tokens_per_second or _speed(load_about(pilot)),
            power=power,
            seed=seed,
        )
    if as_json:
        print_json([asdict(one) for one in found], indent=1)
        return
    print_table(_table(found, f"To show {gain:g} points with {100 * power:g} % power", max_problems))
    for one in found:
        for words in one.unknown:
            messages.print(f"{shortened(_name(one), 80)}: {words}", highlight=False, soft_wrap=True)
    if found[0].plans[0].hours is None:
        messages.print("For hours: --tokens-per-second, that your machine generates.", highlight=False)
    console.print(
        "tokens: of both settings as separate runs of the safe number of problems; `s1-hf sweep` shares what they have "
        "in common.",
        highlight=False,
        soft_wrap=True,
    )


def _speed(about: Mapping[str, Mapping[str, Any]]) -> float | None:
    """Tokens a second of the pilot's runs that say."""
    tokens = seconds = 0.0
    for facts in about.values():
        cost = facts.get("cost")
        if isinstance(cost, dict) and all(_is_number(cost.get(name)) for name in _COST):
            tokens += cost["trace_tokens"] + cost["answer_tokens"]
            seconds += cost["seconds"]
    return tokens / seconds if tokens > 0 and seconds > 0 else None


_COST = ("trace_tokens", "answer_tokens", "seconds")


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _table(found: "Sequence[Outlook]", title: str, max_problems: int | None) -> Table:
    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False, collapse_padding=True)
    numbers = ("pilot", "95 %", "samples", "problems", "safe", "tokens", "hours")
    for name in ("setting", "compared with", *numbers):
        is_number = name in numbers
        table.add_column(name, justify="right" if is_number else "left", no_wrap=is_number, overflow="fold")
    for one in found:
        plans: list[Plan | None] = [one.cheapest] if len(found) > 1 else [*one.plans]
        for plan in plans:
            seen = (f"{one.points:+.1f}", f"{one.low:+.1f} to {one.high:+.1f}")
            table.add_row(
                Text(shortened(_name(one), 60)), Text(shortened(one.reference, 60)), *seen, *_cells(plan, max_problems)
            )
    return table


def _cells(plan: "Plan | None", max_problems: int | None) -> list[str]:
    if plan is None:
        return ["none", "", "", "", ""]
    hours = "" if plan.hours is None else f"{plan.hours:,.2g}" if plan.hours < 10 else f"{plan.hours:,.0f}"
    safe = f"{plan.most:,}" if plan.fits else f"{plan.most:,} > {max_problems:,}"
    return [f"{plan.samples}", f"{plan.problems:,}", safe, f"{plan.tokens:,}", hours]


def _name(one: "Outlook") -> str:
    return ", ".join(filter(None, (one.task, one.method, one.setting)))
