"""Several methods on one bench, with what is finished kept on disk."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from s1_hf._lazy import require
from s1_hf.engines.lines import append_line, whole_lines
from s1_hf.engines.locking import exclusive
from s1_hf.methods.method import Method, in_order
from s1_hf.results.rows import Row, save_rows, write_about

if TYPE_CHECKING:
    from s1_hf.methods.bench import Bench
    from s1_hf.results.rows import Problem

FINISHED = "finished.jsonl"


def run_methods(
    methods: Sequence[Method], bench: Bench, folder: str | Path, *, format: Literal["jsonl", "parquet"] = "jsonl"
) -> list[Row]:
    """Run methods one after the other, into a results folder that pandas, `datasets` and [`load_rows`] read.

    What is finished is on the disk at once, problems being taken in parts that fill whole batches (`Method.chunk`).
    After a kill the same call goes on, and ends with what an unbroken run gives. A part is known again by everything
    that decides about it: weights, prompts, gold answers, and all settings of method and bench. Whatever differs is
    generated anew, so that methods, limits and problems can be added to a folder; `rows` then holds those of the last
    call.

    Args:
        methods (`Sequence[Method]`): whose rows have different `method`s.
        bench ([`Bench`]): what they are tried on.
        folder (`str` or `Path`): gets `rows.jsonl` or `rows.parquet`, `about.json` and `finished.jsonl`, the parts.
        format (`str`, defaults to `"jsonl"`): of the rows; `"parquet"` needs the extra `data`.

    Raises:
        ValueError: a method cannot be run on this bench, two give rows of one name, or `finished.jsonl` holds something
            else. BlockingIOError: another run is writing there.

    Example:

    ```python
    >>> from tempfile import TemporaryDirectory
    >>> from s1_hf import embedded
    >>> from s1_hf.methods import Bench, BudgetForcing, Parallel, problems_of, run_methods
    >>> model, tokenizer = embedded.load()
    >>> bench = Bench(model=model, tokenizer=tokenizer, problems=problems_of("s1:embedded", max_samples=2),
    ...               max_new_tokens=100, max_answer_tokens=12)
    >>> methods = [BudgetForcing(max_thinking_tokens=[16]), Parallel(samples=2, votes=[2], max_thinking_tokens=[16])]
    >>> with TemporaryDirectory() as folder:
    ...     rows = run_methods(methods, bench, folder)
    >>> [row.method for row in rows]
    ['budget forcing', 'budget forcing', 'majority voting, cap 16', 'majority voting, cap 16']

    ```
    """
    _check(methods, bench, format)
    with exclusive(folder):
        parts = [(method, problems) for method in methods for problems in method.chunks(bench)]
        rows = _collect(parts, bench, Path(folder) / FINISHED)
        finished = [row for method in methods for row in in_order(method.finish(rows[id(method)]))]
        for ending in ("jsonl", "parquet"):
            (Path(folder) / f"rows.{ending}").unlink(missing_ok=True)  # else both would be read
        save_rows(finished, Path(folder) / f"rows.{format}")
        tasks = list(dict.fromkeys(problem.task for problem in bench.problems))
        facts = {"model": bench.model.config.name_or_path, "tasks": tasks, "problems": len(bench.problems)}
        write_about(folder, **facts, methods=[method.settings for method in methods], bench=bench.options)
    return finished


def _check(methods: Sequence[Method], bench: Bench, format: str) -> None:
    if isinstance(methods, Method) or not methods or not all(isinstance(method, Method) for method in methods):
        raise ValueError(f"`methods` has to be a sequence of methods with at least one, but is {methods!r}.")
    names = [name for method in methods for name in method.names]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ValueError(f"`methods` have to give rows of different names, but {', '.join(twice)} comes twice.")
    if format not in ("jsonl", "parquet"):
        raise ValueError(f"`format` has to be 'jsonl' or 'parquet', but is {format!r}.")
    if format == "parquet":
        require("pyarrow.parquet", "data")
    for method in methods:
        method.check(bench)


def _collect(parts: list[tuple[Method, Sequence[Problem]]], bench: Bench, file: Path) -> dict[int, list[Row]]:
    """The rows of every method, by its `id`; from the disk where they are."""
    weights, found = fingerprint(bench.model), _read(file)
    keys = [_key(method, problems, bench, weights) for method, problems in parts]
    done = sum(len(problems) for key, (_, problems) in zip(keys, parts, strict=True) if key in found)
    bench.watch.begin(done, sum(len(problems) for _, problems in parts))
    rows: dict[int, list[Row]] = {id(method): [] for method, _ in parts}
    for key, (method, problems) in zip(keys, parts, strict=True):
        if key not in found:
            found[key] = method.rows(bench, problems)
            append_line(file, {"key": key, "rows": [asdict(row) for row in found[key]]})
            bench.watch.finish(len(problems), 0)
        rows[id(method)] += found[key]
    return rows


def _key(method: Method, problems: Sequence[Problem], bench: Bench, weights: str) -> str:
    asked = [[bench.encode(problem.prompt), asdict(problem)] for problem in problems]
    everything = [weights, method.settings, bench.options, asked]
    return hashlib.sha256(json.dumps(everything, sort_keys=True).encode()).hexdigest()[:32]


def _read(file: Path) -> dict[str, list[Row]]:
    found: dict[str, list[Row]] = {}
    for number, line in enumerate(whole_lines(file) if file.exists() else [], 1):
        try:
            part: dict[str, Any] = json.loads(line)
            found[part["key"]] = [Row(**row) for row in part["rows"]]
        except (ValueError, TypeError, KeyError):
            raise ValueError(
                f"Line {number} of {file} is not a part of a run. Delete that line (its rows are then generated "
                "again), or the file."
            ) from None
    return found
