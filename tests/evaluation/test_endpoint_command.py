"""`s1-hf eval`, `sweep` and `data traces` with a server's address as the engine have the results of transformers."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import warnings

import pytest

pytest.importorskip("lighteval")
pytest.importorskip("typer")

import pyarrow.parquet as pq
from typer.testing import CliRunner

from s1_hf import embedded
from s1_hf.cli import app
from s1_hf.engines.checkpoint import Checkpoint
from s1_hf.engines.endpoint_engine import EndpointEngine
from s1_hf.engines.ledger import Ledger
from s1_hf.engines.transformers_engine import TransformersEngine
from s1_hf.methods import Bench, BudgetForcing, RejectionSampling, problems_of, run_methods
from served_models import Lamps, LampServer

TASK = "embedded --tasks s1:embedded --max-samples 8 --max-new-tokens 200"


@pytest.fixture(scope="module")
def lamps():
    return Lamps()


@pytest.fixture
def server(lamps):
    one = LampServer(lamps)
    yield one
    one.kill()


def begin(command: str, folder) -> subprocess.Popen:
    line = [sys.executable, "-W", "ignore", "-m", "s1_hf", *command.split(), "--output-dir", str(folder)]
    own = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    return subprocess.Popen(line, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=own)


def run(command: str, folder, code: int = 0, **environment) -> str:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        result = CliRunner().invoke(app, [*command.split(), "--output-dir", str(folder)], env=environment)
    assert result.exit_code == code, result.output[-3000:]
    return result.output


def answers(folder) -> dict[str, list[int]]:
    """The ids of every answer in the ledgers of a folder, by its problem."""
    found = {}
    for file in folder.rglob("finished.jsonl"):
        for entry in Ledger(file.parent).read().values():
            found[entry["problem"]] = entry["token_ids"]
    return found


def test_an_evaluation_that_is_killed_resumes_and_asks_nothing_twice(server, tmp_path):
    """kill -9 of the client, in the midst of it."""
    command = f"eval {TASK} --num-ignores 1 --engine {server.url} --concurrency 1"
    server.changes = lambda reply: time.sleep(0.1) or reply
    process = begin(command, tmp_path / "out")
    while len(server.asked) < 5:  # one is the question that proves the plug-in
        assert process.poll() is None, process.communicate()[1]
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL if hasattr(signal, "SIGKILL") else signal.SIGTERM)
    process.communicate()
    kept = answers(tmp_path / "out")
    assert 2 <= len(kept) <= 4
    server.changes, before = lambda reply: reply, len(server.asked)
    run(command, tmp_path / "out")
    assert len(server.asked) - before == 1 + 8 - len(kept)
    run(f"eval {TASK} --num-ignores 1 --dtype float32", tmp_path / "here")
    assert answers(tmp_path / "out") == answers(tmp_path / "here")
    first, second = (json.loads((tmp_path / name / "results.json").read_text())["results"] for name in ("out", "here"))
    assert first == second


def test_what_rounds_cost_is_said(server, tmp_path):
    asked = f"eval {TASK} --num-ignores 2 --engine {server.url} --json"
    costs = []
    for way in ("", "--rounds"):
        said = run(f"{asked} {way}", tmp_path / f"out{way}")
        costs.append(json.loads(said[said.index("{") : said.rindex("\n}") + 2])["endpoint"])
    assert costs[0]["requests"] == 8 and costs[0]["dropped"] == 0
    assert costs[1]["requests"] >= 8 * 4 and costs[1]["read"] > 3 * costs[0]["read"]


def test_a_sweep_has_the_rows_of_transformers(server, tmp_path):
    grid = f"sweep {TASK} --max-thinking-tokens 32,none --num-ignores 0,1"
    for name, engine in (("server", f"--engine {server.url}"), ("here", "--dtype float32")):
        run(f"{grid} {engine}", tmp_path / name)
    rows = [pq.read_table(tmp_path / name / "rows.parquet").to_pylist() for name in ("server", "here")]
    assert rows[0] == rows[1] and len(rows[0]) == 32


def test_traces_are_those_of_transformers_and_rounds_say_what_they_cost(server, tmp_path):
    run("data embedded --problems 4", tmp_path / "pool")
    asked = f"data traces embedded --input {tmp_path / 'pool'} --max-new-tokens 200 --num-ignores 1"
    tables = []
    for name, engine in (("server", f"--engine {server.url} --rounds"), ("here", "--dtype float32")):
        run(f"{asked} {engine}", tmp_path / name)
        tables.append(pq.read_table(next((tmp_path / name / "data").glob("*.parquet"))).to_pylist())
    assert tables[0] == tables[1]
    said = run(f"{asked} --engine {server.url}", tmp_path / "server", code=2)
    assert "rounds" in said  # another way of asking is another run


def test_methods_run_on_a_server(server, tmp_path):
    checkpoint = Checkpoint.find(str(embedded.MODEL_PATH))
    remote = EndpointEngine(checkpoint, server.url)
    here = TransformersEngine.from_checkpoint(checkpoint, loading={"dtype": "float32"})
    rows = []
    for name, engine in (("server", remote), ("here", here)):
        problems = problems_of("s1:embedded", max_samples=2)
        bench = Bench(engine=engine, problems=problems, max_new_tokens=150, max_answer_tokens=12)
        methods = [BudgetForcing(max_thinking_tokens=[16, 64]), RejectionSampling(limits=[60], max_tries=4)]
        rows.append(run_methods(methods, bench, tmp_path / name))
    remote.forget_weights()
    assert rows[0] == rows[1]


def everything_in(folder) -> bytes:
    return b"".join(file.read_bytes() for file in folder.rglob("*") if file.is_file())


SECRETS = {"login": "planted-pass-1", "key": "planted-key-22"}


def test_no_key_and_no_password_is_written_or_shown(lamps, tmp_path):
    one = LampServer(lamps, key=SECRETS["key"])
    try:
        said = run(f"eval {TASK} --max-samples 2 --engine {one.url} --api-key-env MINE", tmp_path, MINE=SECRETS["key"])
        written = everything_in(tmp_path)
        address = one.url.replace("://", f"://me:{SECRETS['login']}@")
        said += run(f"eval {TASK} --max-samples 2 --engine {address}", tmp_path, code=2)
        one.key = None
        said += run(f"eval {TASK} --max-samples 2 --engine {address}", tmp_path)
    finally:
        one.kill()
    written += everything_in(tmp_path)
    assert b"http://***@127.0.0.1" in written and b"MINE" in written
    for secret in SECRETS.values():
        assert secret not in said and secret.encode() not in written


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("--engine nonsense", "'nonsense' is not one of 'transformers', 'vllm', nor an address"),
        ("--rounds", "`--rounds` needs a server's address as `--engine`"),
        ("--engine vllm --concurrency 3", "`--concurrency` needs a server's address as `--engine`"),
        ("--engine http://127.0.0.1:9/v1 --dtype float32", "`--dtype` has no meaning with a server's address"),
        ("--engine http://127.0.0.1:9/v1 --tensor-parallel-size 8", "No such option: --tensor-parallel-size"),
        ("--engine http://127.0.0.1:9/v1 --api-key-env NOT_SET_ANYWHERE", "what it names is not set"),
        ("--engine http://127.0.0.1:9/v1", "127.0.0.1:9/v1 does not answer, after 3 tries (it has never answered"),
        ("--engine http://127.0.0.1:9/v1?key=planted-key", "has to have no '?'"),
    ],
)
def test_misuse_is_refused_before_anything_else(options, message, tmp_path):
    result = CliRunner().invoke(app, ["eval", *TASK.split(), *options.split(), "--output-dir", str(tmp_path)])
    said = " ".join(result.output.replace("│", " ").split())
    assert result.exit_code == 2 and message in said and "planted-key" not in said
    assert not any(tmp_path.iterdir())
