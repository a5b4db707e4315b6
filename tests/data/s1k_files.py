"""Rows with the columns of s1K and s1K-1.1, and files of every kind that contain them."""

import csv
import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from s1_hf.data.s1k_builder import S1K_1_1_COLUMNS

COMMIT = "0123456789abcdef0123456789abcdef01234567"


KINDS = ["parquet", "jsonl", "json", "csv"]


S1K_ROWS = [
    {
        "solution": f"s{i}", "question": f"q{i}?", "cot_type": "math", "source_type": "aime",
        "metadata": "{'ID': 1, \"x\": None}", "cot": None,
        "thinking_trajectories": [f"one, {i}\r\n\"two\"", "three\n"], "attempt": f"a{i}",
    }
    for i in range(3)
]  # fmt: skip


S1K_1_1_ROWS = [
    {name: f"{name} {i}, \"quoted\"\n" for name in S1K_1_1_COLUMNS} for i in range(3)
]  # fmt: skip


OWN_ROWS = [{"question": "1+1?", "thinking_trajectories": ["one and one"], "attempt": "2"}]


def write(path: Path, rows: list[dict]) -> Path:
    """`rows` in the kind of file that the name says, written without the code under test."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".parquet":
        pq.write_table(pa.Table.from_pylist(rows), path)
    elif path.suffix == ".jsonl":
        path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    elif path.suffix == ".json":
        path.write_text(json.dumps(rows, indent=1, ensure_ascii=False), encoding="utf-8")
    else:
        with path.open("w", encoding="utf-8", newline="") as stream:
            writer = csv.DictWriter(stream, list(rows[0]))
            writer.writeheader()
            for row in rows:
                writer.writerow({k: json.dumps(v) if isinstance(v, list) else v for k, v in row.items()})
    return path
