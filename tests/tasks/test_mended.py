"""lighteval's stock path with our tasks: its cache, its sampling, its list, its warnings."""

from __future__ import annotations

import logging
import shutil
from types import SimpleNamespace

import pytest

pytest.importorskip("lighteval")

from lighteval.models.model_input import GenerationParameters
from lighteval.models.transformers.transformers_model import TransformersModel, TransformersModelConfig
from lighteval.tasks.registry import Registry
from lighteval.tasks.requests import Doc
from lighteval.utils.cache_management import SampleCache

from s1_hf import embedded
from s1_hf.tasks.mended import mended_lighteval, quiet_about_trials


@pytest.fixture
def config(tmp_path):
    """Makes lighteval's own configuration of the embedded model in a folder of its own."""
    folder = shutil.copytree(embedded.MODEL_PATH, tmp_path / "model")

    def make(**settings):
        given = {"model_name": str(folder), "dtype": "float32", "cache_dir": str(tmp_path / "cache"), "batch_size": 2}
        return TransformersModelConfig(**given, generation_parameters=GenerationParameters(**settings))

    return make


def test_the_cache_lies_outside_the_model_and_knows_its_weights(config, tmp_path):
    with mended_lighteval():
        first, again = SampleCache(config()), SampleCache(config())
        weights = tmp_path / "model" / "model.safetensors"
        weights.write_bytes(weights.read_bytes()[:-1] + b"\0")
        other = SampleCache(config())
    assert first.cache_dir == again.cache_dir != other.cache_dir
    assert all(cache.cache_dir.is_relative_to(tmp_path / "cache") for cache in (first, other))
    assert SampleCache(config()).cache_dir.is_relative_to(tmp_path / "model")  # the trap


def test_several_samples_are_drawn(config):
    """The trap: without `do_sample` transformers refuses them, with a traceback."""
    docs = [Doc(embedded.Problem(2, 7, 3, 8).question, ["51"], 0, id="0", task_name="a|0", generation_size=30)]
    docs[0].num_samples = 3
    with mended_lighteval():
        model = TransformersModel(config(temperature=5.0))
        model._cache = None
        (response,) = model.greedy_until(docs)
    assert len(response.text) == 3 and len(set(response.text)) > 1
    assert "do_sample" not in GenerationParameters(temperature=1.0).to_transformers_dict()


def test_the_list_names_ours_first_and_all_others(capsys):
    with mended_lighteval():
        Registry.print_all_tasks(SimpleNamespace(_task_registry={"gsm8k": 0, "s1:aime24": 0, "aime24": 0}))
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "s1:aime24" and lines[-2:] == ["aime24", "gsm8k"] and len(set(lines)) == len(lines)


def test_warnings_about_what_was_asked_for_are_left_out_and_no_others(caplog):
    pipeline = logging.getLogger("lighteval.pipeline")
    with quiet_about_trials(), caplog.at_level(logging.WARNING):
        pipeline.warning("--max_samples WAS SET. THESE NUMBERS ARE ONLY PARTIAL")
        pipeline.warning("something else")
    pipeline.warning("--max_samples WAS SET.")
    assert [record.message for record in caplog.records] == ["something else", "--max_samples WAS SET."]
