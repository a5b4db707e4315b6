"""`s1-hf search`: the comparison of figure 7 on the toy, and what is refused before anything is generated."""

from __future__ import annotations

import json

import pytest

pytest.importorskip("typer")
pytest.importorskip("math_verify")

from typer.testing import CliRunner

from s1_hf.cli import app
from s1_hf.results.rows import load_rows

SHORT = ["--max-samples", "2", "--max-new-tokens", "150", "--max-answer-tokens", "12", "--batch-size", "8"]


def search(folder, *more: str):
    return CliRunner().invoke(
        app, ["search", "embedded", "--tasks", "s1:embedded", *SHORT, "--output-dir", str(folder), *more]
    )


def test_methods_are_compared_and_the_rows_kept(tmp_path):
    options = ["--scorer", "embedded-reward", "--widths", "1,3", "--steps", "4"]
    done = search(tmp_path, *options)
    assert done.exit_code == 0, done.output
    assert "s1-hf plot" in done.stderr
    rows = load_rows(tmp_path)
    found = {(row.method, row.setting) for row in rows}
    assert found == {
        *(("REBASE", f"width {n}") for n in (1, 3)), ("majority voting", "1 vote"), ("majority voting", "3 votes"),
        ("step-conditional control", "4 steps"),
    }  # fmt: skip
    assert {row.task for row in rows} == {"s1:embedded"}
    assert any(row.scorer_tokens > 0 for row in rows if row.setting == "width 3")
    about = json.loads((tmp_path / "about.json").read_text())
    assert about["model"] == "embedded" and about["methods"][0]["scorer"]["scorer"] == "reward model"
    assert about["methods"][0]["separator"] == "\n"  # the reward model's

    lines = (tmp_path / "finished.jsonl").read_bytes()
    again = search(tmp_path, *options, "--json")
    assert json.loads(again.stdout)["settings"][0]["method"] == "REBASE"
    assert "they are replaced" not in again.stderr
    assert (tmp_path / "finished.jsonl").read_bytes() == lines and load_rows(tmp_path) == rows
    other = search(tmp_path, *options, "--balance", "0.5")
    assert "a run with other methods; they are replaced" in " ".join(other.stderr.split())


def test_other_methods_budgets_and_the_oracle(tmp_path):
    done = search(
        tmp_path, "--methods", "best,weighted,forcing", "--scorer", "oracle", "--widths", "2", "--ignores", "0,1",
        "--max-thinking-tokens", "20",
    )  # fmt: skip
    assert done.exit_code == 0, done.output
    rows = load_rows(tmp_path)
    assert {row.method for row in rows} == {"best-of-N, cap 20", "weighted voting, cap 20", "budget forcing"}
    assert all(row.max_thinking_tokens == 20 for row in rows if row.method != "budget forcing")


def test_votes_that_stop_early_thinking_that_does_and_a_total(tmp_path):
    done = search(
        tmp_path, "--methods", "adaptive,short,early,spending", "--widths", "1,3", "--every", "16", "--confident",
        "0.9,0.99", "--stable", "2", "--totals", "120", "--levels", "3", "--num-ignores", "1",
    )  # fmt: skip
    assert done.exit_code == 0, done.output
    found = {(row.method, row.setting) for row in load_rows(tmp_path)}
    assert found == {
        *(("adaptive voting, 1 ignore", f"up to {n}") for n in ("1 vote", "3 votes")),
        *(("short-m@k, 1 ignore", f"shortest 1 of {n}") for n in (1, 3)),
        ("early exit, stable, 1 ignore", "stable 2, every 16"),
        *(("early exit, confident, 1 ignore", f"confident {at}, every 16") for at in ("0.9", "0.99")),
        *((f"spending, {policy}", "total 120") for policy in ("uniform", "stability", "confidence")),
    }  # fmt: skip


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--methods", "spending"], "`--totals` has to say how many tokens"),
        (["--methods", "spending", "--totals", "99", "--max-thinking-tokens", "9"], "has to be left out for spending"),
        (["--methods", "spending", "--totals", "99", "--every", "256"], "`caps` have to be less"),
        (["--methods", "early", "--stable", "none"], "`--stable` or `--confident` has to say"),
        (["--methods", "early", "--confident", "2"], "`--confident` has to be numbers from 0 to 1"),
        (["--methods", "early", "--confident", "high"], "`--confident` has to be numbers from 0 to 1"),
        (["--methods", "adaptive", "--vote-threshold", "0.4"], "`threshold` has to be a number above 0.5"),
        (["--methods", "short", "--widths", "2", "--first", "3"], "`votes` or `shortest` has to be given"),
        (["--methods", "rebase"], "`--scorer` has to name a reward model for rebase."),
        (["--methods", "mcts", "--scorer", "oracle"], "`--methods` has to be different ones of rebase, beam"),
        (["--methods", "best,best", "--scorer", "oracle"], "`--methods` has to be different ones"),
        (["--methods", "majority", "--scorer", "oracle"], "`--scorer` has no effect on majority"),
        (["--scorer", "oracle"], "has to score steps"),
        (["--scorer", "embedded-reward", "--temperature", "0"], "`--temperature` has to be above 0"),
        (["--scorer", "embedded-reward", "--widths", "one"], "`--widths` has to be numbers separated by commas"),
        (["--scorer", "embedded-reward", "--widths", "2,2"], "`widths` has to be a sequence of different integers"),
        (["--scorer", "embedded-reward", "--aggregation", "sum"], "`aggregation` has to be one of"),
        (["--scorer", "embedded-reward", "--balance", "0"], "`temperature` has to be a number above 0"),
        (["--scorer", "embedded-reward", "--max-thinking-tokens", "auto"], '"auto"'),
        (["--scorer", "no-such-model"], "no-such-model"),
        (["--scorer", "embedded-reward", "--tensor-parallel-size", "2"], "need `--engine vllm`"),
    ],
)
def test_misuse_is_refused(tmp_path, arguments, said):
    done = search(tmp_path, *arguments)
    assert done.exit_code == 2 and said in " ".join(done.stderr.split()), done.output
    assert not (tmp_path / "finished.jsonl").exists()


def test_one_process_only(tmp_path, monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "2")
    done = search(tmp_path, "--scorer", "embedded-reward")
    assert done.exit_code == 2 and "runs in one process, but this is one of 2" in " ".join(done.stderr.split())


def test_methods_by_confidence(tmp_path):
    options = ["--methods", "deepconf,deepconf-online,certainty", "--widths", "2,4", "--eta", "50", "--window", "8"]
    done = search(tmp_path, *options, "--warmup", "2", "--consensus", "1", "--power", "2")
    assert done.exit_code == 0, done.output
    rows = load_rows(tmp_path)
    assert {row.method for row in rows} == {
        "DeepConf, top 50 % by bottom", "DeepConf online, top 50 %", "Borda voting, power 2"
    }  # fmt: skip
    assert {row.setting for row in rows} == {"width 2", "width 4"}
    about = json.loads((tmp_path / "about.json").read_text())
    online = about["methods"][1]
    assert (online["eta"], online["window"], online["warmup"], online["consensus"]) == (50, 8, 2, 1)
    for name, wrong in (("eta", "0"), ("consensus", "95"), ("power", "-1")):
        refused = search(tmp_path / "other", *options, f"--{name}", wrong)
        assert refused.exit_code == 2 and f"`{name}`" in refused.stderr and not (tmp_path / "other").exists()
