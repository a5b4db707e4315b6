"""Every Python block of README runs, in order, as one program; without an extra, all blocks but those that need it."""

import re
from importlib.util import find_spec
from pathlib import Path

README = Path(__file__).parents[1] / "README.md"
NEEDS = {"load_s1k": "datasets", "run_methods": "math_verify"}


def test_python_blocks_of_readme_run(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    blocks = re.findall(r"```python\n(.*?)```", README.read_text(encoding="utf-8"), flags=re.DOTALL)
    assert len(blocks) >= 4
    names: dict = {}
    for block in blocks:
        if any(name in block and find_spec(library) is None for name, library in NEEDS.items()):
            continue
        exec(compile(block, str(README), "exec"), names)
    assert names["processor"].reports()[0].ends_ignored == 2
    assert names["first"].report.ended == "cut"
    assert len(names["reports"]) == 4
    assert len(names["result"].settings) == 12
    if "answers" in names:
        assert {row.method for row in names["answers"]} == {"budget forcing", "majority voting"}
    assert "Report(" in capsys.readouterr().out
