"""A pool of questions, filled with traces."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

from s1_hf._lazy import require
from s1_hf.engines.locking import exclusive
from s1_hf.engines.progress import Progress, Watch
from s1_hf.grading import extract_answer, grade
from s1_hf.grading.extraction import AnswerKind, check_kind
from s1_hf.traces.folder import Folder
from s1_hf.traces.trace import Ask, Source, Trace

if TYPE_CHECKING:
    from datasets import Dataset

_COUNTS, _TEXTS = ("thinking_tokens", "answer_tokens"), ("thinking_trajectories", "attempt")
FILLED = ("sample", *_TEXTS, *_COUNTS, "ended", "error", "answer_cut", "correct")
"""The columns that are written; a pool's own columns of these names are replaced."""

_PIECE = 2000  # rows; the texts of an Arrow array are at most 2 GiB


def generate_traces(
    pool: Dataset,
    source: Source,
    output: str | Path,
    *,
    question_column: str = "question",
    samples: int = 1,
    kind: AnswerKind = "math",
    solved_as: str | None = None,
    retry_errors: bool = False,
    progress: Callable[[Progress], None] | None = None,
) -> Dataset:
    """Ask every question of a pool, and write the pool with its traces to `output`.

    The rows have the pool's columns, its questions as `question`, and `sample` (`int`), `thinking_trajectories` (a list
    of one text), `attempt` (`str`), `thinking_tokens` and `answer_tokens` (`int`, null if an endpoint does not tell),
    `ended`, `error` and `answer_cut` (see [`Trace`]) and, if the pool has `solution`, `correct` (`bool`: what [`grade`]
    says of the attempt beside [`extract_answer`] of the solution; null for errors, and where the solution has no
    answer). Rows of one question follow each other. Errors are rows, as the paper's first stage counts them.

    What is finished is on the disk at once: after a kill the same call resumes, and a pool that has grown, or a larger
    `samples`, asks only what is new. Rows with the same question share their traces.

    Args:
        pool ([`~datasets.Dataset`]): see [`load_pool`].
        source ([`LocalModel`] or [`Endpoint`]): what answers.
        output (`str` or `Path`): a folder: new, empty, or that of the same run. The result is in its `data/`, so that
            `load_s1k(path=output)` and `datasets.load_dataset(output)` take it.
        question_column (`str`): the column that is asked.
        samples (`int`, defaults to 1): traces of each question.
        kind (`str`, defaults to `"math"`): of the solutions, `"math"` or `"choice"`.
        solved_as (`str`, *optional*): instead of the traces, write the pool as it is with one more column, `bool`,
            `solved_{solved_as}`: whether any of the samples is right; null if none could be graded. This is the
            paper's signal of difficulty. The pool needs `solution`.
        retry_errors (`bool`, defaults to `False`): ask again what ended in an error.
        progress (`Callable`, *optional*): told how far the run is.

    Returns:
        [`~datasets.Dataset`]: what was written.

    Raises:
        ValueError: an argument is wrong, or `output` holds something else. BlockingIOError: another run is writing
            there. ConnectionError: the endpoint fails for all rows.

    Example:

    ```python
    >>> from tempfile import TemporaryDirectory
    >>> from s1_hf import embedded
    >>> from s1_hf.traces import LocalModel, embedded_pool, generate_traces
    >>> model = LocalModel(str(embedded.MODEL_PATH), max_thinking_tokens=64)
    >>> with TemporaryDirectory() as folder:
    ...     rows = generate_traces(embedded_pool(2), model, folder)
    >>> rows[0]["thinking_trajectories"][0].startswith("A from")
    True

    ```
    """
    _check(pool, source, question_column, samples, kind, solved_as)
    pool = pool if question_column == "question" else pool.rename_column(question_column, "question")
    questions = pool["question"]
    with exclusive(output):
        folder = Folder(Path(output))
        folder.claim({**source.settings, "solved_as": solved_as})
        # 1. Every question once, however many rows have it.
        asked: list[Ask] = []
        for question in filter(_asks, dict.fromkeys(questions)):
            asked += [Ask(question, i) for i in range(samples)]
        found = _collect(asked, source, folder, retry_errors, Watch(progress))
        # 2. The traces of every row, `samples` each, and whether they are right.
        traces: list[list[Trace]] = []
        for question in questions:
            traces.append([found.get(Ask(question, i), _BLANK) for i in range(samples)])
        correct = _graded(pool["solution"], traces, kind) if "solution" in pool.column_names else None
        # 3. The result.
        if solved_as is None:
            rows = _filled(pool, traces, correct)
        else:
            rows = _with_columns(pool, {f"solved_{solved_as}": [_any(row) for row in correct or []]})
        folder.write(rows)
    return rows


_BLANK = Trace.failed("the question is blank or no text")


def _check(pool: Dataset, source: Source, question: str, samples: int, kind: Any, solved_as: str | None) -> None:
    """Everything that is wrong, at once."""
    check_kind(kind)
    columns, named = pool.column_names, solved_as is not None
    rules = {
        f"`pool` has to have the column {question!r}, which is asked, but has {', '.join(columns)}.": (
            question in columns
        ),
        f"`question_column` is {question!r}, but the pool has a column 'question' as well. Rename one of them.": (
            question == "question" or "question" not in columns
        ),
        "`pool` has to have rows, but has none.": len(pool) > 0,
        f"`samples` has to be positive, but is {samples}.": samples > 0,
        f"`samples` has to be 1 without a temperature above 0, because greedy decoding makes all {samples} the same.": (
            samples <= 1 or source.draws
        ),
        f"`solved_as` has to be a name of letters, digits, '-', '_' and '.', but is {solved_as!r}.": (
            not named or re.fullmatch(r"[\w.-]+", str(solved_as)) is not None
        ),
        "`solved_as` needs the column 'solution', which the pool does not have.": not named or "solution" in columns,
        f"`solved_as` is {solved_as!r}, but the pool has a column 'solved_{solved_as}' already. Choose another name.": (
            f"solved_{solved_as}" not in columns
        ),
    }
    broken = [message for message, kept in rules.items() if not kept]
    if broken:
        raise ValueError("\n".join(broken))
    if "solution" in columns:
        require("math_verify", "grade")


def _asks(question: Any) -> bool:
    return isinstance(question, str) and bool(question.strip())


def _collect(asked: list[Ask], source: Source, folder: Folder, retry_errors: bool, watch: Watch) -> dict[Ask, Trace]:
    """A trace for all that is asked; from the disk where there is one."""
    found = folder.finished()
    missing = [ask for ask in asked if ask not in found or (retry_errors and found[ask].error is not None)]
    watch.begin(len(asked) - len(missing), len(asked))
    for batch in source.traces(missing, watch.step) if missing else ():
        folder.append(batch)
        found.update(batch)
        watch.finish(len(batch), sum((t.thinking_tokens or 0) + (t.answer_tokens or 0) for _, t in batch))
    return found


def _graded(solutions: Iterable[Any], traces: list[list[Trace]], kind: AnswerKind) -> list[list[bool | None]]:
    """Whether each sample is right; `None` if it is an error or there is nothing to compare it with."""
    graded: list[list[bool | None]] = []
    for solution, row in zip(solutions, traces, strict=True):
        gold = None if solution is None else extract_answer(str(solution), kind)
        of_row: list[bool | None] = []
        for trace in row:
            is_known = gold is not None and trace.error is None
            of_row.append(_is_right(trace.attempt, gold, kind) if is_known else None)  # type: ignore[arg-type]
        graded.append(of_row)
    return graded


def _is_right(attempt: str, gold: str, kind: AnswerKind) -> bool:
    return grade(attempt, gold, kind, ended="never_started").correct  # all of it is answer


def _any(correct: list[bool | None]) -> bool | None:
    known = [value for value in correct if value is not None]
    return any(known) if known else None


def _filled(pool: Dataset, traces: list[list[Trace]], correct: list[list[bool | None]] | None) -> Dataset:
    """The pool's rows, one per sample, with the columns `FILLED`."""
    # 1. Samples one after the other.
    flat: list[Trace] = []
    numbers: list[int] = []
    of_rows: list[int] = []  # the pool's row of each
    for i, row in enumerate(traces):
        flat += row
        numbers += range(len(row))
        of_rows += [i] * len(row)
    # 2. The columns.
    columns: dict[str, list[Any]] = {
        "sample": numbers,
        "thinking_trajectories": [[trace.thinking] for trace in flat],
        "attempt": [trace.attempt for trace in flat],
        "thinking_tokens": [trace.thinking_tokens for trace in flat],
        "answer_tokens": [trace.answer_tokens for trace in flat],
        "ended": [trace.ended for trace in flat],
        "error": [trace.error for trace in flat],
        "answer_cut": [trace.answer_cut for trace in flat],
    }
    if correct is not None:
        columns["correct"] = list(chain.from_iterable(correct))
    # 3. Beside the pool's, of which those with the same names go.
    replaced = [name for name in FILLED if name in pool.column_names]
    return _with_columns(pool.select(of_rows).remove_columns(replaced), columns)


def _with_columns(rows: Dataset, columns: dict[str, list[Any]]) -> Dataset:
    """`rows` and more columns, whose types are the same if all values are null."""
    datasets = require("datasets", "data")
    kinds = {"sample": "int64", "attempt": "string", "ended": "string", "error": "string"}
    kinds |= {"thinking_tokens": "int64", "answer_tokens": "int64"}
    features = {name: datasets.Value(kinds.get(name, "bool")) for name in columns}
    if "thinking_trajectories" in columns:
        features["thinking_trajectories"] = datasets.List(datasets.Value("string"))
    pieces = []
    for i in range(0, len(rows), _PIECE):
        piece = {name: values[i : i + _PIECE] for name, values in columns.items()}
        pieces.append(datasets.Dataset.from_dict(piece, features=datasets.Features(features)))
    return datasets.concatenate_datasets([rows, datasets.concatenate_datasets(pieces)], axis=1)
