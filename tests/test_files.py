"""Files written whole, and never through a link."""

import os

import pytest

from s1_hf.files import inside, open_to_append, part_of, refuse_links, replacing, write_text

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


def test_a_path_that_leaves_its_folder_is_refused(tmp_path):
    with pytest.raises(ValueError, match="leads out of it"):
        inside(tmp_path, "..", "x")
