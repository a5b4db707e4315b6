"""A folder of links: the model's own stays as it is, and no code comes along unasked."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest
from transformers import AutoModelForCausalLM

from s1_hf import Budget, LoopGuard, embedded, export_custom_generate
from s1_hf.engines.checkpoint import Checkpoint
from s1_hf.finding import model_named
from s1_hf.serving.folder import (
    export_folder,
    exported_of,
    exported_settings,
    format_of,
    is_embedded,
    links_in,
    model_folder,
)

SETTINGS = {"budget": Budget(num_ignores=2), "format": None, "max_answer_tokens": 7}


@pytest.fixture
def model(tmp_path):
    """With code of somebody's."""
    folder = shutil.copytree(embedded.MODEL_PATH, tmp_path / "model")
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "auto_map": {"AutoConfig": "code.Config"}}))
    (folder / "code.py").write_text("raise SystemExit('Code was run.')")
    (folder / "additional_chat_templates").mkdir()
    (folder / "additional_chat_templates" / "other.jinja").write_text("{{ messages }}")
    return folder


def test_weights_are_links_and_what_one_may_change_is_copied(model, tmp_path):
    before = {file: file.stat().st_mtime_ns for file in model.rglob("*")}
    folder = export_folder(model, tmp_path / "new" / "out", SETTINGS)
    weights = folder / "model.safetensors"
    assert weights.samefile(model / "model.safetensors")
    assert not (folder / "tokenizer.json").is_symlink()
    assert (folder / "additional_chat_templates" / "other.jinja").read_text() == "{{ messages }}"
    assert {file: file.stat().st_mtime_ns for file in model.rglob("*")} == before
    copied = export_folder(model, tmp_path / "copied", SETTINGS, copies=True)
    assert not (copied / "model.safetensors").samefile(model / "model.safetensors")


@pytest.mark.skipif(not hasattr(os, "link"), reason="There are no links.")
def test_where_links_of_one_kind_are_not_allowed_there_is_another_or_a_copy(model, tmp_path, monkeypatch):
    def refused(*args):
        raise OSError("not for you")

    monkeypatch.setattr(os, "symlink", refused)
    assert (export_folder(model, tmp_path / "hard", SETTINGS) / "model.safetensors").samefile(
        model / "model.safetensors"
    )
    monkeypatch.setattr(os, "link", refused)
    copied = export_folder(model, tmp_path / "copied", SETTINGS) / "model.safetensors"
    assert not copied.samefile(model / "model.safetensors") and copied.stat().st_size > 10**6


def test_nobodys_code_comes_along_unless_it_is_trusted(model, tmp_path):
    folder = export_folder(model, tmp_path / "out", SETTINGS)
    assert [file.name for file in folder.rglob("*.py")] == ["generate.py"]
    assert "auto_map" not in (folder / "config.json").read_text()
    loaded = AutoModelForCausalLM.from_pretrained(folder, trust_remote_code=True)
    assert type(loaded).__name__ == "Qwen2ForCausalLM"
    trusted = export_folder(model, tmp_path / "trusted", SETTINGS, trust_remote_code=True)
    assert (trusted / "code.py").is_file() and "auto_map" in (trusted / "config.json").read_text()


def test_an_export_is_made_again_in_its_place_and_nothing_else_is_overwritten(model, tmp_path):
    out = export_folder(model, tmp_path / "out", SETTINGS)
    export_folder(model, out, {**SETTINGS, "budget": Budget(num_ignores=3)})
    assert exported_settings(out)["budget"] == Budget(num_ignores=3)
    (out / "mine.txt").write_text("precious")
    with pytest.raises(ValueError, match=r"out has to be a new or empty folder, but holds mine\.txt"):
        export_folder(model, out, SETTINGS)
    with pytest.raises(ValueError, match="has to be another folder than the model's own"):
        export_folder(embedded.MODEL_PATH, embedded.MODEL_PATH, SETTINGS)
    with pytest.raises(ValueError, match="is a file"):
        export_folder(model, out / "mine.txt", SETTINGS)


def test_an_export_holds_no_litter(model, tmp_path):
    out = export_folder(model, tmp_path / "out", SETTINGS)
    files = {file.name for file in model.iterdir() if file.is_file() and file.suffix != ".py"}
    made = files | {"additional_chat_templates", "custom_generate"}
    assert {file.name for file in out.iterdir()} == made


def test_what_the_models_own_configuration_says_counts_before_the_export_and_is_left_to_no_other_one(model, tmp_path):
    out = export_folder(model, tmp_path / "out", SETTINGS)
    file = out / "generation_config.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), "max_thinking_tokens": 5, "max_answer_tokens": 3}))
    found = exported_settings(out)
    assert found["budget"] == Budget(num_ignores=2, max_thinking_tokens=5) and found["max_answer_tokens"] == 3
    again = export_folder(out, tmp_path / "again", {**found, "budget": Budget(num_ignores=1)})
    assert exported_settings(again)["budget"] == Budget(num_ignores=1)
    file.write_text(json.dumps({"max_thinking_token": 5}))
    for run in (exported_settings, lambda folder: export_folder(folder, tmp_path / "third", SETTINGS)):
        with pytest.raises(ValueError, match=r"generation_config\.json: .*Did you mean `max_thinking_tokens`"):
            run(out)


def test_wrong_settings_write_nothing(model, tmp_path):
    with pytest.raises(ValueError, match="free of delimiters"):
        export_folder(model, tmp_path / "out", {**SETTINGS, "budget": Budget(wait_text="<|im_end|>", num_ignores=1)})
    assert not (tmp_path / "out").exists()


def test_what_an_exported_folder_says_is_read_without_running_it(model):
    assert exported_settings(model) is None
    budget = Budget(max_thinking_tokens="auto", loop_guard=LoopGuard(max_period=3), wait_text=("a", "b"), num_ignores=1)
    format = format_of(model, {"start": "<|im_start|>think", "close": "<|im_start|>answer"})
    file = export_custom_generate(model, budget=budget, format=format, max_answer_tokens=9)
    file.write_text("raise SystemExit('Code was run.')\n" + file.read_text())
    assert exported_settings(model) == {"budget": budget, "format": format, "max_answer_tokens": 9}


@pytest.mark.parametrize("text", ["def generate(model): ...", "SETTINGS = {'a': open('x')}", "SETTINGS = 5", "(", "\0"])
def test_code_of_others_is_named_and_not_run(model, text):
    (model / "custom_generate").mkdir()
    (model / "custom_generate" / "generate.py").write_text(text)
    with pytest.raises(ValueError, match="is no file of an export of s1-hf, and its code is not run here"):
        exported_settings(model)


def test_a_model_is_found_by_its_folder_the_toys_name_and_the_hubs(tmp_path, monkeypatch):
    """That of the Hub in its cache."""
    assert model_folder("embedded") == Path(model_named("embedded")) == embedded.MODEL_PATH
    assert model_folder(str(embedded.MODEL_PATH)) == embedded.MODEL_PATH
    snapshot = tmp_path / "models--somebody--lamps" / "snapshots" / ("a" * 40)
    shutil.copytree(embedded.MODEL_PATH, snapshot)
    (tmp_path / "models--somebody--lamps" / "refs").mkdir()
    (tmp_path / "models--somebody--lamps" / "refs" / "main").write_text("a" * 40)
    from huggingface_hub import constants

    for name in ("HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE"):
        monkeypatch.setattr(constants, name, str(tmp_path), raising=False)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr("transformers.utils.hub.constants.HF_HUB_CACHE", str(tmp_path), raising=False)
    assert model_folder("somebody/lamps") == snapshot


def test_a_link_to_nothing_is_named_with_what_to_do(model, tmp_path):
    out = export_folder(model, tmp_path / "out", SETTINGS)
    if not (out / "model.safetensors").is_symlink():
        pytest.skip("There are no links here.")
    assert links_in(out) == [(model / "model.safetensors").resolve()]
    copied = shutil.copytree(out, tmp_path / "copied")  # takes what links lead to
    assert links_in(copied) == []
    model.rename(tmp_path / "moved")
    for run in (model_folder, Checkpoint.find):
        with pytest.raises(OSError, match=r"out.model\.safetensors is a link to .*, where nothing is any more"):
            run(str(out))
    assert model_folder(str(copied)) == copied


def test_what_an_export_on_the_hub_says_is_found(tmp_path, monkeypatch, model):
    assert exported_of("embedded") is None and exported_of(str(model)) is None
    export_custom_generate(model, num_ignores=2)
    assert exported_of(str(model))["budget"] == Budget(num_ignores=2)
    asked = []
    found = lambda *names, **how: asked.append(names) or str(model / "custom_generate" / "generate.py")  # noqa: E731
    monkeypatch.setattr("s1_hf.serving.folder.cached_file", found)
    assert exported_of("somebody/lamps")["budget"] == Budget(num_ignores=2)
    assert asked == [("somebody/lamps", "custom_generate/generate.py")]
    monkeypatch.undo()
    assert exported_of("somebody/lamps-of-nobody") is None and exported_of("no/model/at/all") is None


def test_an_adapter_has_to_be_merged_first(tmp_path):
    adapter = tmp_path / "adapter"
    adapter.mkdir()
    (adapter / "adapter_config.json").write_text(json.dumps({"base_model_name_or_path": str(embedded.MODEL_PATH)}))
    with pytest.raises(ValueError, match="is an adapter, which has to be merged"):
        model_folder(str(adapter))


def test_a_folder_of_the_toys_name_is_meant_where_there_is_one(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert is_embedded("embedded")
    (tmp_path / "embedded").mkdir()
    assert not is_embedded("embedded") and model_named("embedded") == "embedded"
