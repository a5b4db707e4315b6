"""Files written whole, and never through a link."""

import os
import re

import numpy as np
import pytest

from s1_hf.files import inside, open_to_append, part_of, refuse_links, remove, replacing, write_text

links = pytest.mark.skipif(os.name == "nt", reason="links need a right of their own on Windows")


def test_what_breaks_off_leaves_the_old_file_and_nothing_beside_it(tmp_path):
    file = tmp_path / "a"
    file.write_text("old")
    with pytest.raises(KeyboardInterrupt), replacing(file) as part:
        part.write_text("new")
        raise KeyboardInterrupt
    assert file.read_text() == "old"
    assert os.listdir(tmp_path) == ["a"]


def test_leftovers_of_a_killed_process_are_replaced(tmp_path):
    part_of(tmp_path / "a").write_text("half")
    write_text(tmp_path / "a", "whole")
    assert os.listdir(tmp_path) == ["a"]
    assert (tmp_path / "a").read_text() == "whole"


@links
@pytest.mark.parametrize("name", ["a", "_a.part"])
def test_a_link_is_replaced_and_its_target_stays(tmp_path, name):
    victim = tmp_path / "victim"
    victim.write_text("precious")
    (tmp_path / name).symlink_to(victim)
    write_text(tmp_path / "a", "whole")
    assert victim.read_text() == "precious"
    assert not (tmp_path / "a").is_symlink()
    assert (tmp_path / "a").read_text() == "whole"


@links
def test_nothing_is_appended_through_a_link(tmp_path):
    victim = tmp_path / "victim"
    victim.write_text("precious")
    (tmp_path / "a").symlink_to(victim)
    with pytest.raises(ValueError, match="is a link"):
        open_to_append(tmp_path / "a")
    with open_to_append(tmp_path / "b") as file:
        file.write(b"one")
    with open_to_append(tmp_path / "b") as file:
        file.write(b"two")
    assert (tmp_path / "b").read_bytes() == b"onetwo"


@links
def test_links_below_the_named_folder_are_refused_and_the_folder_itself_may_be_one(tmp_path):
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "named").symlink_to(tmp_path / "elsewhere")
    assert inside(tmp_path / "named", "data", "x").parent.is_dir()
    refuse_links(tmp_path / "named")
    (tmp_path / "elsewhere" / "out").symlink_to(tmp_path)
    with pytest.raises(ValueError, match="out is a link"):
        inside(tmp_path / "named", "out", "x")
    with pytest.raises(ValueError, match="out is a link"):
        refuse_links(tmp_path / "named")


@pytest.mark.parametrize("name", ["../x", "a/../../x", os.path.abspath("x")])
def test_a_path_that_leaves_its_folder_is_refused(tmp_path, name):
    with pytest.raises(ValueError, match="leads out of it"):
        inside(tmp_path / "in", name)
    assert os.listdir(tmp_path) == []


def test_files_and_folders_are_removed_and_what_is_not_there_may_be(tmp_path):
    (tmp_path / "a" / "b").mkdir(parents=True)
    (tmp_path / "c").touch()
    for name in ("a", "c", "d"):
        remove(tmp_path / name)
    assert os.listdir(tmp_path) == []


@links
def test_a_link_is_removed_and_what_it_points_to_stays(tmp_path):
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "a").touch()
    (tmp_path / "folder").mkdir()
    for link in (tmp_path / "link", tmp_path / "folder" / "link"):
        link.symlink_to(tmp_path / "elsewhere")
    remove(tmp_path / "link")
    remove(tmp_path / "folder")
    assert os.listdir(tmp_path) == ["elsewhere"]
    assert os.listdir(tmp_path / "elsewhere") == ["a"]


# -- where nothing can be written -----------------------------------------------------------------------------------


def _table(path):
    arrow, parquet = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    with replacing(path) as part:
        parquet.write_table(arrow.table({"a": np.random.default_rng(0).random(100_000)}), part)


def _data_set(path):
    datasets = pytest.importorskip("datasets")
    rows = datasets.Dataset.from_dict({"a": np.random.default_rng(0).random(100_000)})
    with replacing(path) as part:
        rows.to_parquet(str(part))


@pytest.mark.parametrize("write", [lambda path: write_text(path, "x" * 100_000), _table, _data_set])
def test_a_full_disk_is_an_error_that_names_the_file_and_leaves_the_old_one(tmp_path, write):
    resource = pytest.importorskip("resource")
    file = tmp_path / "a"
    file.write_text("old")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, hard))  # a file cannot grow beyond it, as on a full disk
    try:
        with pytest.raises(OSError, match=f"too large.*{re.escape(str(file))}'$"):
            write(file)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert file.read_text() == "old"
    assert os.listdir(tmp_path) == ["a"]


def test_a_folder_that_cannot_be_written_to_is_an_error_that_names_the_file(tmp_path):
    (tmp_path / "folder").touch()  # permissions mean nothing to root
    with pytest.raises(OSError, match=re.escape(str(tmp_path / "folder" / "a"))):
        write_text(tmp_path / "folder" / "a", "new")


def test_errors_that_are_about_another_file_stay_as_they_are(tmp_path):
    with pytest.raises(FileNotFoundError, match="missing"), replacing(tmp_path / "a"):
        (tmp_path / "missing").read_text()


def test_what_stands_where_a_part_is_to_be_written_is_named(tmp_path):
    part = part_of(tmp_path / "a")
    part.mkdir()
    with pytest.raises(OSError) as error:
        write_text(tmp_path / "a", "new")
    assert str(part) in str(error.value)
