"""`s1-hf search`: the comparison of figure 7 on the toy, and what is refused before anything is generated."""

from __future__ import annotations

import json

import pytest

pytest.importorskip("typer")
pytest.importorskip("math_verify")

from typer.testing import CliRunner

from s1_hf import embedded
from s1_hf.cli import app
from s1_hf.cli.choosing import ACT_ON, NAMES, made_of
from s1_hf.forcing.budget import Budget
from s1_hf.methods import Bench, problems_of
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
    assert {row.setting for row in rows if row.method == "budget forcing"} == {"cap 20", "cap 20, 1 ignore"}
    assert all(row.max_thinking_tokens == 20 for row in rows)


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
        (["--methods", "spending", "--totals", "99", "--max-thinking-tokens", "9"], "has no effect on spending: it is"),
        (["--methods", "spending", "--totals", "99", "--every", "256"], "`--levels` times `--every` has to be less"),
        (["--methods", "early", "--stable", "none"], "`--stable` or `--confident` has to say"),
        (["--methods", "early", "--confident", "2"], "`--confident` has to be numbers from 0 to 1"),
        (["--methods", "early", "--confident", "high"], "`--confident` has to be numbers from 0 to 1"),
        (["--methods", "adaptive", "--vote-threshold", "0.4"], "`threshold` has to be a number above 0.5"),
        (["--methods", "short", "--widths", "2", "--first", "3"], "`--first` has to be at most the largest"),
        (["--methods", "rebase"], "`--scorer` has to name a reward model for rebase."),
        (["--methods", "mcts", "--scorer", "oracle"], "`--methods` has to be different ones of rebase, beam"),
        (["--methods", "best,best", "--scorer", "oracle"], "`--methods` has to be different ones"),
        (["--methods", "majority", "--scorer", "oracle"], "`--scorer` has no effect on majority"),
        (["--scorer", "oracle"], "has to score steps"),
        (["--scorer", "embedded-reward", "--temperature", "0"], "`--temperature` has to be above 0"),
        (["--scorer", "embedded-reward", "--widths", "one"], "`--widths` has to be numbers separated by commas"),
        (["--scorer", "embedded-reward", "--widths", "2,2"], "`--widths` has to be different numbers of at least 1"),
        (["--scorer", "embedded-reward", "--steps", "0"], "`--steps` has to be different numbers of at least 1"),
        (
            ["--methods", "best", "--scorer", "oracle", "--separator", "."],
            "`--separator` has to be left out",
        ),
        (
            ["--methods", "best", "--scorer", "oracle", "--scorer-convention", "trl"],
            "`--scorer-convention` has to",
        ),
        (["--methods", "certainty", "--power", "300"], "`power` has to be smaller"),
        (["--methods", "majority", "--answer-kind", "math"], "`--answer-kind` needs a file of questions"),
        (["--methods", "forcing", "--num-ignores", "2"], "`--num-ignores` has no effect on forcing"),
        (["--methods", "early,steps", "--temperature", "0.5"], "`--temperature` has no effect on early, steps"),
        (["--methods", "steps", "--effort", "low"], "`--effort` has no effect on steps"),
        (["--scorer", "embedded-reward", "--aggregation", "sum"], "`aggregation` has to be one of"),
        (["--scorer", "embedded-reward", "--balance", "0"], "`--balance` has to be a number above 0"),
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


TWO_VALUES = {
    "scorer": ("embedded-reward", "oracle"), "separator": (".", "!"), "aggregation": ("last", "min"),
    "max_steps": (2, 3), "max_step_tokens": (8, 9), "widths": ("2", "4"), "eta": (10.0, 20.0), "window": (8, 9),
    "warmup": (2, 3), "consensus": (0.5, 0.6), "vote_rule": ("beta", "dirichlet"), "vote_threshold": (0.8, 0.9),
    "stable": ("2", "3"), "confident": ("0.8", "0.9"), "levels": (2, 3), "totals": ("90", "80"), "steps": ("4", "8"),
    "force_steps": (False, True), "balance": (0.2, 0.3), "expand": (4, 5), "power": (0.5, 0.6), "round_size": (2, 3),
    "measure": ("bottom", "tail"),
    "first": (1, 2), "every": (16, 17), "ignores": ("1", "2"), "max_thinking_tokens": (20, 30), "num_ignores": (0, 1),
}  # fmt: skip
"""Of every option that is not in the settings of all methods or in the request."""


@pytest.mark.parametrize("name", NAMES)
def test_an_option_acts_where_the_table_says_so(name):
    model, tokenizer = embedded.load()
    problems = problems_of("s1:embedded", max_samples=1)
    bench = Bench(model=model, tokenizer=tokenizer, problems=problems, max_new_tokens=100, max_answer_tokens=12)
    first = {option: values[0] for option, values in TWO_VALUES.items()}

    def settings(option: str | None = None) -> dict[str, object]:
        given = {**first, "scorer_convention": None, "batch_size": 8, "max_answer_tokens": 12, "said": []}
        if option is not None:
            given[option] = TWO_VALUES[option][1]
        caps, ignores = given.pop("max_thinking_tokens"), given.pop("num_ignores")
        (method,) = made_of([name], {**given, "budget": Budget(max_thinking_tokens=caps, num_ignores=ignores)}, bench)
        return method.settings

    options = [option for option in TWO_VALUES if option != "scorer" or name in ("best", "weighted")]
    plain = settings()
    acting = [option for option in options if settings(option) != plain]
    assert acting == [option for option in options if name in ACT_ON[option]]


def test_greedy_methods_say_that_they_are(tmp_path):
    options = ["--methods", "majority,early,spending,steps,forcing", "--widths", "1", "--every", "16", "--levels", "2"]
    more = ["--totals", "99", "--steps", "4", "--ignores", "0", "--temperature", "0.5", "--max-thinking-tokens", "40"]
    done = search(tmp_path, *options, *more)
    assert done.exit_code == 0, done.output
    said = " ".join(done.stderr.split())
    assert "`--temperature` has no effect on early, spending, steps, forcing: greedy." in said
    assert "`--max-thinking-tokens` has no effect on spending, steps." in said
    sampled = {row.method for row in load_rows(tmp_path) if row.request and json.loads(row.request)["sampling"]}
    assert sampled == {"majority voting, cap 40"}


def test_an_effort_is_a_cap(tmp_path):
    table = tmp_path / "efforts.json"
    table.write_text('{"low": {"max_thinking_tokens": 20}}')
    done = search(
        tmp_path, "--methods", "majority", "--widths", "1", "--effort", "low", "--effort-table", str(table)
    )  # fmt: skip
    assert done.exit_code == 0, done.output
    assert {row.max_thinking_tokens for row in load_rows(tmp_path)} == {20}


@pytest.mark.filterwarnings("always::s1_hf.forcing.budget.BudgetWarning")
def test_what_cannot_come_to_anything_is_said(tmp_path):
    options = ["--methods", "deepconf,deepconf-online,early,short", "--widths", "2,3", "--first", "3"]
    done = search(tmp_path, *options, "--window", "151", "--every", "149")
    assert done.exit_code == 0, done.output
    said = " ".join(done.stderr.split())
    assert "`window` 151 is longer than any thinking here, of at most 150 tokens" in said
    assert "`warmup` 16 is no less than the largest of `widths`, 3" in said
    assert "`every` 149 was never reached" in said
    assert "short leaves out `--widths` below `--first` 3: 2." in said


def test_spending_needs_a_limit_of_answers(tmp_path):
    arguments = ["--methods", "spending", "--totals", "99", "--every", "16", "--levels", "2", "--output-dir"]
    done = CliRunner().invoke(app, ["search", "embedded", "--tasks", "s1:embedded", *arguments, str(tmp_path)])
    assert done.exit_code == 2 and "`--max-answer-tokens` has to be given for spending" in " ".join(done.stderr.split())


def test_a_refused_run_says_nothing_of_replacing(tmp_path):
    assert search(tmp_path, "--methods", "majority", "--widths", "1").exit_code == 0
    refused = search(tmp_path, "--methods", "early", "--max-thinking-tokens", "20", "--cut-text", "So")
    assert refused.exit_code == 2 and "`cut_text`" in refused.stderr and "replaced" not in refused.stderr
