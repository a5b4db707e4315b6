"""The grading benchmark runs on a few cases, with and without the data outside the repository."""

import json
from pathlib import Path

import pytest

pytest.importorskip("math_verify")

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture
def grading(monkeypatch):
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    import grading

    return grading


def test_it_says_what_it_left_out_and_measures_the_rest(grading, monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(grading, "DATA", tmp_path)
    import run

    run.main(["--only", "grading", "--quick", "--results", str(tmp_path)])
    result = json.loads((tmp_path / "grading.json").read_text())
    assert {row["part"] for row in result["rows"]} == {"speed"}
    assert len(result["notes"]) == 4
    assert "polynomials" in capsys.readouterr().out


def test_a_disagreement_without_a_reason_stops_the_run(grading, monkeypatch, tmp_path):
    monkeypatch.setattr(grading, "DATA", tmp_path)
    (tmp_path / "grader").mkdir()
    case = {"repo": "r", "gold": "1", "pred": "\\boxed{2}", "expected": True}
    (tmp_path / "grader" / "equality_cases.jsonl").write_text(json.dumps(case) + "\n")
    with pytest.raises(AssertionError, match="without a reason"):
        grading.run(quick=True)


def test_disagreements_are_listed_with_their_reasons(grading, tmp_path):
    row = {"part": "disagreement", "source": "s", "gold": "1", "answer": "a\n`b`", "yardstick": True, "why": "w"}
    grading.write_list([row], tmp_path / "list.md")
    assert "## s: w\n\n- `` 1 `` | `` a\\n'b' ``: equal\n" in (tmp_path / "list.md").read_text()
