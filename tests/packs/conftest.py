"""A run of several methods on the toy model, with seeds, and its pack."""

import shutil
from pathlib import Path

import pytest

pytest.importorskip("matplotlib")
pytest.importorskip("datasets")
pytest.importorskip("math_verify")


@pytest.fixture(autouse=True)
def few_figures(monkeypatch):
    """Each takes a fifth of a second."""
    monkeypatch.setattr("s1_hf.reporting.figures.MOST_FIGURES", 2)


@pytest.fixture(scope="session")
def run(tmp_path_factory) -> Path:
    """A results folder: forced, voted, rejected and asked by a prompt; two samples of each of two problems."""
    from s1_hf import embedded
    from s1_hf.methods import (
        Bench,
        BudgetForcing,
        Parallel,
        RejectionSampling,
        TokenConditional,
        problems_of,
        run_methods,
    )

    folder = tmp_path_factory.mktemp("run") / "results"
    model, tokenizer = embedded.load()
    problems = problems_of("s1:embedded", max_samples=2)
    lengths = {"max_new_tokens": 90, "max_answer_tokens": 12, "samples": 2, "seed": 5, "batch_size": 16}
    bench = Bench(model=model, tokenizer=tokenizer, problems=problems, **lengths)
    methods = [
        BudgetForcing(max_thinking_tokens=[24, None]),
        Parallel(samples=2, votes=[2]),
        RejectionSampling(limits=[64], max_tries=1),
        TokenConditional(budgets=[32]),
    ]
    run_methods(methods, bench, folder)
    return folder


@pytest.fixture(scope="session")
def packed_once(run, tmp_path_factory) -> Path:
    from s1_hf.packs import pack

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("s1_hf.reporting.figures.MOST_FIGURES", 2)
        return pack(run, tmp_path_factory.mktemp("packed") / "pack").folder


@pytest.fixture
def packed(packed_once, tmp_path) -> Path:
    """A pack that a test may change."""
    return Path(shutil.copytree(packed_once, tmp_path / "pack"))
