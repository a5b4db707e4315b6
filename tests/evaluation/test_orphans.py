"""Two processes of one launch, and what a rerun does while one of them lives on."""

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from servers import free_port

TASK = ["--tasks", "s1:embedded", "--max-new-tokens", "60", "--batch-size", "2"]

# One process of a launch, as `torchrun` would start it. It stops where the test wants it, after its first batch.
RANK = """
import sys, time
from s1_hf.engines.ledger import Ledger

stops = sys.argv.pop(1) == "stops"
append = Ledger.append

def append_and_wait(ledger, entries):
    append(ledger, entries)
    print("appended", flush=True)
    while stops:
        time.sleep(0.1)

Ledger.append = append_and_wait
import typer
from s1_hf.cli.eval import evaluate
typer.run(evaluate)
"""


@pytest.fixture
def start(tmp_path) -> Iterator[Callable[..., subprocess.Popen]]:
    """Starts one process of a launch of `count`; all are killed in the end."""
    started = []

    def one(rank: int, count: int, *, stops: bool = False, port: int = 0) -> subprocess.Popen:
        environment = {name: value for name, value in os.environ.items() if name not in ("RANK", "WORLD_SIZE")}
        environment |= {"PYTHONPATH": os.pathsep.join(sys.path), "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}
        if count > 1:
            environment |= {"RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": str(count)}
            environment |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "ACCELERATE_USE_CPU": "true"}
        command = [sys.executable, "-c", RANK, "stops" if stops else "runs", "embedded", *TASK]
        command += ["--max-samples", "8", "--output-dir", str(tmp_path / "out")]
        process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment, cwd=tmp_path
        )
        started.append(process)
        return process

    yield one
    for process in started:
        process.kill()
        process.communicate()


def ledger_lines(folder: Path) -> list[str]:
    """The keys of all whole lines, in all files."""
    keys = []
    for file in sorted(folder.rglob("finished*.jsonl")):
        for line in file.read_text().splitlines():
            keys += json.loads(line)
    return keys


@pytest.mark.parametrize("count", [1, pytest.param(2, marks=pytest.mark.long)])
def test_a_rerun_is_refused_while_a_process_of_the_killed_run_lives_and_then_resumes(start, tmp_path, count):
    """Only the first process held a lock: with it and its launcher killed, the second wrote on beside a rerun."""
    port = free_port()
    main, orphan = start(0, 2, stops=True, port=port), start(1, 2, stops=True, port=port)
    for process in (main, orphan):
        assert any("appended" in line for line in process.stdout), process.stderr.read()
    os.kill(main.pid, signal.SIGKILL) if hasattr(signal, "SIGKILL") else main.kill()
    main.wait()
    before = ledger_lines(tmp_path)

    port = free_port()
    rerun = [start(rank, count, port=port) for rank in range(count)]
    for process in rerun:
        said = process.communicate(timeout=120)[1]
        message = rf"is in use: process\s+{orphan.pid} on\s+\S+,\s+number 1 of its launch"
        assert process.returncode == 2 and re.search(message, said), said
    assert ledger_lines(tmp_path) == before

    orphan.kill()
    orphan.wait()
    port = free_port()
    again = [start(rank, count, port=port) for rank in range(count)]
    for process in again:
        said = process.communicate(timeout=120)[1]
        assert process.returncode == 0, said
    assert len(set(ledger_lines(tmp_path))) == 8 and set(before) <= set(ledger_lines(tmp_path))
