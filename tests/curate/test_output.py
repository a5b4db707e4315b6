"""The folder is complete or absent, and can be loaded and trained on like s1K."""

import pytest

pytest.importorskip("datasets")

from curation_pools import FULL, pool, random_pool
from datasets import load_dataset

from s1_hf import ThinkingFormat, embedded, load_s1k
from s1_hf.curate import (
    curate,
    output,
    read_recipe,
    save,
)
from s1_hf.data.conversation import check_rows
from s1_hf.sft.data import training_rows


def test_the_folder_is_loaded_as_s1k(saved):
    rows = load_s1k(path=saved)
    assert len(rows) == 20
    check_rows(rows)


def test_the_folder_can_be_trained_on(saved):
    tokenizer = embedded.load()[1]
    rows = training_rows(load_s1k(path=saved), tokenizer, ThinkingFormat.from_tokenizer(tokenizer, "s1"))
    assert len(rows) == 20 and all(any(label != -100 for label in row["labels"]) for row in rows)


def test_the_folder_is_loaded_by_datasets_as_its_card_says(saved, tmp_path):
    rows = load_dataset(str(saved), split="train", cache_dir=str(tmp_path / "cache"))
    assert len(rows) == 20 and {"question", "domain", "pool_row"} <= set(rows.column_names)


def test_the_written_recipe_makes_the_same_again(saved):
    again = curate(random_pool(100), read_recipe(saved / "recipe.yaml"))
    assert again.dataset["question"][:] == load_s1k(path=saved)["question"][:]


def test_every_dropped_row_is_in_the_file_of_drops(saved, tmp_path):
    dropped = load_dataset("parquet", data_files=str(saved / "dropped.parquet"), cache_dir=str(tmp_path))["train"]
    assert dropped.column_names == ["row", "stage", "rule", "detail", "of"] and len(dropped) == 80


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


def test_an_earlier_curation_is_replaced_only_if_requested(saved):
    with pytest.raises(ValueError, match="already holds a curation.*--overwrite"):
        save(curate(pool({}), FULL), saved)
    save(curate(pool({}), FULL), saved, overwrite=True)
    assert len(load_s1k(path=saved)) == 1 and [path.name for path in saved.parent.iterdir()] == ["out"]


def test_a_folder_without_a_curation_is_never_replaced(tmp_path):
    (tmp_path / "thesis.tex").write_text("years of work")
    with pytest.raises(ValueError, match="has to be a new folder.*does not hold an earlier curation"):
        save(curate(pool({}), FULL), tmp_path, overwrite=True)
    assert (tmp_path / "thesis.tex").exists()


def test_an_empty_folder_is_taken(tmp_path):
    assert len(load_s1k(path=save(curate(pool({}), FULL), tmp_path))) == 1


def test_a_link_still_points_to_the_data_set(saved, tmp_path):
    (tmp_path / "link").symlink_to(saved)
    save(curate(pool({}), FULL), tmp_path / "link", overwrite=True)
    assert (tmp_path / "link").is_symlink() and len(load_s1k(path=saved)) == 1
    assert {entry.name for entry in tmp_path.iterdir()} == {"link", "out"}
