"""A budget in the model's folder: stock lighteval keeps it, and our model class does not add another."""

from __future__ import annotations

import shutil

import pytest

pytest.importorskip("lighteval")

from documents import lamps
from lighteval.models.model_input import GenerationParameters

from s1_hf import embedded, export_custom_generate
from s1_hf.evaluation import BudgetForcingModel


@pytest.fixture
def folder(tmp_path):
    return shutil.copytree(embedded.MODEL_PATH, tmp_path / "model")


@pytest.mark.parametrize("budget", [{"num_ignores": 2}, {"max_thinking_tokens": 30}, {"num_ignores": 0}])
def test_stock_lighteval_gives_the_answers_of_our_own_model_class(folder, config, tmp_path, budget):
    models = pytest.importorskip("lighteval.models.transformers.transformers_model")
    export_custom_generate(folder, **budget)
    settings = {"model_name": str(folder), "dtype": "float32", "batch_size": 3, "cache_dir": str(tmp_path / "cache")}
    stock = models.TransformersModel(
        models.TransformersModelConfig(**settings, trust_remote_code=True, generation_parameters=GenerationParameters())
    )
    stock._cache = None
    docs = lamps(5)
    theirs = stock.greedy_until(docs)
    ours = BudgetForcingModel(config(**budget, batch_size=3)).greedy_until(docs)
    for one, other in zip(theirs, ours, strict=True):
        ids, expected = one.output_tokens[0].tolist(), other.output_tokens[0]
        assert ids[: len(expected)] == expected
        assert set(ids[len(expected) :]) <= {431}  # padded with the end of sequence
        assert one.text[0].endswith(other.text[0])


def test_our_model_class_is_not_budgeted_twice(folder, config):
    export_custom_generate(folder, max_thinking_tokens=5)
    settings = config(model_name=str(folder), trust_remote_code=True)
    assert BudgetForcingModel(settings).greedy_until(lamps(1))[0].samples[0].completion.report.ended == "natural"
