"""A grid of budgets through lighteval: what separate evaluations give, going on after a kill, what is refused."""

from __future__ import annotations

import pytest

pytest.importorskip("lighteval")

from s1_hf.engines.checkpoint import Checkpoint
from s1_hf.evaluation.lighteval.run import evaluate
from s1_hf.evaluation.lighteval.sweeping import _judged, sweep
from s1_hf.results.summaries import summarize_settings

pytestmark = pytest.mark.filterwarnings("ignore:Deprecated argument:FutureWarning")

GRID = {"max_thinking_tokens": [16, None], "num_ignores": [0, 1]}


@pytest.mark.parametrize(
    ("task", "decoding"),
    [("s1:embedded", {}), ("s1_agg8:embedded", {"temperature": 1.0, "seed": 5})],
)
def test_the_results_are_those_of_separate_evaluations(config, tmp_path, task, decoding):
    """lighteval's own numbers of every setting; sampled answers too, token for token in their mean lengths."""
    options = {"max_samples": 3, "save_details": False}
    one = {"batch_size": 6, "max_answer_tokens": 16, "cache_dir": str(tmp_path / "one")} | decoding
    swept = sweep(config(**one), task, **GRID, output_dir=str(tmp_path / "one"), **options)
    assert [setting.name for setting in swept.settings] == ["cap 16", "cap 16, 1 ignore", "no intervention", "1 ignore"]
    assert swept.cost.saved > 1.5 and not swept.ungraded
    for setting, results in zip(swept.settings, swept.results, strict=True):
        budget = {"max_thinking_tokens": setting.max_thinking_tokens, "num_ignores": setting.num_ignores}
        alone = config(**one | {"cache_dir": str(tmp_path / "alone")} | budget)
        assert results["results"] == evaluate(alone, task, output_dir=str(tmp_path / "alone"), **options)["results"]
    for summary, results in zip(summarize_settings(swept.rows), swept.results, strict=True):
        scores = results["results"][f"{task}|0"]
        assert summary.accuracy == pytest.approx(100 * scores["avg@8" if decoding else "accuracy"])
        assert summary.thinking_tokens == pytest.approx(scores["thinking_tokens"])


def test_a_broken_sweep_goes_on_with_what_is_missing_and_ends_as_an_unbroken_one(config, tmp_path):
    def run(folder, progress=None):
        settings = config(batch_size=2, max_answer_tokens=16, cache_dir=str(tmp_path / folder))
        options = {"max_samples": 5, "save_details": False, "output_dir": str(tmp_path / folder)}
        return sweep(settings, "s1:embedded", **GRID, progress=progress, **options)

    def stop(progress):
        if progress.done == 4:
            raise KeyboardInterrupt

    unbroken = run("unbroken")
    with pytest.raises(KeyboardInterrupt):
        run("broken", stop)
    (torn,) = (tmp_path / "broken").rglob("finished.jsonl")
    lines = torn.read_bytes().splitlines(keepends=True)
    torn.write_bytes(lines[0] + lines[1][:100])  # killed while the second batch was written
    told = []
    broken = run("broken", told.append)
    assert (told[0].done, told[0].total) == (2, 5)
    assert broken.rows == unbroken.rows
    assert broken.cost.trace_tokens < unbroken.cost.trace_tokens
    again = run("broken")
    assert again.cost is None and again.rows == unbroken.rows


def test_rows_say_what_was_asked_promised_and_generated(config, tmp_path):
    options = {"max_samples": 2, "save_details": False, "output_dir": str(tmp_path)}
    swept = sweep(config(max_answer_tokens=16), "s1:embedded", **GRID, **options)
    row = swept.rows[0]
    assert (row.method, row.setting, row.task) == ("budget forcing", "cap 16", "s1:embedded")
    assert (row.promises, row.max_thinking_tokens, row.thinking_tokens, row.ended) == ((None, 16), 16, 16, "cut")
    assert row.question.startswith("Lamp A flashes") and row.gold.isdigit() and row.answer.startswith("Final Answer:")
    assert "Final Answer:" in "".join(piece["text"] for piece in row.transcript if piece["forced"])
    assert row.correct == (row.extracted == row.gold)
    assert swept.rows[-1].max_thinking_tokens is None


def test_a_sample_is_right_by_our_grader_or_by_a_metric_of_0_or_1_and_otherwise_not_judged():
    class Detail:
        def __init__(self, **metric):
            self.metric, self.model_response = metric, type("Response", (), {"samples": [None]})

    class Metric:
        def __init__(self, name):
            self.metric_name, self.sample_level_fn = name, object()

    metrics = [Metric("f1"), Metric("exact_match")]
    assert _judged(metrics, Detail(f1=0.4, exact_match=1)) == [(True, None)]
    assert _judged(metrics, Detail(f1=0.4, exact_match=0.0)) == [(False, None)]
    assert _judged(metrics, Detail(f1=0.4, exact_match=0.5)) == []


@pytest.mark.parametrize(
    ("budgets", "settings", "message"),
    [
        ({"max_thinking_tokens": [600]}, {}, "`max_thinking_tokens` of 600.*more than the 512 tokens"),
        ({"max_thinking_tokens": [8, 8]}, {}, "has to be a sequence of different numbers"),
        ({}, {"min_thinking_tokens": 4}, "A sweep cannot have `min_thinking_tokens`"),
    ],
)
def test_what_cannot_be_swept_is_refused_before_the_weights_are_read(
    config, tmp_path, monkeypatch, budgets, settings, message
):
    monkeypatch.setattr(Checkpoint, "load", lambda *args, **options: pytest.fail("the weights were read"))
    with pytest.raises(ValueError, match=message):
        sweep(config(**settings), "s1:embedded", **budgets, output_dir=str(tmp_path), max_samples=2)
