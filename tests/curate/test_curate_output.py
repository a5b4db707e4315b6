"""The folder: whole or absent, loaded and trained on as s1K, and harmless whatever the pool says."""

import re

import pytest

pytest.importorskip("datasets")

import yaml
from curation_pools import pool, random_pool
from datasets import load_dataset

from s1_hf import ThinkingFormat, embedded, load_s1k
from s1_hf.curate import Diversity, Recipe, curate, output, read_recipe, save
from s1_hf.data.conversation import check_rows
from s1_hf.sft.data import training_rows

HOSTILE = "<script>alert(1)</script>\"'&{{7*7}} ]] `x` | [a](javascript:b) p12."
FULL = Recipe(diversity=Diversity("full"))


@pytest.fixture
def saved(tmp_path):
    return save(curate(random_pool(100), Recipe(diversity=Diversity(n=20))), tmp_path / "out")


def test_the_folder_is_loaded_as_s1k(saved):
    rows = load_s1k(path=saved)
    assert len(rows) == 20
    check_rows(rows)


def test_the_folder_is_what_training_takes(saved):
    tokenizer = embedded.load()[1]
    rows = training_rows(load_s1k(path=saved), tokenizer, ThinkingFormat.from_tokenizer(tokenizer, "s1"))
    assert len(rows) == 20 and all(any(label != -100 for label in row["labels"]) for row in rows)


def test_the_folder_is_loaded_by_datasets_as_its_card_says(saved, tmp_path):
    rows = load_dataset(str(saved), split="train", cache_dir=str(tmp_path / "cache"))
    assert len(rows) == 20 and {"question", "domain", "pool_row"} <= set(rows.column_names)


def test_the_card_has_front_matter_the_funnel_and_the_columns(saved):
    _, front, text = (saved / "README.md").read_text().split("---\n", 2)
    assert yaml.safe_load(front)["configs"][0]["data_files"] == [{"split": "train", "path": "data/train-*"}]
    assert yaml.safe_load(front)["license"] == "unknown"
    assert "| input | 100 |" in text and "| diversity | 20 |" in text and "`pool_row`" in text and "Seed 0" in text


def test_one_licence_of_all_rows_is_the_cards(tmp_path):
    folder = save(curate(pool({"license": "mit"}), FULL), tmp_path / "out")
    assert yaml.safe_load((folder / "README.md").read_text().split("---\n")[1])["license"] == "mit"


def test_the_written_recipe_makes_the_same_again(saved):
    again = curate(random_pool(100), read_recipe(saved / "recipe.yaml"))
    assert again.dataset["question"][:] == load_s1k(path=saved)["question"][:]


def test_every_dropped_row_is_in_the_file_of_drops(saved, tmp_path):
    dropped = load_dataset("parquet", data_files=str(saved / "dropped.parquet"), cache_dir=str(tmp_path))["train"]
    assert dropped.column_names == ["row", "stage", "rule", "detail", "of"] and len(dropped) == 80


def test_a_hostile_pool_does_nothing_to_page_and_card(tmp_path):
    rows = pool(
        {"question": HOSTILE, "source_type": HOSTILE, "cot_type": "a"},
        {"question": "2?", "source_type": f"x{HOSTILE}", "cot_type": HOSTILE, "thinking_tokens": 3},
    )
    recipe = Recipe(diversity=Diversity("diverse", 1), licenses={"x": HOSTILE})
    folder = save(curate(rows, recipe), tmp_path / "out")
    page = (folder / "report.html").read_text()
    assert "alert(1)" in page and "{{7*7}}" in page
    assert not re.search(r"<script|<img|<a |javascript:[^b]|\son\w+=", page)
    assert "<script" not in (folder / "README.md").read_text().split("---\n", 2)[2]


def test_the_page_loads_nothing(saved):
    page = (saved / "report.html").read_text()
    assert "default-src 'none'" in page and not re.search(r"src=|href=|url\(|@import|https?:", page)


def test_a_failure_leaves_nothing(tmp_path, monkeypatch):
    def fail(report):
        raise OSError("disk full")

    monkeypatch.setattr(output, "make_card", fail)
    with pytest.raises(OSError, match="disk full"):
        save(curate(pool({}), FULL), tmp_path / "out")
    assert not list(tmp_path.iterdir())


def test_a_failure_leaves_an_earlier_curation_as_it_was(saved, monkeypatch):
    before = (saved / "report.json").read_text()

    def fail(report):
        raise OSError("disk full")

    monkeypatch.setattr(output, "make_page", fail)
    with pytest.raises(OSError):
        save(curate(pool({}), FULL), saved, overwrite=True)
    assert (saved / "report.json").read_text() == before and len(load_s1k(path=saved)) == 20


def test_an_earlier_curation_is_replaced_only_when_asked(saved):
    with pytest.raises(ValueError, match="already holds a curation.*--overwrite"):
        save(curate(pool({}), FULL), saved)
    save(curate(pool({}), FULL), saved, overwrite=True)
    assert len(load_s1k(path=saved)) == 1 and [path.name for path in saved.parent.iterdir()] == ["out"]


def test_what_is_no_curation_is_never_replaced(tmp_path):
    (tmp_path / "thesis.tex").write_text("years of work")
    with pytest.raises(ValueError, match="has to be a new folder.*does not hold an earlier curation"):
        save(curate(pool({}), FULL), tmp_path, overwrite=True)
    assert (tmp_path / "thesis.tex").exists()


def test_an_empty_folder_is_taken(tmp_path):
    assert len(load_s1k(path=save(curate(pool({}), FULL), tmp_path))) == 1


def test_a_link_goes_on_to_point_at_the_data_set(saved, tmp_path):
    (tmp_path / "link").symlink_to(saved)
    save(curate(pool({}), FULL), tmp_path / "link", overwrite=True)
    assert (tmp_path / "link").is_symlink() and len(load_s1k(path=saved)) == 1
    assert {entry.name for entry in tmp_path.iterdir()} == {"link", "out"}
