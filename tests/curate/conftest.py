"""A curated data set on disk."""

from pathlib import Path

import pytest


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    """The folder of a curation of 20 rows out of 100."""
    from curation_pools import random_pool

    from s1_hf.curate import Diversity, Recipe, curate, save

    return save(curate(random_pool(100), Recipe(diversity=Diversity(n=20))), tmp_path / "out")
