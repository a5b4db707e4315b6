from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

pytest.importorskip("huggingface_hub")
pytest.importorskip("yaml")
pytest.importorskip("pyarrow")

from result_rows import a_row

from hub_stand_in import TOKEN, StandIn
from s1_hf import embedded
from s1_hf.results.rows import save_rows, write_about


@pytest.fixture
def hub(monkeypatch):
    """A Hub on this machine, which huggingface_hub asks in the place of the real one, by git-lfs and not by Xet."""
    with StandIn() as stand_in:
        monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", stand_in.url)
        template = stand_in.url + "/{repo_id}/resolve/{revision}/{filename}"
        monkeypatch.setattr("huggingface_hub.constants.HUGGINGFACE_CO_URL_TEMPLATE", template)
        monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
        monkeypatch.setattr("huggingface_hub.constants.HF_HUB_DISABLE_XET", True)
        monkeypatch.setattr("huggingface_hub.utils._http.time.sleep", lambda seconds: None)
        monkeypatch.setenv("HF_TOKEN", TOKEN)
        monkeypatch.setenv("NO_PROXY", "127.0.0.1")
        yield stand_in


@pytest.fixture
def results(tmp_path) -> Path:
    """Of a run: rows, what they are of, a ledger, locks, entries for the Hub."""
    folder = tmp_path / "results"
    rows = []
    for cap in (8, 16):
        budget = {"setting": f"cap {cap}", "thinking_tokens": cap, "max_thinking_tokens": cap, "num_ignores": 0}
        rows += [a_row(problem=str(i), correct=i < cap // 8, promised_max_tokens=cap, **budget) for i in range(4)]
    save_rows(rows, folder / "rows.parquet")
    write_about(folder, model="embedded", tasks="t", seed=0)
    (folder / "results.json").write_text("{}")
    for name in ("_lock", "_lock.guard", "tracked.json", ".env", "model.ckpt", "finished.jsonl"):
        (folder / name).write_text("")
    (folder / "generations" / "m").mkdir(parents=True)
    (folder / "generations" / "m" / "finished.jsonl").write_text("")
    (folder / ".eval_results").mkdir()
    (folder / ".eval_results" / "s1_math500.yaml").write_text("- value: 1\n")
    return folder


@pytest.fixture
def trained(tmp_path) -> Path:
    """A model as `s1-hf sft` leaves it."""
    folder = tmp_path / "trained"
    shutil.copytree(embedded.MODEL_PATH, folder)
    (folder / "s1_run.json").write_text(json.dumps({"settings": {}, "data": {}, "finished": True}))
    (folder / "trainer_state.json").write_text("{}")
    (folder / "checkpoint-4").mkdir()
    (folder / "checkpoint-4" / "optimizer.pt").write_bytes(b"")
    return folder
