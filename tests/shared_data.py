"""Real tokenizers, chat templates, problems and rows: they lie beside the repository, in ../shared/data, not in it."""

from pathlib import Path

import pytest

SHARED = Path(__file__).parents[2] / "shared" / "data"
REAL_ROWS = SHARED / "s1k" / "s1k_first5_rows_with_gemini_traces.parquet"
needs_shared = pytest.mark.skipif(not SHARED.is_dir(), reason=f"the real data is not at {SHARED}")
