"""`s1-hf early`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from s1_hf.cli import options as o
from s1_hf.cli.engines import given_in, named
from s1_hf.cli.stopping import OpeningTokens, SweptIgnores, rules_of, swept_rows
from s1_hf.cli.tables import table_of
from s1_hf.cli.terminal import console, plain_errors, print_json, print_table

if TYPE_CHECKING:
    from s1_hf.grading.extraction import AnswerKind
    from s1_hf.methods import Calibration, Trial
    from s1_hf.methods.exits.rules import Rule


@dataclass(frozen=True)
class Replayed:
    """What came of a rule, as means per answer; `lost` are right answers of the whole thinking that it gave up."""

    rule: str
    answers: int
    accuracy: float
    lost: int
    thinking_tokens: float
    total_tokens: float
    tries: float


def early(
    context: typer.Context,
    results: Annotated[Path, typer.Argument(help="Rows of a sweep over caps: a folder with rows, or such a file.")],
    *,
    stable: Annotated[
        str, typer.Option(help="Stop after so many equal answers in a row, separated by commas; 'none': not so.")
    ] = "none",
    confident: Annotated[
        str, typer.Option(help="Stop at such confidences, separated by commas, from strict to loose.")
    ] = "none",
    calibrate_on: Annotated[
        int | None, typer.Option(help="Choose a rule on so many problems, the first; show all on the others.", min=1)
    ] = None,
    alpha: Annotated[
        float, typer.Option(help="Of the calibration: the largest share of problems that may be lost.", min=0, max=1)
    ] = 0.05,
    delta: Annotated[
        float, typer.Option(help="Of the calibration: with which probability it may be more.", min=0, max=1)
    ] = 0.05,
    num_ignores: SweptIgnores = None,
    opening_tokens: OpeningTokens = 0,
    answer_kind: Annotated[Literal["math", "choice"], typer.Option(help="Of the answers.")] = "math",
    as_json: o.AsJson = False,
) -> None:
    """Where would thinking have stopped early? Any rule replayed from a sweep; thresholds with a guarantee.

    The points at which an answer is tried are the sweep's caps. Tokens are all that a real run generates: the thinking
    up to the exit, and every answer on the way. For a run: `s1-hf search --methods early`.

    Examples:

    s1-hf sweep my-model --tasks s1:math500 --max-thinking-tokens 500,1000,2000,none --confidence

    s1-hf early results --confident 0.99,0.95,0.9 --calibrate-on 300
    """
    with plain_errors():
        from s1_hf.methods import calibrated, trials_of
        from s1_hf.results.rows import load_rows

        idle = [name for name in ("alpha", "delta") if name in given_in(context)]
        if idle and calibrate_on is None:
            raise ValueError(f"{named(idle)} needs `--calibrate-on`, such as 300.")
        rules = rules_of(stable, confident)
        trials = trials_of(swept_rows(load_rows(results), num_ignores, uncapped=True), opening_tokens=opening_tokens)
        found: list[Calibration] = []
        if calibrate_on is not None:
            if calibrate_on >= len(trials):
                raise ValueError(
                    f"`--calibrate-on` has to leave some of the {len(trials)} problems, but is {calibrate_on}."
                )
            for kind in dict.fromkeys(rule.kind for rule in rules):
                own = [rule for rule in rules if rule.kind == kind]
                found.append(calibrated(trials[:calibrate_on], own, answer_kind, alpha=alpha, delta=delta))
            trials = trials[calibrate_on:]
        shown = _replayed(trials, rules, answer_kind)
    if as_json:
        verdicts = [{"rule": one.rule and one.rule.name, "verdict": one.verdict} for one in found]
        print_json({"rules": [asdict(one) for one in shown], "calibrated": verdicts}, indent=1)
        return
    _show(shown, found)


def _replayed(trials: Sequence[Sequence[Trial]], rules: Sequence[Rule], kind: AnswerKind) -> list[Replayed]:
    """The whole thinking without any trial first, then every rule."""
    from s1_hf.methods.exits.early import check_measured, exited

    check_measured(trials, rules)
    whole = [one[-1].row for one in trials]
    count = len(whole)
    shown = []
    for name, rows in [("whole thinking", whole), *((r.name, [exited(one, r, kind) for one in trials]) for r in rules)]:
        shown.append(
            Replayed(
                name, count,
                accuracy=100 * sum(row.correct for row in rows) / count,
                lost=sum(full.correct and not row.correct for full, row in zip(whole, rows, strict=True)),
                thinking_tokens=sum(row.thinking_tokens for row in rows) / count,
                total_tokens=sum(row.total_tokens for row in rows) / count,
                tries=sum(row.tries for row in rows) / count,
            )
        )  # fmt: skip
    return shown


def _show(shown: Sequence[Replayed], found: Sequence[Calibration]) -> None:
    from s1_hf.reporting.tables import Table

    rows = []
    for one in shown:
        numbers = (f"{one.thinking_tokens:,.0f}", f"{one.total_tokens:,.0f}", f"{one.tries:.1f}")
        rows.append([one.rule, f"{one.answers}", f"{one.accuracy:.1f}", f"{one.lost}", *numbers])
    columns = ["thinking stops", "n", "acc. %", "lost", "thinking", "all tokens", "tries"]
    print_table(table_of(Table(columns, rows, 1), "replayed; lost: right answers that the exit gave up"))
    for calibration in found:
        console.print(calibration.verdict, highlight=False, soft_wrap=True)
