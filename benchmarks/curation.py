"""What each stage of a curation costs on a pool of the paper's size, and decontamination beside the obvious loop.

    python benchmarks/run.py --only curation
    python benchmarks/curation.py ROWS PROCESSES    # one run, in a process of its own; prints JSON

The pool is made up: 60,000 questions of 10 to 150 words out of 20,000 with frequencies as in a language, traces of 200
to 2,000 words, 728 test questions, of which 300 are quoted in the pool, and 3,000 duplicates and near duplicates.
"""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from functools import partial
from itertools import accumulate
from pathlib import Path
from typing import Any

from reporting import Row, table

WORDS = [f"w{number}" for number in range(20_000)]
CUMULATIVE = list(accumulate(1 / (rank + 5) for rank in range(len(WORDS))))
TESTS = 728  # AIME24, MATH500 and GPQA-Diamond together


def run(quick: bool) -> tuple[list[Row], list[str]]:
    """Rows of `part` "stage" (a stage at a number of processes) and "naive"."""
    size = 600 if quick else 60_000
    rows: list[Row] = []
    for processes in (1, 2):
        done = subprocess.run(
            [sys.executable, __file__, str(size), str(processes)], capture_output=True, text=True, check=True
        )
        rows += [{"part": "stage", **row} for row in json.loads(done.stdout)]
    return rows + _naive(60 if quick else 1_000, size), []


def tables(rows: list[Row]) -> list[str]:
    def of(part: str) -> list[Row]:
        return [{k: v for k, v in row.items() if k != "part"} for row in rows if row["part"] == part]

    return [table(of("stage")), table(of("naive"))]


def make_pool(folder: Path, size: int) -> tuple[Path, Path]:
    """The files of a pool and of test questions."""
    rng = random.Random(0)
    tests = [_text(rng, 30, 80) for _ in range(TESTS)]
    pool, test = folder / "pool.jsonl", folder / "test.jsonl"
    test.write_text("".join(json.dumps({"question": text}) + "\n" for text in tests))
    material = rng.choices(WORDS, cum_weights=CUMULATIVE, k=min(1_000_000, 100 * size))
    questions: list[str] = []
    with pool.open("w") as file:
        for number in range(size):
            questions.append(_question(rng, number, size, tests, questions))
            file.write(json.dumps(_row(rng, questions[-1], number, material)) + "\n")
    return pool, test


def _question(rng: random.Random, number: int, size: int, tests: list[str], before: list[str]) -> str:
    text = _text(rng, 10, 150)
    if number < size // 200:
        return f"{text} {tests[number % TESTS]}"
    if number >= size - size // 20:
        return f"{before[number - size // 2]} {'please' * (number % 2)}"
    return text


def _row(rng: random.Random, question: str, number: int, material: list[str]) -> dict[str, Any]:
    begin, length = rng.randrange(len(material) - 2_000), rng.randint(200, 2_000)
    return {
        "question": question,
        "thinking_trajectories": [" ".join(material[begin : begin + length])],
        "attempt": "Answer: 1",
        "error": "429" if number % 12 == 0 else None,
        "thinking_tokens": length,
        "source_type": ("AIME", "numina", "omni")[number % 3],
        "correct": number % 2 == 0,
        "solved_7b": number % 3 == 0,
        "solved_32b": number % 2 == 0,
    }


def _text(rng: random.Random, shortest: int, longest: int) -> str:
    return " ".join(rng.choices(WORDS, cum_weights=CUMULATIVE, k=rng.randint(shortest, longest)))


def stages(size: int, processes: int) -> list[Row]:
    """Every stage once, nothing cached, with its time and the most memory of its own that it had."""
    import datasets

    from s1_hf.curate import (
        Decontamination,
        Diversity,
        Domains,
        TestSet,
        Trusted,
        assign_domains,
        check_quality,
        decontaminate,
        deduplicate,
        keep_difficult,
        select,
    )

    datasets.disable_progress_bars()
    rows: list[Row] = []
    with tempfile.TemporaryDirectory() as folder:
        pool_file, test_file = make_pool(Path(folder), size)
        pool = datasets.load_dataset("json", data_files=str(pool_file), split="train", cache_dir=folder)
        steps: list[tuple[str, Callable[[Any], Any]]] = [
            (
                "decontaminate",
                lambda p: decontaminate(p, Decontamination((TestSet("test", str(test_file)),)), num_proc=processes),
            ),
            ("quality", lambda p: check_quality(p, num_proc=processes)),
            ("deduplicate", lambda p: deduplicate(p, num_proc=processes)),
            ("difficulty", keep_difficult),
        ]
        for name, step in steps:
            stage, row = _measured(name, processes, len(pool), partial(step, pool))
            pool = pool.select(stage.rows)
            rows.append(row | {"rows out": len(pool)})
        (domains, _), row = _measured(
            "domains: 50 clusters", processes, len(pool), lambda: assign_domains(pool, Domains(by="clusters"))
        )
        rows.append(row | {"rows out": len(pool)})
        options = Diversity(n=min(1_000, size // 10), trusted=(Trusted("AIME", min_thinking_tokens=1_900),))
        stage, row = _measured("select", processes, len(pool), lambda: select(pool, options, domains=domains))
        rows.append(row | {"rows out": len(stage.rows)})
    return rows


def _measured(name: str, processes: int, rows: int, step: Callable[[], Any]) -> tuple[Any, Row]:
    done = threading.Event()
    before, peak = _anonymous(), [0]

    def watch() -> None:
        while not done.wait(0.01):
            peak[0] = max(peak[0], _anonymous())

    watcher = threading.Thread(target=watch)
    watcher.start()
    begin, cpu = time.perf_counter(), _cpu_seconds()
    try:
        result = step()
    finally:
        seconds, cpu = time.perf_counter() - begin, _cpu_seconds() - cpu
        done.set()
        watcher.join()
    row = {
        "stage": name,
        "processes": processes,
        "rows in": rows,
        "seconds": round(seconds, 2),
        "CPU seconds": round(cpu, 2),
    }
    return result, row | {"MiB before": before >> 20, "MiB at most": max(peak[0], before) >> 20}


def _cpu_seconds() -> float:
    """Of this process and of all that it has started and that have ended."""
    return sum(os.times()[:4])


def _anonymous() -> int:
    """Bytes of this process that are in no file: what Arrow maps from the disk is not counted. 0 where not known."""
    status = Path("/proc/self/status")
    lines = status.read_text().splitlines() if status.exists() else []
    return sum(int(line.split()[1]) << 10 for line in lines if line.startswith("RssAnon:"))


def _naive(count: int, size: int) -> list[Row]:
    """The obvious way, on `count` questions: each with each test question, or with each other, as sets of 8-grams."""
    from s1_hf.curate.text import ngrams

    rng = random.Random(1)
    tests = [_text(rng, 30, 80) for _ in range(TESTS)]
    pool = [_text(rng, 10, 150) for _ in range(count)]
    begin = time.perf_counter()
    hits = sum(any(set(ngrams(q, 8)) & set(ngrams(t, 8)) for t in tests) for q in pool[: count // 10])
    with_tests = time.perf_counter() - begin
    begin = time.perf_counter()
    grams = [set(ngrams(q, 8)) for q in pool]
    pairs = sum(len(a & b) >= 0.8 * len(a | b) for i, a in enumerate(grams) for b in grams[:i])
    among = time.perf_counter() - begin
    scale = size / count
    return [
        {"part": "naive", "what": "test questions, one by one", "rows": count // 10, "seconds": with_tests,
         f"hours for {size:,} rows": with_tests * 10 * scale / 3600, "found": hits},
        {"part": "naive", "what": "near duplicates, pair by pair", "rows": count, "seconds": among,
         f"hours for {size:,} rows": among * scale**2 / 3600, "found": pairs},
    ]  # fmt: skip


def main(argv: Sequence[str]) -> None:
    print(json.dumps(stages(int(argv[0]), int(argv[1]))))


if __name__ == "__main__":
    main(sys.argv[1:])
