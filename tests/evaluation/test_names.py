"""A model's name makes folders, which lie below the one that was named."""

import shutil

import pytest

pytest.importorskip("lighteval")

from s1_hf import embedded
from s1_hf.evaluation import BudgetForcingModel
from s1_hf.evaluation.lighteval import run

# huggingface_hub renames an argument that a task of lighteval uses while it is imported
pytestmark = pytest.mark.filterwarnings("ignore:Deprecated argument:FutureWarning")


def test_a_model_named_from_a_folder_above_writes_nothing_there(config, tmp_path, monkeypatch):
    shutil.copytree(embedded.MODEL_PATH, tmp_path / "model")
    before = sorted((tmp_path / "model").rglob("*"))
    (tmp_path / "a" / "b").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "a" / "b")
    settings = config(model_name="../../model", max_thinking_tokens=16)
    run.evaluate(settings, "s1:embedded", output_dir="out", max_samples=1)
    assert sorted((tmp_path / "model").rglob("*")) == before
    assert {path.name for path in tmp_path.iterdir()} == {"model", "a", "store"}
    assert {path.name for path in (tmp_path / "a" / "b").iterdir()} == {"out"}
    assert list((tmp_path / "a" / "b" / "out" / "results").rglob("results_*.json"))


def test_a_model_in_a_folder_with_a_very_long_path_has_a_ledger(config, tmp_path):
    deep = tmp_path.joinpath(*["d" * 100] * 3) / "model"
    shutil.copytree(embedded.MODEL_PATH, deep)
    folder = BudgetForcingModel(config(model_name=str(deep), max_thinking_tokens=16)).on_tasks.ledger.folder
    assert folder.parent.parent == tmp_path / "store"
    assert folder.parent.name.endswith("_model") and folder.is_dir()
