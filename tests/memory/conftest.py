"""The shape of the paper's model."""

import pytest


@pytest.fixture(scope="session")
def qwen_32b():
    """Qwen2.5-32B-Instruct, from the shipped config."""
    from fine_tunes import NAME_32B

    from s1_hf import memory
    from s1_hf.memory import shape

    return memory.decoder_shape(shape.config_of_model(shape.CONFIGS / NAME_32B))
