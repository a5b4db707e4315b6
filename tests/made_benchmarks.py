"""Made-up rows in the formats of the shipped tasks' data sets, in a folder as `--data-folder` takes it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from s1_hf.embedded.problems import held_out_sample

FOLDERS = ("aime24_nofigures", "aime24_figures", "aime25_nofigures", "aime25_figures", "openaimath")


def write(folder: Path, count: int = 3) -> Path:
    """Problems that the embedded model can solve, `count` of each."""
    drawn = held_out_sample(count * (len(FOLDERS) + 1), seed=11)
    for place, name in enumerate(FOLDERS):
        own = drawn[place * count : (place + 1) * count]
        _write(folder / name, [{"problem": one.question, "answer": f"{one.answer:03}"} for one in own])
    gpqa = []
    for one in drawn[-count:]:
        wrong = {f"Incorrect Answer {i}": str(one.answer + i) for i in (1, 2, 3)}
        gpqa.append({"Question": one.question, "Correct Answer": str(one.answer), **wrong})
    _write(folder / "gpqa", gpqa)
    ten = [{"question": f"Which is {i}?", "options": [str(n) for n in range(10)]} for i in range(8, 8 + min(count, 2))]
    _write(folder / "MMLU-Pro", [row | {"answer": "IJ"[i], "answer_index": 8 + i} for i, row in enumerate(ten)])
    _write(folder / "SuperGPQA", [row | {"answer": "8", "answer_letter": "IJ"[i]} for i, row in enumerate(ten)])
    return folder


def _write(folder: Path, rows: list[dict[str, Any]]) -> None:
    folder.mkdir(parents=True)
    (folder / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
