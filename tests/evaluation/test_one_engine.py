"""One engine under all clients: the same seeds, weights and tasks loaded once, one budget everywhere."""

from __future__ import annotations

import pytest

pytest.importorskip("lighteval")

from s1_hf import Budget, embedded
from s1_hf.engines.checkpoint import Checkpoint
from s1_hf.engines.ledger import Ledger
from s1_hf.evaluation.lighteval import run
from s1_hf.evaluation.lighteval.sweeping import sweep
from s1_hf.methods import Bench, BudgetForcing, run_methods
from s1_hf.tasks.problems import problems_of

pytestmark = pytest.mark.filterwarnings("ignore:Deprecated argument:FutureWarning")


def kept(folder) -> dict[tuple[str, int, bool], list[int]]:
    """Token ids of everything in the ledgers of a folder, by problem, sample and whether it was cut."""
    found = {}
    for file in folder.rglob("finished.jsonl"):
        for entry in Ledger(file.parent).read().values():
            found[entry["problem"], entry["sample"], entry["ended"] == "cut"] = entry["token_ids"]
    return found


def test_one_seed_draws_the_same_in_an_evaluation_a_sweep_and_a_method(config, tmp_path):
    decoding = {"temperature": 1.0, "seed": 7, "max_new_tokens": 200, "max_answer_tokens": 12, "batch_size": 8}
    options = {"max_samples": 1, "save_details": False}
    own = {name: str(tmp_path / name) for name in ("eval", "sweep")}
    capped = config(**decoding, max_thinking_tokens=8, cache_dir=own["eval"])
    run.evaluate(capped, "s1_agg8:embedded", output_dir=own["eval"], **options)
    swept = config(**decoding, cache_dir=own["sweep"])
    sweep(swept, "s1_agg8:embedded", max_thinking_tokens=[8, None], output_dir=own["sweep"], **options)

    model, tokenizer = embedded.load()
    ((asked, *_), *_) = kept(tmp_path / "eval")  # lighteval draws its problems
    (problem,) = (one for one in problems_of("s1:embedded") if one.id == asked)
    problem = type(problem)(problem.id, problem.prompt, problem.gold, "s1_agg8:embedded", problem.kind)
    bench = Bench(
        model=model,
        tokenizer=tokenizer,
        problems=[problem],
        samples=8,
        seed=7,
        max_new_tokens=200,
        max_answer_tokens=12,
    )
    run_methods([BudgetForcing(max_thinking_tokens=[8])], bench, tmp_path / "method")

    of_evaluation, of_sweep = kept(tmp_path / "eval"), kept(tmp_path / "sweep")
    of_method = kept(tmp_path / "method")
    assert len(of_evaluation) == 8 and len({tuple(ids) for ids in of_evaluation.values()}) > 1
    assert of_method == of_evaluation
    assert {key: of_sweep[key] for key in of_evaluation} == of_evaluation


def test_a_sweep_loads_weights_and_tasks_once(config, tmp_path, monkeypatch):
    loaded, built = [], []
    load, init = Checkpoint.load, run.Pipeline.__init__
    monkeypatch.setattr(Checkpoint, "load", lambda self, *a, **o: loaded.append(1) or load(self, *a, **o))
    monkeypatch.setattr(run.Pipeline, "__init__", lambda self, *a, **o: built.append(1) or init(self, *a, **o))
    settings = config(max_answer_tokens=8, batch_size=2, max_new_tokens=150)
    options = {"max_samples": 2, "save_details": False, "output_dir": str(tmp_path)}
    caps = [4, 8, 12, 16, 20, 24, 28, None]
    swept = sweep(settings, "s1:embedded", max_thinking_tokens=caps, num_ignores=[0, 1, 2, 3, 4], **options)
    assert len(swept.results) == 40 and len(swept.rows) == 80
    assert (len(loaded), len(built)) == (1, 1)


def test_soft_cuts_and_stop_messages_reach_evaluation_and_its_results(config, tmp_path):
    budget = Budget(max_thinking_tokens=40, cut_window=20, cut_text="Enough.\n")
    found = run.evaluate(config(budget=budget), "s1:embedded", output_dir=str(tmp_path), max_samples=2)
    said = found["config_general"]["model_config"]
    said = said if isinstance(said, dict) else said.model_dump()
    assert (said["cut_window"], said["cut_text"], said["max_thinking_tokens"]) == (20, "Enough.\n", 40)
    assert found["results"]["s1:embedded|0"]["ended_cut"] == 1.0
    assert found["results"]["s1:embedded|0"]["thinking_tokens_max"] <= 40
