"""What a pack says comes out again, or what does not is said."""

import json
import shutil
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from s1_hf.packs import replay
from s1_hf.packs.replaying import drawn, read_pack
from s1_hf.results.rows import load_rows, save_rows


@pytest.fixture
def drawn_as_packed(packed_once, monkeypatch):
    """Without drawing, which takes seconds."""

    def copied(rows, folder, **options):
        figures = json.loads((packed_once / "pack.json").read_text())["figures"]
        files = [Path(shutil.copy(packed_once / name, folder)) for name in figures]
        return SimpleNamespace(page=files[0], figures=files[1:])

    monkeypatch.setattr("s1_hf.packs.replaying.write_report", copied)


def change(folder, **changes):
    facts = json.loads((folder / "pack.json").read_text())
    (folder / "pack.json").write_text(json.dumps(facts | changes))


def test_a_pack_agrees_with_itself_byte_for_byte_and_token_for_token(packed, tmp_path):
    found = replay(packed, tmp_path / "out", rows=len(load_rows(packed)), batch_size=16)
    assert found.agrees and found.changed == found.tables == found.other_figures == []
    assert (tmp_path / "out" / "scaling.svg").read_bytes() == (packed / "scaling.svg").read_bytes()
    assert {"scaling.png", "scaling.svg", "report.html"} <= set(found.same_figures)
    asked = {rerun.method: rerun.agrees for rerun in found.reruns}
    assert asked["budget forcing"] and asked["majority voting"] and asked["rejection sampling"]
    assert asked["token-conditional control"] is None  # its prompt says more than the question


def test_changed_rows_are_named_and_so_are_the_numbers_that_change_with_them(packed, tmp_path, drawn_as_packed):
    rows = load_rows(packed)
    save_rows([replace(rows[0], correct=not rows[0].correct), *rows[1:]], packed / "data" / "rows.parquet")
    found = replay(packed, tmp_path, rows=0)
    assert not found.agrees and found.changed[0].startswith("A row was changed: s1:embedded, budget forcing, cap 24")
    assert any(line.startswith("settings 1 accuracy:") for line in found.tables)


def test_a_dropped_sample_is_named_though_there_are_no_tables_without_it(packed, tmp_path, drawn_as_packed):
    save_rows(load_rows(packed)[1:], packed / "data" / "rows.parquet")
    found = replay(packed, tmp_path, rows=0)
    assert not found.agrees and found.changed[0].startswith("A row was dropped: s1:embedded, budget forcing, cap 24")
    assert "from 1 to 2 samples" in found.tables[0] and "scaling.svg" in found.other_figures


def test_another_head_than_the_published_one_is_said(packed, tmp_path, drawn_as_packed):
    found = replay(packed, tmp_path, rows=0, head="0" * 64)
    assert not found.agrees and "and not the one that was given" in found.changed[0]


def test_figures_of_another_version_may_differ_and_of_the_same_may_not(packed, tmp_path, drawn_as_packed):
    facts = json.loads((packed / "pack.json").read_text())
    change(packed, figures=facts["figures"] | {"scaling.svg": "0"})
    found = replay(packed, tmp_path, rows=0)
    assert found.other_figures == ["scaling.svg"] and not found.draws_otherwise
    change(packed, versions=facts["versions"] | {"matplotlib": "3.0"})
    found = replay(packed, tmp_path, rows=0)
    assert found.draws_otherwise and found.versions["matplotlib"][0] == "3.0"


def test_the_rows_to_ask_for_again_follow_from_the_seed(packed):
    rows = load_rows(packed)
    assert drawn(rows, 3, 1) == drawn(rows, 3, 1) != drawn(rows, 3, 2)
    assert drawn([replace(row, request=None) for row in rows], 3, 1) == []
    assert len(drawn(rows, 10**6, 1)) == len([row for row in rows if row.request])


def test_a_replay_is_not_written_into_the_pack(packed):
    with pytest.raises(ValueError, match="outside of the pack"):
        replay(packed, packed / "replay")


@pytest.mark.parametrize(
    ("file", "content", "said"),
    [
        ("pack.json", None, "is no pack: it has no pack.json.* If that was interrupted"),
        ("pack.json", "{", "pack.json is not JSON"),
        ("pack.json", "{}", "pack.json lacks `format`"),
        ("chain.jsonl", '{"row": 1}\n', "Line 1 of .*chain.jsonl"),
        ("chain.jsonl", None, "chain.jsonl"),
        ("data/rows.parquet", "PAR1", "rows.parquet cannot be read"),
        ("data/rows.parquet", None, "rows.parquet does not exist"),
    ],
)
def test_a_pack_that_is_broken_is_named(packed, file, content, said):
    (packed / file).unlink()
    if content is not None:
        (packed / file).write_text(content)
    with pytest.raises((ValueError, OSError), match=said):
        read_pack(packed)


def test_a_pack_of_a_later_format_asks_for_an_update(packed):
    change(packed, format=2)
    with pytest.raises(ValueError, match="is of format 2, but 1 is read here"):
        read_pack(packed)
