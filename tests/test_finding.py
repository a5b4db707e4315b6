"""Configs of models by their names."""

import json
import shutil

import pytest

from s1_hf import embedded
from s1_hf.engines.checkpoint import Checkpoint
from s1_hf.finding import config_of_model
from s1_hf.memory import read_config


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"hidden_size": "big"}, "'hidden_size' expected int"),
        ({"intermediate_size": float("nan")}, "'intermediate_size' expected int"),
        ({"num_hidden_layers": -1}, "`num_hidden_layers` .-1. must be equal"),
    ],
)
@pytest.mark.parametrize("read", [config_of_model, read_config, Checkpoint.find])
def test_a_config_that_transformers_refuses_is_bad_input(tmp_path, change, message, read):
    folder = shutil.copytree(embedded.MODEL_PATH, tmp_path / "model")
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | change))
    with pytest.raises(ValueError, match=f"config.json of .* cannot be used: .*{message}"):
        read(str(folder))
