"""The example script, on a server."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

from servers import KEY


def check_example(server: str, monkeypatch: Any, capsys: Any) -> None:
    """Run it, and look at what it prints."""
    monkeypatch.syspath_prepend(str(Path(__file__).parents[2] / "examples"))
    monkeypatch.setenv("S1_HF_API_KEY", KEY)
    importlib.import_module("serving").main(server)
    said = capsys.readouterr().out
    for part in (
        "{'max_thinking_tokens': 16} -> Final Answer: 3 | 16 tokens of thinking, cut, 0 ends ignored",
        "{'num_ignores': 0} -> Answer: 27 | 64 tokens of thinking, natural, 0 ends ignored",
        "{'num_ignores': 2} -> Answer: 51 | 1",
        "\n| 30 tokens of thinking, cut",
        "none -> 0 tokens",
        "low -> 38 tokens",
        "refused: ",
    ):
        assert part in said, (part, said)
