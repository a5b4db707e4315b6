"""The benchmark runs, on toy sizes, and both ways write the same tokens; nothing here looks at a time."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("lighteval")

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


@pytest.mark.parametrize("which", [0, 1])
def test_both_ways_write_the_same_tokens(which, monkeypatch, tmp_path):
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    import evaluation as benchmark

    case = benchmark.cases(quick=True)[which]
    model = benchmark._folder(case, tmp_path)
    rows = {way: benchmark._measure(case, way, model, str(tmp_path)) for way in benchmark.WAYS}
    assert rows["s1-hf"]["tokens"] == rows["lighteval"]["tokens"]
    assert rows["s1-hf"]["generated_tokens"] == sum(map(len, rows["s1-hf"]["tokens"])) > 0
