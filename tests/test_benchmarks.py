"""The benchmarks run, on toy sizes, and give their rows; nothing here looks at a time."""

import json
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"


@pytest.fixture
def run(monkeypatch):
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    import run

    return run


def test_step_cost_has_a_row_for_every_method_and_size(run, tmp_path):
    run.main(["--only", "step_cost", "--quick", "--results", str(tmp_path)])
    result = json.loads((tmp_path / "step_cost.json").read_text())
    assert {(r["batch_size"], r["context"]) for r in result["rows"] if r["device"] == "cpu"} == {(1, 256), (2, 256)}
    methods = [r["method"] for r in result["rows"] if (r["device"], r["batch_size"]) == ("cpu", 1)]
    assert len(methods) == len(set(methods)) == 8
    assert all(r["quartile_1_us"] <= r["median_us"] <= r["quartile_3_us"] for r in result["rows"])
    said = {"cpu", "torch_threads", "load_before", "load_after", "versions", "date", "command"}
    assert said <= result["machine"].keys()


def test_confidence_cost_has_a_row_for_every_vocabulary_and_size(run, tmp_path):
    run.main(["--only", "confidence_cost", "--quick", "--results", str(tmp_path)])
    rows = json.loads((tmp_path / "confidence_cost.json").read_text())["rows"]
    sizes = [(r["vocabulary"], r["B"]) for r in rows if r["device"] == "cpu"]
    assert sizes == [(512, 1), (512, 2), (151_936, 1), (151_936, 2)]
    assert all(row[way] > 0 for row in rows for way in ("argmax", "top 1", "top 20", "all tokens"))


def test_in_generate_has_a_row_for_every_way_of_decoding(run, tmp_path):
    run.main(["--only", "in_generate", "--quick", "--results", str(tmp_path)])
    rows = json.loads((tmp_path / "in_generate.json").read_text())["rows"]
    assert [row["decoding"] for row in rows] == ["greedy", "top-k 20, top-p 0.95", "top-p 0.95"]
    assert all(row["plain"] > 0 and row["budget"] > 0 for row in rows)


def test_gpu_has_a_row_for_every_way_of_decoding_and_for_both_ways_of_batching(run, tmp_path):
    run.main(["--only", "gpu", "--quick", "--results", str(tmp_path)])
    rows = json.loads((tmp_path / "gpu.json").read_text())["rows"]
    assert [row.get("decoding") or row["way"] for row in rows] == [
        *("greedy", "top-k 20, top-p 0.95", "top-p 0.95"),
        *("static batches", "s1-hf"),
    ]
    assert all(row["plain"] > 0 and row["replayed"] > 0 for row in rows[:3])


def test_ignores_gives_equal_tokens_and_spares_the_prefills_of_all_rounds_but_the_first(run, tmp_path, capsys):
    run.main(["--only", "ignores", "--quick", "--results", str(tmp_path)])
    rows = json.loads((tmp_path / "ignores.json").read_text())["rows"]
    rows = {(r["ignores"], r["way"]): r for r in rows if r["model"].startswith("random")}
    assert rows.keys() == {(n, way) for n in (0, 2) for way in ("one pass", "prompt again")}
    for n in (0, 2):
        assert rows[n, "one pass"]["generated_tokens"] == rows[n, "prompt again"]["generated_tokens"]
    first = rows[0, "one pass"]["prefill_tokens"]
    assert rows[2, "one pass"]["prefill_tokens"] == first
    assert rows[2, "prompt again"]["prefill_tokens"] > 3 * first
    assert "| random" in capsys.readouterr().out


def test_unequal_tokens_are_an_error(run):
    import ignores

    with pytest.raises(AssertionError, match="Row 1 differs .* token 2 on"):
        ignores.check_equal([[1], [1, 2, 3]], [[1], [1, 2]])


def test_a_grid_in_one_pass_equals_separate_runs_and_takes_a_fraction_of_their_tokens(run, tmp_path):
    """The longest run alone, what is branched off it, and nothing twice."""
    run.main(["--only", "sweeps", "--quick", "--results", str(tmp_path)])
    for row in json.loads((tmp_path / "sweeps.json").read_text())["rows"]:
        assert row["settings"] == 8 and row["separate_tokens"] > 2 * (row["trace_tokens"] + row["answer_tokens"])
        assert row["positions"] < row["separate_positions"] / 2


def test_reading_has_a_row_for_every_text_and_length(run, tmp_path):
    run.main(["--only", "reading", "--quick", "--results", str(tmp_path)])
    rows = json.loads((tmp_path / "reading.json").read_text())["rows"]
    assert len({(row["text"], row["characters"]) for row in rows}) == len(rows) == 26
    assert all(row["tokens"] for row in rows)


def test_power_has_a_row_for_every_plan(run, tmp_path, monkeypatch):
    """On answers without a model."""
    import numpy as np

    import power

    def answers(folder, *, problems, samples=1):
        draws = np.random.default_rng(0).random((60, samples))
        return {
            name: draws < share for name, share in (("no intervention", 0.2), ("1 ignore", 0.5), ("2 ignores", 0.8))
        }

    monkeypatch.setattr(power, "_answers", answers)
    run.main(["--only", "power", "--quick", "--results", str(tmp_path)])
    rows = json.loads((tmp_path / "power.json").read_text())["rows"]
    assert [(row["pilot"], row["samples"]) for row in rows] == [("30 × 1", 1)] * 2 + [("30 × 2", 1), ("30 × 2", 4)] * 2
    assert all(row["planned"] >= 6 and row["shown, %"] > 0 for row in rows)
