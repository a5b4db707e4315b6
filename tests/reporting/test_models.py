"""A CSV file of trained models, read and drawn."""

import pytest

pytest.importorskip("matplotlib")

from s1_hf.plots import TrainedModel
from s1_hf.reporting.models import draw_models, load_models


def test_models_have_an_interval_where_the_table_has_one(tmp_path):
    table = tmp_path / "models.csv"
    table.write_text("name,examples,accuracy,low,high\ns1,1000,93,90.4,94.9\nLIMO,817,94.8,,\n")
    assert load_models(table) == [TrainedModel("s1", 1000, 93, 90.4, 94.9), TrainedModel("LIMO", 817, 94.8)]


def test_a_table_may_begin_with_a_byte_order_mark(tmp_path):
    (tmp_path / "models.csv").write_bytes(b"\xef\xbb\xbfname,examples,accuracy\ns1,1000,93\n")
    assert load_models(tmp_path / "models.csv") == [TrainedModel("s1", 1000, 93)]


def test_the_figure_is_written_to_a_new_folder(tmp_path):
    (tmp_path / "models.csv").write_text("name,examples,accuracy\ns1,1000,93\n")
    paths = draw_models(tmp_path / "models.csv", tmp_path / "a" / "b", ["svg"])
    assert paths == [tmp_path / "a" / "b" / "sample_efficiency.svg"] and paths[0].is_file()
