"""Figures as files: names, formats, and the same bytes every time."""

import pytest

pytest.importorskip("matplotlib")

from s1_hf.plots import ended
from s1_hf.plots.files import as_files, save


def a_figure():
    return ended({"cap 500": {"cut": 3, "natural": 1}}).figure


def test_a_figure_is_saved_once_per_format(tmp_path):
    assert save(as_files(a_figure()), tmp_path, "ended") == [tmp_path / "ended.png", tmp_path / "ended.svg"]
    assert (tmp_path / "ended.png").read_bytes().startswith(b"\x89PNG")
    assert b"<svg" in (tmp_path / "ended.svg").read_bytes()


@pytest.mark.parametrize("form", ["png", "svg"])
def test_the_same_numbers_give_the_same_bytes(form):
    assert as_files(a_figure(), [form]) == as_files(a_figure(), [form])


def test_text_in_an_svg_is_outlines():
    assert b"<text" not in as_files(a_figure())["svg"]
