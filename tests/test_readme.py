"""Every Python block of README runs, in order, as one program; without an extra, all blocks but those that need it."""

import json
import re
import shutil
import warnings
from importlib.util import find_spec
from pathlib import Path

from s1_hf import embedded

README = Path(__file__).parents[1] / "README.md"
NEEDS = {"load_s1k": "datasets", "run_methods": "math_verify"}
IN_VLLM = "s1_hf.vllm"  # such a block is run by tests/vllm/test_docs.py


def test_the_first_snippet_is_exact_on_a_model_that_samples_by_itself(tmp_path, monkeypatch):
    """Qwen3 and s1.1 ship `do_sample: true`: the report comes, the budgets hold, and nothing is warned about."""
    folder = shutil.copytree(embedded.MODEL_PATH, tmp_path / "model")
    own = {"do_sample": True, "temperature": 0.6, "top_k": 20, "top_p": 0.95}
    (folder / "generation_config.json").write_text(json.dumps(own))
    monkeypatch.setattr(embedded, "MODEL_PATH", folder)
    block = re.search(r"```python\n(.*?)```", README.read_text(encoding="utf-8"), flags=re.DOTALL)
    names: dict = {}
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        exec(compile(block.group(1), str(README), "exec"), names)
    assert names["processor"].rule == "sample"
    (report,) = names["processor"].reports(names["outputs"])
    assert report.ends_ignored == 2 and 0 < report.thinking_tokens <= 200 and report.answer_tokens > 0


def test_python_blocks_of_readme_run(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    blocks = re.findall(r"```python\n(.*?)```", README.read_text(encoding="utf-8"), flags=re.DOTALL)
    assert len(blocks) >= 4
    names: dict = {}
    for block in blocks:
        if IN_VLLM in block or any(name in block and find_spec(library) is None for name, library in NEEDS.items()):
            continue
        exec(compile(block, str(README), "exec"), names)
    assert names["processor"].reports()[0].ends_ignored == 2
    assert names["first"].report.ended == "cut"
    assert len(names["reports"]) == 4
    assert len(names["result"].settings) == 12
    if "answers" in names:
        assert {row.method for row in names["answers"]} == {"budget forcing", "majority voting"}
    assert "Report(" in capsys.readouterr().out
