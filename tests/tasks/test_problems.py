"""Problems of tasks, which need no lighteval."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from s1_hf import embedded
from s1_hf.tasks.problems import problems_of


def test_problems_of_the_embedded_task_are_those_that_the_task_asks():
    lines = (embedded.MODEL_PATH.parents[1] / "tasks" / "embedded").glob("*.jsonl")
    rows = [json.loads(line) for file in lines for line in file.read_text().splitlines()]
    drawn = problems_of("s1:embedded")
    assert len(drawn) == len(rows) == 2530
    asked = [embedded.Problem(*(int(row[name]) for name in "apbq")) for row in rows]
    assert [(p.prompt, p.gold) for p in drawn] == [(p.question, str(p.answer)) for p in asked]


def test_problems_of_a_local_data_set(tmp_path):
    pytest.importorskip("datasets")
    (tmp_path / "aime24_nofigures").mkdir()
    lines = [json.dumps({"problem": f"What is {i}?", "answer": f"0{i}"}) for i in range(3)]
    (tmp_path / "aime24_nofigures" / "any.jsonl").write_text("\n".join(lines) + "\n")
    first, second = problems_of("s1:aime24", tmp_path, max_samples=2)
    assert (first.id, first.prompt, first.gold, first.task, first.kind) == (
        "0",
        "What is 0?",
        "00",
        "s1:aime24",
        "math",
    )
    assert second.prompt == "What is 1?"


def test_unknown_tasks_and_bad_numbers_are_refused():
    with pytest.raises(ValueError, match="no task .aime24.. Did you mean s1:aime24 or"):
        problems_of("aime24")
    with pytest.raises(ValueError, match="`max_samples` has to be an integer of at least 1, but is 0"):
        problems_of("s1:embedded", max_samples=0)


@pytest.mark.parametrize("task", ["s1:embedded", "s1:math500"])
def test_neither_lighteval_nor_inspect_ai_is_imported_for_the_problems_of_a_task(tmp_path, task):
    (tmp_path / "openaimath").mkdir()
    line = json.dumps({"problem": "What is 1?", "answer": "1"})
    (tmp_path / "openaimath" / "any.jsonl").write_text(line + "\n")
    code = "import sys; sys.modules['lighteval'] = sys.modules['inspect_ai'] = None\n"
    code += "import s1_hf.tasks; from s1_hf.tasks.problems import problems_of\n"
    code += f"print(len(problems_of({task!r}, {str(tmp_path)!r}, max_samples=1)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout == "1\n", done.stderr
