"""The Python blocks of the page about vLLM run."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

pytest.importorskip("vllm.sampling_params", reason="vLLM is not installed: make test-vllm")

from vllm.distributed import cleanup_dist_env_and_memory

from s1_hf import embedded

ROOT = Path(__file__).parents[2]


def test_blocks_run(capsys):
    question = embedded.Problem(2, 7, 3, 8).question
    names: dict = {"embedded": embedded, "chat": [{"role": "user", "content": question}]}
    page = "docs/vllm.md"
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / page).read_text(encoding="utf-8"), flags=re.DOTALL)
    assert blocks
    for block in blocks:
        exec(compile(block, page, "exec"), names)
    names["llm"].llm_engine.engine_core.shutdown()
    cleanup_dist_env_and_memory()
    assert "Report(" in capsys.readouterr().out
