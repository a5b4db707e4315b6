"""One real server for all tests of this folder."""

from __future__ import annotations

import pytest
from servers import KEY, client_of, running


@pytest.fixture(scope="session")
def server(tmp_path_factory):
    """Its address; requests that do not say have one ignored end."""
    pytest.importorskip("typer")
    pytest.importorskip("openai")
    pytest.importorskip("transformers.cli.serving.server")
    from s1_hf.serving.start import check_transformers

    try:
        check_transformers()
    except ModuleNotFoundError as error:
        pytest.skip(str(error))
    place = tmp_path_factory.mktemp("server")
    arguments = ["s1_hf", "serve", "embedded", "--device", "cpu", "--dtype", "float32", "--num-ignores", "1"]
    with running(arguments, place, S1_HF_API_KEY=KEY) as url:
        yield url


@pytest.fixture
def client(server):
    with client_of(server) as one:
        yield one
