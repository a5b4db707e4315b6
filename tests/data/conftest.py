"""`load_s1k` with its own cache."""

import pytest


@pytest.fixture
def load(tmp_path):
    """`load_s1k` with its cache in the test's folder."""
    from s1_hf.data.s1k import load_s1k

    return lambda *args, **options: load_s1k(*args, cache_dir=tmp_path / "cache", **options)
