"""`s1-hf compare` and `s1-hf power`: what they say of rows, JSON, and bad input."""

import json

import pytest

pytest.importorskip("typer")

from result_rows import a_row
from typer.testing import CliRunner

from s1_hf.cli import app
from s1_hf.results.rows import save_rows


@pytest.fixture
def results(tmp_path):
    """Under "b" eight of twelve problems that "a" does not solve; "c" solves what "a" does."""
    rows = []
    for setting, right in (("a", 2), ("b", 10), ("c", 2)):
        for problem in range(12):
            more = {"correct": problem < right, "total_tokens": 100}
            rows.append(a_row(setting=setting, problem=str(problem), **more))
    save_rows(rows, tmp_path / "results" / "rows.jsonl")
    about = {"cost": {"trace_tokens": 900, "answer_tokens": 100, "seconds": 0.5}}
    (tmp_path / "results" / "about.json").write_text(json.dumps(about))
    return tmp_path / "results"


def run(*arguments):
    return CliRunner().invoke(app, list(map(str, arguments)))


def test_two_settings_are_compared_in_a_table_and_in_words(results):
    found = run("compare", results, "b", "a")
    assert found.exit_code == 0, found.output
    assert "+66.7" in found.stdout and "0.008" in found.stdout and "t: More right answers than under a" in found.stdout
    found = run("compare", results, "c", "a")
    assert "These 12 problems do not show a difference (p = 1)." in found.stdout and "s1-hf power" in found.stderr


def test_comparisons_as_json_have_everything(results):
    (found,) = json.loads(run("compare", results, "a", "b", "--json").stdout)
    assert (found["setting"], found["reference"], found["problems"]) == ("a", "b", 12)
    assert found["points"] == pytest.approx(-100 * 8 / 12) and found["p"] == 2 * 0.5**8


def test_a_setting_that_is_not_there_is_refused_with_the_nearest(results):
    found = run("compare", results, "bb", "a")
    assert found.exit_code == 2 and "There is no setting 'bb'. Did you mean 'b'?" in found.output


def test_plans_have_the_speed_of_the_pilot_or_the_one_that_is_given(results):
    (plan,) = json.loads(run("power", results, "b", "a", "--gain", 20, "--json").stdout)[0]["plans"]
    assert plan["tokens"] == plan["most"] * 200 and plan["hours"] == plan["tokens"] / 2000 / 3600
    found = run("power", results, "--gain", 20, "--tokens-per-second", 10, "--json")
    assert found.exit_code == 0 and json.loads(found.stdout)[0]["plans"][0]["hours"] == pytest.approx(
        json.loads(found.stdout)[0]["plans"][0]["tokens"] / 36_000
    )


def test_the_table_of_plans_says_what_the_pilot_cannot_tell(results):
    found = run("power", results, "--gain", 20, "--max-problems", 5)
    assert found.exit_code == 0, found.output
    assert "To show 20 points with 80 % power" in found.stdout and "none" in found.stdout
    assert " > 5 " in run("power", results, "b", "a", "--gain", 20, "--max-problems", 5).stdout
    assert "With one sample of each problem it cannot tell" in found.stderr
    assert "budget forcing, c: No answer of it differs" in found.stderr
    (results / "about.json").unlink()
    assert "For hours: --tokens-per-second" in run("power", results, "--gain", 20).stderr


@pytest.mark.parametrize(
    "cost", [None, [], {}, {"trace_tokens": "9", "answer_tokens": 1, "seconds": 0}, {"seconds": 1}]
)
def test_a_pilot_that_does_not_say_its_speed_gives_no_hours(results, cost):
    (results / "about.json").write_text(json.dumps({"cost": cost}))
    assert json.loads(run("power", results, "--gain", 20, "--json").stdout)[0]["plans"][0]["hours"] is None


def test_a_gain_has_to_be_named(results):
    assert run("power", results).exit_code == 2 and run("power", results, "--gain", 0).exit_code == 2
