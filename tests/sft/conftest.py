"""A finished run."""

from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def unbroken(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run of six steps, made in this process."""
    from training_runs import arguments

    from s1_hf.sft.checking import check
    from s1_hf.sft.recipe import read_recipe
    from s1_hf.sft.run import train

    folder = tmp_path_factory.mktemp("unbroken") / "run"
    recipe, *overrides = arguments(folder)
    train(check(read_recipe(recipe, overrides)))
    return folder
