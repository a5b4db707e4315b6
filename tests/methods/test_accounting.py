"""The tokens that every method counts, beside those that went through the model."""

from __future__ import annotations

import pytest

from counted import tokens_fed
from s1_hf.methods import (
    Adaptive,
    BestOfN,
    BudgetForcing,
    Confident,
    DeepConf,
    DeepConfOnline,
    EarlyExit,
    Parallel,
    RejectionSampling,
    SelfCertainty,
    Stable,
    StepConditional,
    TokenConditional,
)
from searching import lamp_bench, text_scorer


@pytest.fixture
def fed(monkeypatch) -> list[int]:
    """How many tokens go through the model, call by call."""
    return tokens_fed(monkeypatch)


METHODS = [
    BudgetForcing(max_thinking_tokens=[24]),
    BudgetForcing(num_ignores=[1]),
    TokenConditional([32]),
    StepConditional([4]),
    RejectionSampling([20], max_tries=6),
    Parallel(samples=4, votes=[4]),
    Parallel(samples=4, shortest=[(4, 4)]),
    Adaptive(most=[6]),
    Adaptive(most=[6], rule="dirichlet", round_size=4),
    BestOfN(scorer=text_scorer(), widths=[4]),
    DeepConf(widths=[4], window=8),
    DeepConfOnline(widths=[8], warmup=2, window=8),
    SelfCertainty(widths=[4]),
]


@pytest.mark.parametrize("method", METHODS, ids=lambda method: str(method.settings["method"]))
def test_whatever_was_generated_is_counted_given_up_samples_too(method, fed):
    """One row at a time: each sample's first call reads the prompt, and every other call one token that it has got."""
    (row,) = method.run(lamp_bench(1, batch_size=1))
    samples = sum(count > 1 for count in fed)
    assert row.tries == samples
    assert row.total_tokens == samples + sum(count == 1 for count in fed)


@pytest.mark.parametrize("rule", [Stable(2), Stable(3), Confident(1.0)], ids=lambda rule: rule.name)
def test_answers_that_were_tried_are_counted(rule, fed):
    """The prompt is read once, and every token but the last of all: that of a pause by its answer and by what goes on,
    that of an answer by nobody."""
    bench = lamp_bench(1, batch_size=1, max_new_tokens=160)
    (row,) = EarlyExit(rules=[rule], every=16).run(bench)
    prompt = len(bench.encode(bench.problems[0].prompt))
    assert row.tries > 1
    assert sum(fed) == prompt + row.total_tokens - 1
