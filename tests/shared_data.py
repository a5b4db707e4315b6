"""Real tokenizers, chat templates, problems and rows: they lie beside the repository, in ../shared/data, not in it."""

import functools
import json
from pathlib import Path
from typing import Any

import pytest
from transformers import AutoTokenizer

SHARED = Path(__file__).parents[2] / "shared" / "data"
REAL_ROWS = SHARED / "s1k" / "s1k_first5_rows_with_gemini_traces.parquet"
needs_shared = pytest.mark.skipif(not SHARED.is_dir(), reason=f"the real data is not at {SHARED}")


@functools.cache
def _qwen(name: str) -> Any:
    return AutoTokenizer.from_pretrained(SHARED / "tokenizers" / name)


def qwen(name: str, template: str | None = None) -> Any:
    """A real tokenizer, the same object each time; `template` is a file's path below `SHARED` or an absolute one."""
    tokenizer = _qwen(name)
    path = SHARED / (template or f"tokenizers/{name}/tokenizer_config.json")
    tokenizer.chat_template = path.read_text() if template else json.loads(path.read_text())["chat_template"]
    return tokenizer


def trl_template(name: str) -> str:
    trl = pytest.importorskip("trl", reason="TRL ships the chat templates")
    return str(Path(trl.__file__).with_name("chat_templates") / f"{name}.jinja")
