"""What the middleware of `transformers serve` keeps; the rest: `test_transformers_server.py`."""

from __future__ import annotations

import torch

from s1_hf.forcing.report import Report
from s1_hf.generation.exported import Told
from s1_hf.serving import transformers_app
from s1_hf.serving.transformers_app import Served, TransformersMiddleware


def told(length: int) -> Told:
    report = Report(thinking_tokens=1, ended="cut", ends_ignored=0, forced=(False,) * length, answer_tokens=1)
    return Told(report, list(range(length)), torch.zeros(length, 7))


def test_reports_that_nobody_fetches_are_forgotten_the_oldest_first(monkeypatch):
    monkeypatch.setattr(transformers_app, "MOST_TOKENS", 100)
    app = TransformersMiddleware(None, Served("m", None, None, None))
    wanted = lambda key: app._reports({"reports": [{"key": key, "token_ids": list(range(40))}]})["reports"][0]  # noqa: E731
    for key in ("a", "b", "b", "c"):
        app.keep(key, told(40))
    assert "error" in wanted("a")
    assert wanted("b")["tokens"] == 40 == wanted("c")["tokens"]
    assert "error" in wanted("b") and app._tokens == 0
