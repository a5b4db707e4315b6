"""The endpoint as a fixture. Nothing is downloaded."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

pytest.importorskip("datasets")
pytest.importorskip("openai")

from endpoints import FakeEndpoint


@pytest.fixture
def server(monkeypatch) -> Iterator[FakeEndpoint]:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    with FakeEndpoint() as endpoint:
        thread = threading.Thread(target=endpoint.serve_forever, args=(0.02,), daemon=True)
        thread.start()
        yield endpoint
        endpoint.shutdown()
