"""Cards: what they say is in the folder's files, `load_dataset` reads what they name, and nobody's own is replaced."""

from __future__ import annotations

import json
import re
from dataclasses import replace

import pytest
import yaml

from s1_hf.publishing.cards import CARD, is_ours, new_card
from s1_hf.publishing.folders import ADAPTER, CURATION, DATA, MODEL, RESULTS, TRACES
from s1_hf.results.rows import load_rows, save_rows


def parts(card: str) -> tuple[dict, str]:
    _, header, body = card.split("---\n", 2)
    return yaml.safe_load(header), body


@pytest.fixture
def traced(tmp_path):
    datasets = pytest.importorskip("datasets")
    rows = datasets.Dataset.from_dict({"question": ["a", "b"], "thinking_trajectories": [["t"], ["u"]]})
    folder = tmp_path / "traces"
    rows.to_parquet(str(folder / "data" / "train-00000-of-00001.parquet"))
    (folder / "settings.json").write_text(json.dumps({"model": "m", "endpoint": "http://me:password-1@host/v1"}))
    (folder / "finished.jsonl").write_text("")
    return folder


def loaded(folder, card: str, tmp_path, **which):
    datasets = pytest.importorskip("datasets")
    (folder / CARD).write_text(card, encoding="utf-8")
    return datasets.load_dataset(str(folder), cache_dir=str(tmp_path / "cache"), **which)


def test_of_results_it_has_the_tables_the_command_and_rows_that_load(results, tmp_path):
    about = json.loads((results / "about.json").read_text())
    (results / "about.json").write_text(json.dumps(about | {"command": "s1-hf sweep embedded\n```\n--seed 0"}))
    (results / "scaling.png").write_bytes(b"")
    header, body = parts(card := new_card(results, RESULTS))
    assert header["configs"][0]["data_files"] == [{"split": "rows", "path": "rows.parquet"}]
    assert re.search(r"\| cap 16 +\|.* 50\.0 \|", body) and "![scaling.png](scaling.png)" in body
    assert "````sh\ns1-hf sweep embedded ``` --seed 0\n````" in body and "| seed | 0 |" in body
    rows = loaded(results, card, tmp_path, split="rows")
    assert len(rows) == 8 and set(rows["max_thinking_tokens"]) == {8, 16}


def test_of_several_runs_all_files_are_named(results):
    save_rows([replace(row, method="another") for row in load_rows(results)], results / "two" / "rows.parquet")
    (results / "one").mkdir()
    (results / "rows.parquet").rename(results / "one" / "rows.parquet")
    header, body = parts(new_card(results, RESULTS))
    assert header["configs"][0]["data_files"][0]["path"] == ["one/rows.parquet", "two/rows.parquet"]
    assert ": 16 answers" in body


def test_of_traces_it_has_settings_without_passwords_and_loads(traced, tmp_path):
    header, body = parts(card := new_card(traced, TRACES))
    assert "2 questions with reasoning traces" in body and "password-1" not in body and "| model | m |" in body
    assert header["configs"][0]["data_files"][0]["split"] == "train"
    assert loaded(traced, card, tmp_path, split="train")["question"][:] == ["a", "b"]


def test_of_any_data_set_it_names_the_columns(traced):
    _, body = parts(new_card(traced, DATA))
    assert "# 2 rows" in body and "`question`, `thinking_trajectories`" in body


def test_of_a_model_it_says_what_its_configuration_says(trained):
    (trained / CARD).unlink()
    header, body = parts(new_card(trained, MODEL))
    assert header["library_name"] == "transformers" and "Qwen2ForCausalLM" in body and "base_model" not in header
    (trained / "adapter_config.json").write_text(json.dumps({"base_model_name_or_path": "Qwen/Qwen3-8B"}))
    header, _ = parts(new_card(trained, ADAPTER))
    assert (header["library_name"], header["base_model"]) == ("peft", "Qwen/Qwen3-8B")
    (trained / "adapter_config.json").write_text(json.dumps({"base_model_name_or_path": str(trained)}))
    assert "base_model" not in parts(new_card(trained, ADAPTER))[0]  # a folder is no name on the Hub


def test_ours_is_written_again_and_nobody_elses(results):
    card = new_card(results, RESULTS)
    assert is_ours(card)
    (results / CARD).write_text(card, encoding="utf-8")
    assert new_card(results, RESULTS) == card
    (results / CARD).write_text(card.replace("answers", "replies"), encoding="utf-8")
    assert new_card(results, RESULTS) is None and not is_ours("mine")


def test_what_curate_and_pack_write_is_theirs(results):
    assert new_card(results, CURATION) is None


def test_a_card_that_is_a_link_is_refused(results, tmp_path):
    (results / CARD).symlink_to(tmp_path / "mine.md")
    with pytest.raises(ValueError, match=r"README\.md is a link"):
        new_card(results, RESULTS)
