"""A pack is a data set with all that it takes to replay it, whole or none."""

import json

import pytest

from s1_hf.packs import pack
from s1_hf.results.rows import load_rows, save_rows, write_about


def test_a_pack_opens_in_datasets_and_as_rows(packed, run, tmp_path):
    datasets = pytest.importorskip("datasets")
    table = datasets.load_dataset(str(packed), split="rows", cache_dir=str(tmp_path / "cache"))
    assert load_rows(packed) == load_rows(run) and len(table) == len(load_rows(run))
    assert table["num_ignores"] == [row.num_ignores for row in load_rows(run)]


def test_a_pack_says_what_its_rows_are_of(packed):
    facts = json.loads((packed / "pack.json").read_text())
    (about,) = facts["runs"].values()
    assert about["bench"]["seed"] == about["seed"] == 5 and about["engine"]["weights"] and "torch" in about["versions"]
    budgets = {one["setting"]: one["budget"] for one in facts["settings"]}
    assert budgets["cap 24"]["max_thinking_tokens"] == 24 and budgets["32 tokens"]["max_thinking_tokens"] is None
    assert {one["setting"]: one["promises"] for one in facts["settings"]}["32 tokens"] == [None, 32]
    assert facts["tables"].keys() == {"settings", "methods", "differences"} and "report.html" in facts["figures"]


def test_the_card_has_the_tables_and_the_head(packed):
    card, facts = (packed / "README.md").read_text(), json.loads((packed / "pack.json").read_text())
    assert (
        f"\n    {facts['head']}\n" in card
        and "| budget forcing | cap 24 |" in card
        and "path: data/rows.parquet" in card
    )


def test_packing_again_gives_the_same_bytes_and_replaces_what_was_there(run, packed):
    before = {path: path.read_bytes() for path in packed.rglob("*") if path.is_file()}
    (packed / "pack.json").unlink()  # as after a kill
    (packed / "data" / "rows.parquet").write_bytes(b"torn")
    pack(run, packed)
    assert {path: path.read_bytes() for path in packed.rglob("*") if path.is_file()} == before


def test_while_it_is_written_a_folder_is_no_pack(run, packed, monkeypatch):
    def fail(*_, **options):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("s1_hf.packs.packing.write_report", fail)
    with pytest.raises(OSError, match="No space left"):
        pack(run, packed)
    assert not (packed / "pack.json").exists()


def test_rows_that_do_not_belong_together_are_refused_before_anything_is_written(run, tmp_path):
    save_rows(load_rows(run)[1:], tmp_path / "in" / "rows.jsonl")
    with pytest.raises(ValueError, match="from 1 to 2 samples"):
        pack(tmp_path / "in", tmp_path / "pack")
    assert not (tmp_path / "pack").exists()


def test_rows_of_older_versions_without_transcripts_and_about_are_packed(tmp_path):
    from result_rows import a_row

    rows = [a_row(problem=p, answer="\ud800 <b> | \u202e", max_thinking_tokens=8) for p in "12"]
    save_rows(rows, tmp_path / "rows.jsonl")
    packed = pack(tmp_path / "rows.jsonl", tmp_path / "pack")
    assert load_rows(packed.folder)[0].answer == "\\ud800 <b> | \u202e"
    facts = json.loads((packed.folder / "pack.json").read_text())
    assert facts["runs"] == {} and facts["settings"][0]["budget"] is None


def test_hostile_names_stand_in_the_card_as_text(tmp_path):
    from result_rows import a_row

    name = "a|b\n# title <img src=x> \x1b[31m [x](http://pwned)"
    save_rows([a_row(problem=p, setting=name, task=name) for p in "12"], tmp_path / "in" / "rows.jsonl")
    write_about(tmp_path / "in", model=name)
    card = (pack(tmp_path / "in", tmp_path / "pack").folder / "README.md").read_text()
    assert "<img" not in card and "\x1b" not in card and "\n# title" not in card and "[x](http" not in card


def test_a_pack_lies_apart_from_the_results_and_from_what_is_not_a_pack(run, tmp_path):
    with pytest.raises(ValueError, match="has to lie outside of the results"):
        pack(run, run / "pack")
    with pytest.raises(ValueError, match="holds the results"):
        pack(run / "rows.jsonl", run)
    (tmp_path / "README.md").write_text("mine")
    with pytest.raises(ValueError, match=r"README.md that is not of a pack"):
        pack(run, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["README.md"]
