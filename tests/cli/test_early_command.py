"""`s1-hf early`: rules replayed from a sweep, a calibration, and bad input."""

from __future__ import annotations

import json

import pytest

pytest.importorskip("typer")
pytest.importorskip("math_verify")

from typer.testing import CliRunner

from s1_hf.cli import app
from s1_hf.forcing.budget import Budget
from s1_hf.forcing.columns import columns_of
from s1_hf.results.rows import Row, save_rows

CAPS = (10, 20, 30)
RUNNER = CliRunner()


def rows_of(problem: int, answers: str, confidences, uncapped: bool = True, ignores: int = 0) -> list[Row]:
    """An answer under each cap and, ending by itself, under none; right is 5."""
    made = []
    for answer, confidence, cap in zip(answers, confidences, [*CAPS, None], strict=True):
        thinking = cap or 36
        made.append(
            Row(
                "budget forcing", f"cap {cap}", "t", str(problem), 0, thinking, 4, answer == "5",
                "natural" if cap is None else "cut", extracted=answer, total_tokens=thinking + 9, confidence=confidence,
                **columns_of(Budget(max_thinking_tokens=cap, num_ignores=ignores)),
            )
        )  # fmt: skip
    return made


@pytest.fixture
def rows(tmp_path):
    """100 problems that are settled at the second cap, and surely right from then on; and four that are not."""
    made = []
    for i in range(100):
        made += rows_of(i, "7555", (0.3, 0.9, 0.9, 0.9))
    for i in range(100, 104):
        made += rows_of(i, "7775", (0.3, 0.9, 0.9, 0.9))
    save_rows(made, tmp_path / "rows.jsonl")
    return tmp_path


def early(rows, *more: str):
    return RUNNER.invoke(app, ["early", str(rows), *more])


def test_every_rule_is_replayed_with_all_that_it_takes(rows):
    done = early(rows, "--confident", "0.95,0.8", "--stable", "2", "--opening-tokens", "2", "--json")
    assert done.exit_code == 0, done.output
    found = {one["rule"]: one for one in json.loads(done.stdout)["rules"]}
    assert list(found) == ["whole thinking", "stable 2", "confident 0.95", "confident 0.8"]
    whole, stable, strict, loose = found.values()
    assert (whole["accuracy"], whole["total_tokens"], whole["tries"]) == (100.0, 45.0, 1.0)
    assert strict["total_tokens"] == 19 + 17 + 17 + 13 and strict["lost"] == 0
    assert loose["lost"] == 4 and loose["total_tokens"] == 19 + 17 and loose["thinking_tokens"] == 20
    assert stable["lost"] == 4 and stable["tries"] == pytest.approx((100 * 3 + 4 * 2) / 104)


def test_a_calibration_chooses_on_the_first_and_shows_the_others(rows):
    done = early(rows, "--confident", "0.95,0.8", "--calibrate-on", "100", "--json")
    told = json.loads(done.stdout)
    assert told["calibrated"][0]["rule"] == "confident 0.8"
    assert [one["answers"] for one in told["rules"]] == [4] * 3 and told["rules"][2]["lost"] == 4
    few = early(rows, "--confident", "0.95,0.8", "--calibrate-on", "40")
    assert "Do not exit early: even confident 0.95 may lose 7.2 %" in " ".join(few.stdout.split())


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "`--stable` or `--confident` has to say"),
        (["--stable", "0"], "`times` has to be"),
        (["--stable", "two"], "`--stable` has to be numbers"),
        (["--confident", "1.5"], "`--confident` has to be numbers from 0 to 1"),
        (["--stable", "2", "--calibrate-on", "104"], "has to leave some of the 104 problems"),
        (["--stable", "2", "--calibrate-on", "50", "--alpha", "0"], "`alpha` has to lie between"),
        (["--stable", "2", "--alpha", "0.1", "--delta", "0.1"], "`--alpha`, `--delta` needs `--calibrate-on`"),
        (["--stable", "2", "--num-ignores", "3"], "`--num-ignores` has to be one of 0"),
        (["--stable", "2", "--opening-tokens", "50"], "`opening_tokens` has to be less"),
    ],
)
def test_bad_input_is_refused(rows, arguments, said):
    done = early(rows, *arguments)
    assert done.exit_code == 2
    assert said in " ".join(done.stderr.split())
