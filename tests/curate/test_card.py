"""The dataset card: its header, its contents, and text from the pool escaped."""

import pytest

pytest.importorskip("datasets")

import yaml
from curation_pools import FULL, HOSTILE_RECIPE, hostile_pool, pool

from s1_hf.curate import (
    curate,
    save,
)


def test_the_card_has_front_matter_the_funnel_and_the_columns(saved):
    _, front, text = (saved / "README.md").read_text().split("---\n", 2)
    assert yaml.safe_load(front)["configs"][0]["data_files"] == [{"split": "train", "path": "data/train-*"}]
    assert yaml.safe_load(front)["license"] == "unknown"
    assert "| input | 100 |" in text and "| diversity | 20 |" in text and "`pool_row`" in text and "Seed 0" in text


def test_a_licence_shared_by_all_rows_is_the_cards(tmp_path):
    folder = save(curate(pool({"license": "mit"}), FULL), tmp_path / "out")
    assert yaml.safe_load((folder / "README.md").read_text().split("---\n")[1])["license"] == "mit"


def test_a_hostile_pool_does_nothing_to_the_card(tmp_path):
    card = (save(curate(hostile_pool(), HOSTILE_RECIPE), tmp_path / "out") / "README.md").read_text()
    assert "<script" not in card.split("---\n", 2)[2]
