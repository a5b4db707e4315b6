"""`s1-hf effort`."""

from __future__ import annotations

import json

import pytest

pytest.importorskip("lighteval")
pytest.importorskip("typer")
pytest.importorskip("matplotlib")

from typer.testing import CliRunner

from s1_hf import Budget, Effort
from s1_hf.cli import app
from s1_hf.cli.effort import _default_caps
from s1_hf.results.rows import load_rows

pytestmark = pytest.mark.filterwarnings("ignore:Deprecated argument:FutureWarning")


def effort(folder, *more):
    arguments = ["effort", "embedded", "--tasks", "s1:embedded", "--dtype", "float32", "--max-answer-tokens", "12"]
    arguments += ["--output-dir", str(folder), "--max-samples", "40", "--batch-size", "40"]
    return CliRunner().invoke(app, [*arguments, *more])


@pytest.fixture(scope="module")
def proposed(tmp_path_factory):
    folder = tmp_path_factory.mktemp("effort")
    return folder, effort(folder, "--max-thinking-tokens", "120,64,30,0", "--keep", "some=60, most=97%")


def test_a_table_is_proposed_shown_and_kept(proposed):
    folder, run = proposed
    assert run.exit_code == 0, run.output
    assert "40 problems; without a cap" in run.stdout and "most is left out of the table" in run.stderr
    text = (folder / "effort.yaml").read_text(encoding="utf-8")
    assert text.startswith("# Proposed by s1-hf") and "for embedded on s1:embedded: 40 problems" in text
    assert "# most, 97 %: not shown: the largest cap, 120, keeps 100.0 %" in text and "It takes about" in text
    table = Effort.read(folder / "effort.yaml")
    assert table.names == ("none", "some", "max")
    assert table.budget("some") in (Budget(max_thinking_tokens=64), Budget(max_thinking_tokens=120))
    assert (folder / "effort.png").stat().st_size > 5_000 and (folder / "effort.svg").exists()
    assert {row.max_thinking_tokens for row in load_rows(folder)} == {120, 64, 30, 0, None}


def test_the_table_is_used_by_its_names(proposed):
    folder, _ = proposed
    question = (
        "Lamp A flashes at second 2 and then every 7 seconds. Lamp B flashes at second 3 and then every 8 seconds."
    )
    given = ["--effort", "some", "--effort-table", str(folder / "effort.yaml"), "--max-answer-tokens", "8", "--json"]
    run = CliRunner().invoke(app, ["generate", "embedded", question, *given])
    cap = Effort.read(folder / "effort.yaml").budget("some").max_thinking_tokens
    assert json.loads(run.stdout)["settings"]["max_thinking_tokens"] == cap


def test_rerun_it_finds_everything_on_the_disk_and_says_the_same(proposed):
    folder, first = proposed
    before = (folder / "effort.yaml").read_bytes(), (folder / "effort.svg").read_bytes()
    again = effort(folder, "--max-thinking-tokens", "120,64,30,0", "--keep", "some=60, most=97%")
    assert again.exit_code == 0 and again.stdout == first.stdout
    assert ((folder / "effort.yaml").read_bytes(), (folder / "effort.svg").read_bytes()) == before
    found = json.loads(effort(folder, "--max-thinking-tokens", "120,64,30,0", "--keep", "some=60", "--json").stdout)
    assert found["cost"] is None and found["problems"] == 40 and [cap["max_thinking_tokens"] for cap in found["caps"]]
    assert found["efforts"]["none"] == {"max_thinking_tokens": 0} and len(found["files"]) == 3


def test_by_default_caps_go_from_all_that_fits_down_to_nothing(tmp_path):
    run = effort(tmp_path, "--max-samples", "12", "--max-new-tokens", "150", "--keep", "e=50", "--json")
    assert run.exit_code == 0, run.output
    caps = [cap["max_thinking_tokens"] for cap in json.loads(run.stdout)["caps"]]
    assert caps[-1] == 0 and caps == sorted(set(caps), reverse=True)
    more = effort(tmp_path, "--max-samples", "12", "--max-new-tokens", "150", "--max-thinking-tokens", str(caps[0] + 1))
    assert more.exit_code == 2 and f"Lower `max_thinking_tokens` to {caps[0]}." in " ".join(more.stderr.split())


def test_the_default_caps_stand_in_equal_ratios():
    assert _default_caps(32_000)[:5] == [32_000, 25_398, 20_159, 16_000, 12_699]
    assert _default_caps(32_000)[-2:] == [500, 0] and _default_caps(3) == [3, 2, 1, 0] and _default_caps(0) == [0]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--keep", "low"], "`--keep` has to be efforts with the percent to keep"),
        (["--keep", "low=0"], "above 0 and below 100, such as low=90,high=99, but is 'low=0'"),
        (["--keep", "low=100"], "above 0 and below 100"),
        (["--keep", "low=nan"], "above 0 and below 100"),
        (["--keep", "=90"], "`--keep` has to be efforts"),
        (["--keep", ""], "`--keep` has to be efforts"),
        (["--keep", "low=90,low=95"], "`--keep` has 'low' twice"),
        (["--keep", "none=90"], "The table gives 'none' itself"),
        (["--keep", "a\tb=90"], "has to be printable"),
        (["--max-thinking-tokens", "none"], "`--max-thinking-tokens` has to be numbers"),
        (["--max-thinking-tokens", "16,16"], "sequence of different"),
        (["--max-thinking-tokens", "6000"], "more than the"),
        (["--max-new-tokens", "8"], "no cap leaves room for an answer: 13 tokens are missing"),
        (["--effort", "low"], "No such option: --effort"),
        (["--max-samples", "1"], "none of the 1 problems is solved"),
    ],
)
def test_bad_input_is_named_without_a_traceback(arguments, message, tmp_path):
    run = effort(tmp_path, *arguments)
    assert run.exit_code == 2, run.output
    assert message in " ".join(run.output.split()) and "Traceback" not in run.output
