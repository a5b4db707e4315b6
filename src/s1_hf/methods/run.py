"""Several methods on one bench, with what is finished kept on disk."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from s1_hf._lazy import require
from s1_hf.engines.ledger import Ledger
from s1_hf.engines.locking import exclusive
from s1_hf.methods.kept import Kept, NotKept
from s1_hf.methods.method import Method, check_shared, in_order
from s1_hf.results.rows import Row, save_rows, write_about

if TYPE_CHECKING:
    from s1_hf.methods.bench import Bench


def run_methods(
    methods: Sequence[Method],
    bench: Bench,
    folder: str | Path,
    *,
    format: Literal["jsonl", "parquet"] = "jsonl",
    about: Mapping[str, Any] | None = None,
) -> list[Row]:
    """Run methods one after the other, into a results folder that pandas, `datasets` and [`load_rows`] read.

    Every finished batch is on the disk before the next one begins. After a kill the same call resumes, and ends with
    what an unbroken run gives. What is kept are completions, each known again by everything that decides about it:
    weights, prompt, budget, sampling, seed. Whatever differs is generated anew, so that methods, limits and problems
    can be added to a folder, and what methods have in common is generated once. Rows are graded and counted anew by
    every call, and the folder then holds those of the last one.

    Args:
        methods (`Sequence[Method]`): whose rows have different `method`s.
        bench ([`Bench`]): what they are tried on.
        folder (`str` or `Path`): gets `rows.jsonl` or `rows.parquet`, `about.json` and `finished.jsonl`, the ledger.
        format (`str`, defaults to `"jsonl"`): of the rows; `"parquet"` needs the extra `data`.
        about (`Mapping`, *optional*): what `about.json` is to say that a bench with an engine does not know, such as
            the name of the model.

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
    check_methods(methods, bench, format)
    with exclusive(folder):
        rows = _collect(methods, bench, Ledger(Path(folder)))
        finished: list[Row] = []
        for method, of_method in zip(methods, rows, strict=True):
            finished += in_order(method.finish(of_method))
        for ending in ("jsonl", "parquet"):
            (Path(folder) / f"rows.{ending}").unlink(missing_ok=True)  # else both would be read
        save_rows(finished, Path(folder) / f"rows.{format}")
        facts = {
            "model": None if bench.model is None else bench.model.config.name_or_path,
            "engine": bench.runner.identity,
            "dtype": "auto" if bench.model is None else str(bench.model.dtype).removeprefix("torch."),
            "seed": bench.seed,
            "asked": {
                "chat_template_kwargs": bench.options["chat_template_kwargs"],
                "format": bench.format if isinstance(bench.format, str) else None,
            },
            "tasks": list(dict.fromkeys(problem.task for problem in bench.problems)),
            "problems": len(bench.problems),
            "methods": [method.settings for method in methods],
            "bench": bench.options,
        }
        write_about(folder, **{**facts, **(about or {})})
    return finished


def check_methods(methods: Sequence[Method], bench: Bench, format: str = "jsonl") -> None:
    """Raises what [`run_methods`] would raise, before any compute."""
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
    check_shared(methods, bench)


def _collect(methods: Sequence[Method], bench: Bench, ledger: Ledger) -> list[list[Row]]:
    """The rows of every method, problems being taken in parts that fill whole batches."""
    # 1. The parts whose rows can be made from what the ledger holds.
    kept = Kept(bench.runner, ledger, generates=False)
    without_engine = replace(bench, model=None, engine=kept, progress=None)
    parts = []
    for number, method in enumerate(methods):
        parts += [(number, problems) for problems in method.chunks(bench)]
    of_parts: list[list[Row] | None] = []
    found = 0
    for number, problems in parts:
        try:
            of_parts.append(methods[number].rows(without_engine, problems))
            found += len(problems)
        except NotKept:
            of_parts.append(None)

    # 2. The others.
    keeping = replace(bench, model=None, engine=Kept(bench.runner, ledger))
    keeping.watch.begin(found, sum(len(problems) for _, problems in parts))
    rows: list[list[Row]] = [[] for _ in methods]
    for (number, problems), of_part in zip(parts, of_parts, strict=True):
        if of_part is None:
            of_part = methods[number].rows(keeping, problems)
            keeping.watch.finish(len(problems), 0)
        rows[number] += of_part
    return rows
