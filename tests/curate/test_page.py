"""The HTML page loads nothing and runs nothing, whatever the pool contains."""

import re

import pytest

pytest.importorskip("datasets")

from curation_pools import HOSTILE_RECIPE, hostile_pool

from s1_hf.curate import (
    curate,
    save,
)


def test_a_hostile_pool_does_nothing_to_the_page(tmp_path):
    page = (save(curate(hostile_pool(), HOSTILE_RECIPE), tmp_path / "out") / "report.html").read_text()
    assert "alert(1)" in page and "{{7*7}}" in page
    assert not re.search(r"<script|<img|<a |javascript:[^b]|\son\w+=", page)


def test_the_page_loads_nothing(saved):
    page = (saved / "report.html").read_text()
    assert "default-src 'none'" in page and not re.search(r"src=|href=|url\(|@import|https?:", page)
