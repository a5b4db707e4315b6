"""An engine behind a ledger: what is there is handed over, the rest is generated, once."""

from __future__ import annotations

import pytest
from benches import random_bench, recording

from s1_hf import Budget
from s1_hf.engines.engine import under
from s1_hf.engines.ledger import Ledger
from s1_hf.methods.kept import Kept, NotKept

SETTINGS = [Budget(max_thinking_tokens=cap) for cap in (3, 6)]


def run(kept: Kept, requests) -> dict:
    return {one.request.key: one.completion for batch in kept.run(requests, lambda rows: None) for one in batch}


def sweep(kept: Kept, requests, settings) -> dict:
    swept = [batch.of_settings for batch in kept.sweep(requests, settings, lambda rows: None)]
    return {one.request.key: one.completion for batch in swept for of_setting in batch for one in of_setting}


def test_what_is_there_is_not_generated_again(tmp_path):
    bench, engine = recording(random_bench(4))
    requests = [bench.request(problem) for problem in bench.problems]
    kept = Kept(engine, Ledger(tmp_path))
    first = run(kept, requests[:3])
    assert [request.problem for batch in kept.plan(requests) for request in batch] == ["3"]
    assert run(kept, requests).items() >= first.items()
    assert [[request.problem for request in asked] for asked in engine.asked] == [["0", "1", "2"], ["3"]]
    assert run(Kept(engine, Ledger(tmp_path)), requests) == bench.complete(requests)


def test_a_sweep_generates_what_any_setting_lacks_under_the_settings_that_lack_it(tmp_path):
    bench, engine = recording(random_bench(4))
    requests = [bench.request(problem) for problem in bench.problems]
    kept = Kept(engine, Ledger(tmp_path))
    run(kept, [under(request, SETTINGS[0]) for request in requests])
    whole = sweep(kept, requests, SETTINGS)
    assert engine.settings[-1] == SETTINGS[1:]
    asked = len(engine.asked)
    assert sweep(kept, requests, SETTINGS) == whole == bench.complete(requests, SETTINGS)
    assert len(engine.asked) == asked + 1  # by the bench alone


def test_without_generating_what_is_not_there_is_said(tmp_path):
    bench, engine = recording(random_bench(2))
    requests = [bench.request(problem) for problem in bench.problems]
    asleep = Kept(engine, Ledger(tmp_path), generates=False)
    run(Kept(engine, Ledger(tmp_path)), requests[:1])
    assert len(run(asleep, requests[:1])) == 1
    with pytest.raises(NotKept):
        run(asleep, requests)
    with pytest.raises(NotKept):
        sweep(asleep, requests, SETTINGS)
    assert len(engine.asked) == 1


def test_it_is_the_engine_in_all_else(tmp_path):
    bench, engine = recording(random_bench(1))
    kept = Kept(engine, Ledger(tmp_path))
    for name in ("tokenizer", "format", "context", "identity"):
        assert getattr(kept, name) == getattr(engine, name)
    with pytest.raises(ValueError, match="has to fit into the model's context"):
        kept.check([random_bench(1).request(bench.problems[0], prompt="a" * 600)])
    with pytest.raises(ValueError, match="different settings"):
        kept.check_sweep([SETTINGS[0], SETTINGS[0]])
