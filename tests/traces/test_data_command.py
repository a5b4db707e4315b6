"""`s1-hf data`: from problems to traces to what training sees, and what is refused."""

from __future__ import annotations

import json

import pytest

pytest.importorskip("typer")
pytest.importorskip("lighteval")

import pandas
from typer.testing import CliRunner

from s1_hf.cli import app
from s1_hf.files import part_of
from s1_hf.traces.folder import DATA


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", tmp_path / "cache")


def run(*arguments: object) -> tuple[int, str]:
    """Exit code, and what stands on stdout and stderr."""
    result = CliRunner().invoke(app, ["data", *map(str, arguments)])
    return result.exit_code, result.output


def test_a_pool_its_traces_and_what_is_solved(tmp_path):
    pool, traces, hard = (tmp_path / name for name in ("pool", "traces", "hard"))
    assert run("embedded", "--output-dir", pool, "--problems", 6, "--seed", 3)[0] == 0
    common = ("embedded", "--dtype", "float32", "--max-answer-tokens", 12, "--batch-size", 6)
    code, said = run("traces", "--input", pool, "--output-dir", traces, *common, "--num-ignores", 2)
    assert code == 0, said
    assert f"Written to {traces / 'data'}" in said.replace("\n", "")
    code, said = run("traces", "--input", traces, "--output-dir", hard, *common, "--solved-as", "toy")
    assert code == 0, said
    rows = pandas.read_parquet(hard / "data")
    assert rows["solved_toy"].dtype == bool
    assert all(trace[0].count("Wait") >= 2 for trace in rows["thinking_trajectories"])
    code, said = run("show", traces, "--json")
    assert json.loads(said)["rows"] == 6
    assert "<|im_start|>think\nA from" in json.loads(said)["first_row"]
    own = ("--thinking-start", "<r>", "--thinking-close", "</r>", "--tokenizer", "embedded")
    code, said = run("show", traces, *own, "--json")
    assert "<r>\nA from" in json.loads(said)["first_row"] and json.loads(said)["tokens"]["rows"] == 6


def test_an_endpoint_fills_a_file(server, tmp_path):
    (tmp_path / "pool.csv").write_text("problem,solution\nWhat is it?,1\nAnd that?,2\n")
    asked = ("--input", tmp_path / "pool.csv", "--question-column", "problem", "--endpoint", server.url, "m")
    code, said = run("traces", *asked, "--output-dir", tmp_path / "out", "--temperature", 0.5, "--concurrency", 1)
    assert code == 0, said
    rows = pandas.read_parquet(tmp_path / "out" / "data")
    assert list(rows["correct"]) == [True, False]
    assert {request["temperature"] for request in server.asked} == {0.5}
    assert not {"seed", "top_p", "max_tokens"} & server.asked[0].keys()  # those that are not given are its own


def test_errors_are_told_with_what_asks_again(server, tmp_path):
    from endpoints import Reply

    server.replies["b"] = [Reply(status=400)]
    (tmp_path / "pool.jsonl").write_text('{"question": "a"}\n{"question": "b"}\n')
    asked = ("--input", tmp_path / "pool.jsonl", "--output-dir", tmp_path / "out", "--endpoint", server.url, "m")
    code, said = run("traces", *asked, "--max-retries", 0)
    assert code == 0, said
    assert "1 x BadRequestError" in said
    assert "--retry-errors" in said
    server.replies["b"] = [Reply()]
    assert "Error" not in run("traces", *asked, "--retry-errors")[1]


def test_nothing_but_errors_is_no_success(server, tmp_path):
    from endpoints import Reply

    server.replies["a"] = server.replies["b"] = [Reply(status=400)]
    (tmp_path / "pool.jsonl").write_text('{"question": "a", "solution": "1"}\n{"question": "b", "solution": "1"}\n')
    asked = ("--input", tmp_path / "pool.jsonl", "--endpoint", server.url, "m", "--max-retries", 0)
    for name, more in (("out", ()), ("hard", ("--solved-as", "m"))):
        code, said = run("traces", *asked, "--output-dir", tmp_path / name, *more)
        assert code == 1, said
        assert "Written to" in said


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ((), "Missing argument"),
        (
            ("m", "--endpoint", "http://x/v1", "--num-ignores", 2),
            "`--num-ignores` has no meaning with `--endpoint`",
        ),
        (
            ("m", "--endpoint", "http://x/v1", "--force-start"),
            "`--force-start` has no meaning with `--endpoint`",
        ),
        (
            ("m", "--endpoint", "http://x/v1", "--loop-guard"),
            "`--loop-guard` has no meaning with `--endpoint`",
        ),
        (("m", "--concurrency", 2, "--timeout", 3), "`--concurrency`, `--timeout` needs `--endpoint`"),
        (("m", "--endpoint", "x"), "`base_url` has to be an address"),
        (("./no-model",), "./no-model is no model"),
        (("embedded", "--max-thinking-tokens", "many"), "`max_thinking_tokens` has to be an integer"),
        (("embedded", "--top-p", 0.9), "`--top-p` need `--temperature` above 0"),
        (("embedded", "--samples", 2), "`samples` has to be 1 without a temperature above 0"),
    ],
)
def test_bad_options_end_with_exit_code_2_and_a_line(tmp_path, options, message):
    (tmp_path / "pool.jsonl").write_text('{"question": "a"}\n')
    code, said = run("traces", "--input", tmp_path / "pool.jsonl", "--output-dir", tmp_path / "out", *options)
    assert code == 2
    assert message in said.replace("\n", " ")
    assert not (tmp_path / "out").exists()


def test_an_input_that_is_not_there_is_said(tmp_path):
    code, said = run("traces", "--input", tmp_path / "no.csv", "--output-dir", tmp_path / "out", "embedded")
    assert code == 2
    assert "no.csv' does not exist" in said.replace("\n", "")


def test_problems_are_not_written_over_other_files(tmp_path):
    (tmp_path / "thesis.tex").write_text("mine")
    code, said = run("embedded", "--output-dir", tmp_path)
    assert code == 2
    assert "has to be a new or empty folder" in said


def test_a_pool_whose_writing_was_killed_is_written_again(tmp_path):
    begun = part_of(tmp_path / "pool" / DATA)
    begun.parent.mkdir(parents=True)
    begun.write_text("half")
    code, said = run("embedded", "--output-dir", tmp_path / "pool", "--problems", 2)
    assert code == 0, said
    assert not begun.exists()


def test_lengths_need_a_tokenizer(tmp_path):
    code, said = run("show", tmp_path, "--max-length", 5)
    assert code == 2
    assert "`--max-length` needs `--tokenizer`" in said


def test_lengths_are_in_tokens_of_the_tokenizer(tmp_path):
    from s1_hf import embedded

    row = {"question": "q", "thinking_trajectories": ["12"], "attempt": "Answer: 3"}
    (tmp_path / "data.jsonl").write_text(json.dumps(row) + "\n")
    arguments = ("--tokenizer", embedded.MODEL_PATH, "--max-length", 5)
    code, said = run("show", tmp_path / "data.jsonl", *arguments)
    assert code == 0, said
    assert "1 rows longer than 5" in said
    assert "<|im_start|>user\nq<|im_end|>" in said
