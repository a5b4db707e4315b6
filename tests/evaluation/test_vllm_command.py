"""`s1-hf eval` and `s1-hf sweep` with `--engine vllm`: results and files are those of the transformers engine."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

pytest.importorskip("vllm.sampling_params", reason="vLLM is not installed: make test-vllm")

import pyarrow.parquet as pq

COMMON = "--tasks s1:embedded --max-samples 12 --dtype float32 --max-new-tokens 300"


def run(command: str, folder) -> subprocess.CompletedProcess:
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    line = [sys.executable, "-W", "ignore", "-m", "s1_hf", *command.split(), "--output-dir", str(folder)]
    return subprocess.run(line, capture_output=True, text=True, env=environment)


def test_a_sweep_has_the_rows_of_transformers(tmp_path):
    """To the digit, every column; a second run finds everything on the disk."""
    grid = f"sweep embedded {COMMON} --max-thinking-tokens 32,none --num-ignores 0,1"
    tables = {}
    for name, engine in (("vllm", "--engine vllm --enforce-eager"), ("transformers", "")):
        done = run(f"{grid} {engine}", tmp_path / name)
        assert done.returncode == 0, done.stderr[-2000:]
        tables[name] = pq.read_table(tmp_path / name / "rows.parquet").to_pylist()
    assert tables["vllm"] == tables["transformers"]
    again = run(f"{grid} --engine vllm --enforce-eager", tmp_path / "vllm")
    assert again.returncode == 0 and "went through the model" not in again.stderr


def test_an_unknown_option_is_vllms_word(tmp_path):
    done = run(f"eval embedded {COMMON} --engine vllm --no-such-option 3", tmp_path)
    assert done.returncode == 2 and "vLLM says: unrecognized arguments: --no-such-option" in done.stderr


def test_a_search_has_the_rows_of_transformers(tmp_path):
    """Rows pause, go on and are measured in both; a second run generates nothing."""
    pytest.importorskip("math_verify")
    search = "search embedded --tasks s1:embedded --max-samples 3 --dtype float32 --max-new-tokens 120 --separator \\n"
    search += " --scorer embedded-reward --widths 1,3 --methods rebase,beam,particles,deepconf-online,early"
    search += " --every 16 --window 16 --confident 0.9"
    rows = {}
    for name, engine in (("vllm", "--engine vllm --enforce-eager"), ("transformers", "")):
        done = run(f"{search} {engine}", tmp_path / name)
        assert done.returncode == 0, done.stderr[-2000:]
        rows[name] = (tmp_path / name / "rows.jsonl").read_text()
    assert rows["vllm"] == rows["transformers"]
    again = run(f"{search} --engine vllm --enforce-eager", tmp_path / "vllm")
    assert again.returncode == 0 and "Loading" not in again.stderr
    assert (tmp_path / "vllm" / "rows.jsonl").read_text() == rows["vllm"]
