"""The benchmark of memory runs, and its simulations agree with the plans."""

import json
from pathlib import Path

import pytest


def test_the_benchmark_runs_and_its_simulations_agree_with_the_plans(monkeypatch, tmp_path):
    pytest.importorskip("trl", minversion="1.15")  # for its fused loss
    monkeypatch.syspath_prepend(str(Path(__file__).parents[2] / "benchmarks"))
    import run

    run.main(["--only", "training_memory", "--quick", "--results", str(tmp_path)])
    rows = json.loads((tmp_path / "training_memory.json").read_text())["rows"]
    assert {(r["how"], r["settings"]) for r in rows} == {
        *(("simulated", name) for name in ("ours", "original", "LoRA")),
        *(("measured", name) for name in ("ours", "original")),
    }
    for row in rows:
        if row["how"] == "simulated":
            assert row["predicted"] == pytest.approx(row["peak"], rel=0.05)
