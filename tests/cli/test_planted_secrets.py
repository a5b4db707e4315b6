"""A secret that a command is given, in whatever way, stands in nothing that it shows or writes."""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
import threading
from base64 import b64encode
from pathlib import Path

import pytest

pytest.importorskip("typer")
pytest.importorskip("datasets")
pytest.importorskip("openai")

from endpoints import FakeEndpoint, Reply
from typer.testing import CliRunner

from s1_hf.cli import app
from s1_hf.finding import RECIPES
from s1_hf.grading.judge import Judge
from s1_hf.results.rows import write_about

PASSWORD, KEY, TOKEN = "PW/SECRET+1", "sk-KEYSECRET", "hf_TOKENSECRETSECRET"
URL_PASSWORD = "PW%2FSECRET+1"
BASIC = b64encode(f"user:{PASSWORD}".encode()).decode()
PLANTED = [PASSWORD, URL_PASSWORD, KEY, TOKEN, BASIC, b64encode(PASSWORD.encode()).decode(), "SECRET"]
SAID = f"you sent Basic {BASIC}, {PASSWORD}, {URL_PASSWORD}, Bearer {KEY} and {TOKEN}"


@pytest.fixture(autouse=True)
def planted(monkeypatch, caplog):
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    for name in ("s1_hf", "httpx", "httpx2"):
        caplog.set_level(logging.DEBUG, name)


@pytest.fixture
def server():
    with FakeEndpoint() as endpoint:
        threading.Thread(target=endpoint.serve_forever, args=(0.02,), daemon=True).start()
        echo = json.dumps({"error": {"message": SAID}}).encode()
        for status in (400, 401, 500):
            endpoint.replies[f"q{status}"] = [Reply(status=status, body=echo)]
        endpoint.replies["text"] = [Reply(message={"content": SAID, "reasoning_content": SAID})]
        endpoint.replies["empty"] = [Reply(message={"content": ""}, finish_reason=SAID)]
        yield endpoint
        endpoint.shutdown()


def address(server: FakeEndpoint) -> str:
    return server.url.replace("http://", f"http://user:{URL_PASSWORD}@")


def check(folder: Path, *said: str) -> None:
    """Neither in what was said nor in any file, nor in the name of one."""
    for text in said:
        assert not [secret for secret in PLANTED if secret in text], text
    for file in folder.rglob("*"):
        assert not [secret for secret in PLANTED if secret in file.name]
        content = file.read_bytes() if file.is_file() else b""
        assert not [secret for secret in PLANTED if secret.encode() in content], (file, content[:2000])


@pytest.mark.parametrize("question", ["q400", "q401", "q500", "text", "empty"])
def test_traces(question, server, tmp_path, caplog):
    pool = tmp_path / "pool.csv"
    pool.write_text(f"question\n{question}\n")
    command = ["data", "traces", "m", "--input", str(pool), "--output-dir", str(tmp_path / "out"), "--max-retries", "0"]
    done = CliRunner().invoke(app, [*command, "--endpoint", address(server)])
    assert done.exit_code == {"q401": 2, "text": 0}.get(question, 1) and server.keys == {f"Basic {BASIC}"}
    check(tmp_path, done.output, caplog.text)
    assert question == "q401" or "***" in "".join(file.read_text() for file in tmp_path.rglob("*.jsonl"))


@pytest.mark.parametrize(
    "wrong", ["http://user:{}@127.0.0.1:9/v1", "user:{}@host/v1", "http://host/v1?api_key={}", "ftp://user:{}@host"]
)
def test_addresses_that_are_refused_or_cannot_be_reached(wrong, tmp_path, caplog):
    (tmp_path / "pool.csv").write_text("question\nq\n")
    command = ["data", "traces", "m", "--input", str(tmp_path / "pool.csv"), "--output-dir", str(tmp_path / "out")]
    done = CliRunner().invoke(app, [*command, "--max-retries", "0", "--endpoint", wrong.format(URL_PASSWORD)])
    assert done.exit_code == 2 and "***" in done.output
    check(tmp_path, done.output, caplog.text)


@pytest.mark.parametrize(
    "command", [["data", "show"], ["data", "traces", "embedded", "--output-dir", "out", "--input"]]
)
def test_addresses_of_data(command, tmp_path, monkeypatch, caplog):
    monkeypatch.chdir(tmp_path)
    done = CliRunner().invoke(app, [*command, f"https://user:{URL_PASSWORD}@host/pool.csv?token={TOKEN}"])
    assert done.exit_code == 2
    check(tmp_path, done.output, caplog.text)


def test_curate(server, tmp_path, caplog):
    rows = [
        {"question": f"text {i}", "thinking_trajectories": ["so"], "attempt": "1", "source_type": "x"} for i in range(4)
    ]
    for row in rows:
        server.replies[row["question"]] = [Reply(message={"content": SAID})]
    (tmp_path / "pool.jsonl").write_text("\n".join(map(json.dumps, rows)))
    recipe = {
        "domains": {"by": "endpoint", "base_url": address(server), "model": "m"},
        "diversity": {"n": 1, "method": "diverse"},
    }
    given = tmp_path.parent / f"{tmp_path.name}.yaml"  # of the user
    given.write_text(json.dumps(recipe))
    command = ["curate", str(given), "--input", str(tmp_path / "pool.jsonl"), "--output-dir", str(tmp_path / "out")]
    done = CliRunner().invoke(app, command)
    assert done.exit_code == 0 and server.keys == {f"Basic {BASIC}"}, done.output
    assert (tmp_path / "out" / "recipe.yaml").read_text().count("***@127.0.0.1") == 1
    check(tmp_path, done.output, caplog.text)


@pytest.mark.parametrize("question", ["q400", "q401", "q500", "text"])
def test_judge(question, server, tmp_path, caplog, monkeypatch):
    monkeypatch.setattr("s1_hf.grading.judge._QUESTION", "{question}")
    judge = Judge(address(server), "m", tmp_path / "verdicts.jsonl", api_key=KEY, max_retries=0)
    said = ""
    try:
        judge(question, "1", "2")
    except RuntimeError as error:
        assert error.__cause__ is None and error.__suppress_context__
        said = str(error)
    assert (question == "text") is not bool(said)
    check(tmp_path, said, judge.base_url, caplog.text)


@pytest.mark.parametrize("base", ["user:{}@host", "http://host/?key={}"])
def test_a_judges_address_that_is_refused(base, tmp_path):
    with pytest.raises(ValueError, match=r"\*\*\*") as caught:
        Judge(base.format(URL_PASSWORD), "m", tmp_path / "verdicts.jsonl")
    check(tmp_path, str(caught.value))


@pytest.mark.parametrize("given", [["--hub_token", TOKEN], ["--model_init_kwargs", json.dumps({"token": TOKEN})]])
def test_sft(given, tmp_path, monkeypatch, caplog, capsys):
    pytest.importorskip("trl")
    from s1_hf.sft.__main__ import main

    given = ["sft_embedded", "--output_dir", str(tmp_path / "run"), "--dry_run", "true", *given]
    monkeypatch.setattr(sys, "argv", ["s1_hf.sft", *given])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 2 and "Set HF_TOKEN" in caplog.text
    check(tmp_path, caplog.text, *capsys.readouterr())


def test_a_training_run_with_a_token_in_the_environment(tmp_path):
    pytest.importorskip("trl")
    recipe = (RECIPES / "sft_embedded.yaml").read_text(encoding="utf-8")
    (tmp_path / "mine.yaml").write_text(recipe)
    short = ["--max_steps", "1", "--save_steps", "1", "--expected_steps", "none", "--output_dir", str(tmp_path / "run")]
    environment = os.environ | {"HF_HUB_OFFLINE": "1", "PYTHONPATH": os.pathsep.join(sys.path), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, "-m", "s1_hf.sft", str(tmp_path / "mine.yaml"), *short],
        capture_output=True, text=True, env=environment, cwd=tmp_path,
    )  # fmt: skip
    assert done.returncode == 0 and (tmp_path / "run" / "README.md").exists(), done.stderr
    check(tmp_path, done.stdout, done.stderr)


def test_the_command_and_the_facts_of_a_result(tmp_path, monkeypatch):
    monkeypatch.setattr(
        sys, "argv", ["s1-hf", "sweep", f"http://user:{URL_PASSWORD}@h", "--api-key", "short", f"--x={KEY}"]
    )
    path = write_about(tmp_path, model=f"https://user:{URL_PASSWORD}@host/m", settings=[{"hub_token": "anything"}])
    about = json.loads(path.read_text())
    assert about["command"].endswith("--api-key *** --x=***") and "anything" not in path.read_text()
    check(tmp_path)
