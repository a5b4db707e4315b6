"""What every method of scaling test-time compute produces: one row per answer, in one schema.

A results folder holds `rows.jsonl` or `rows.parquet`, which pandas and `datasets` open, and `about.json` (model,
command, seeds, versions). Rows of several runs may be put together: a row says by itself what it is of.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypedDict

from s1_hf._lazy import require
from s1_hf.files import inside, replacing, write_text
from s1_hf.forcing.report import ENDED_NAMES, UNCLOSED
from s1_hf.grading import grade
from s1_hf.records import COUNT, FLAG, TEXT, Kind, Schema, check, one_of, or_null, read_lines, refuse_pipe
from s1_hf.secrets import without_secret_arguments, without_secret_values

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

    from s1_hf.generation.chats import Completion, Prompt
    from s1_hf.grading.extraction import AnswerKind

ENDED = (*ENDED_NAMES, "not_found")
"""How thinking ended, as in [`Report`]; or no sample was accepted."""


class Piece(TypedDict):
    """Of a transcript: text that was generated or forced in one go."""

    text: str
    forced: bool


@dataclass(frozen=True)
class Problem:
    """What is asked, and its right answer.

    Args:
        id (`str`): unique in its task.
        prompt: a text or a chat, as in [`generate`].
        gold (`str`): just the right answer; for a choice its letter.
        task (`str`): where it is from.
        kind (`str`): `"math"` or `"choice"`, see [`s1_hf.grading.grade`].
    """

    id: str
    prompt: Prompt
    gold: str
    task: str = ""
    kind: AnswerKind = "math"

    @property
    def question(self) -> str:
        """The text, of a chat its last message."""
        return self.prompt if isinstance(self.prompt, str) else str(self.prompt[-1]["content"])


@dataclass(frozen=True)
class Row:
    """One answer of one method to one problem.

    Args:
        method (`str`): such as `"budget forcing"`, `"majority voting"`, `"rejection sampling"`.
        setting (`str`): the method's, such as `"cap 500, 2 ignores"`; a point of its curve.
        task, problem (`str`) and sample (`int`): what was asked, and which of several independent answers this is.
        thinking_tokens (`int`): of the thinking that the answer comes from; of a vote, of all its voters together.
        answer_tokens (`int`): the same for its answer.
        correct (`bool`): by the task's grader; text inside the thinking is never graded.
        ended (`str`): how thinking ended, as in [`Report`]; `"not_found"`: no sample was accepted.
        ends_ignored (`int`): see [`Report`].
        total_tokens (`int`): all that was generated for this answer, thrown away tries included.
        tries (`int`): how many samples that were.
        max_thinking_tokens, min_thinking_tokens (`int`, *optional*): limits that the setting promises, which Control
            counts; none: it promises nothing.
        question, answer (`str`), extracted (`str`, *optional*), gold (`str`): for the reader; `answer` is the text
            after the thinking, `extracted` the final answer found in it.
        transcript (`list[Piece]`): everything that was generated, in order; empty if it was not kept.
    """

    method: str
    setting: str
    task: str
    problem: str
    sample: int
    thinking_tokens: int
    answer_tokens: int
    correct: bool
    ended: str
    ends_ignored: int = 0
    total_tokens: int = 0
    tries: int = 1
    max_thinking_tokens: int | None = None
    min_thinking_tokens: int | None = None
    question: str = ""
    answer: str = ""
    extracted: str | None = None
    gold: str = ""
    transcript: Sequence[Piece] = ()


def row_of(
    completion: Completion,
    problem: Problem,
    tokenizer: PreTrainedTokenizerBase,
    *,
    method: str,
    setting: str,
    sample: int = 0,
    graded: tuple[bool, str | None] | None = None,
    with_transcript: bool = True,
    **more: Any,
) -> Row:
    """The row of one completion.

    Args:
        graded (`tuple[bool, str | None]`, *optional*): whether it is right, and the final answer found in it; by
            default [`s1_hf.grading.grade`] says.
        with_transcript (`bool`, defaults to `True`): keep everything that was generated.
        **more: other fields of the row, such as `max_thinking_tokens`.
    """
    if graded is None:
        verdict = grade(completion, problem.gold, problem.kind)
        graded = verdict.correct, verdict.extracted
    correct, extracted = graded
    report = completion.report
    return Row(
        method=method,
        setting=setting,
        task=problem.task,
        problem=problem.id,
        sample=sample,
        thinking_tokens=report.thinking_tokens,
        answer_tokens=report.answer_tokens,
        correct=correct,
        ended=report.ended,
        ends_ignored=report.ends_ignored,
        question=problem.question,
        answer="" if report.ended in UNCLOSED else completion.answer,
        extracted=extracted,
        gold=problem.gold,
        transcript=pieces(tokenizer, completion.token_ids, completion.forced) if with_transcript else (),
        **({"total_tokens": len(completion.token_ids)} | more),
    )


def pieces(tokenizer: PreTrainedTokenizerBase, token_ids: Sequence[int], forced: Sequence[bool]) -> list[Piece]:
    """Generated ids as text, cut where forced tokens begin and end."""
    runs: list[tuple[bool, list[int]]] = []
    for token, is_forced in zip(token_ids, forced, strict=True):
        if not runs or runs[-1][0] != is_forced:
            runs.append((is_forced, []))
        runs[-1][1].append(token)
    return [Piece(text=str(tokenizer.decode(ids, skip_special_tokens=False)), forced=kind) for kind, ids in runs]


# -- files ----------------------------------------------------------------------------------------------------------


_JSON_ESCAPE = "backslashreplace"
"""Of lone surrogates: `\\ud800` is JSON's own way to write one."""


def save_rows(rows: Iterable[Row], path: str | Path) -> Path:
    """Write rows to a file, `.jsonl` or `.parquet`; the old file, if any, is there until the new one is whole.

    Lone surrogates in texts come back from `.jsonl`; in Parquet, which has none, they are spelt out (`\\ud800`).

    Raises:
        ValueError: another ending. ModuleNotFoundError: Parquet needs the `data` extra.
    """
    path, records = Path(path), [asdict(row) for row in rows]
    _check_ending(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".parquet":
        arrow = require("pyarrow", "data")
        table = arrow.Table.from_pylist([_storable(record) for record in records], schema=_schema(arrow))
        with replacing(path) as part:
            require("pyarrow.parquet", "data").write_table(table, part)
    else:
        lines = (json.dumps(record, ensure_ascii=False) + "\n" for record in records)
        with replacing(path) as part, part.open("w", encoding="utf-8", errors=_JSON_ESCAPE) as file:
            file.writelines(lines)
    return path


def load_rows(path: str | Path) -> list[Row]:
    """Read the rows of a file, or of a results folder and the folders in it.

    Raises:
        FileNotFoundError: there is nothing. ValueError: a file holds something else.
    """
    path = Path(path)
    if not path.exists():
        raise FileNotFoundError(f"{path} does not exist. Give a file of rows (.jsonl, .parquet) or a results folder.")
    files = [path] if path.is_file() else sorted(f for s in _READERS for f in path.rglob(f"rows{s}"))
    if not files:
        raise FileNotFoundError(
            f"{path} holds no rows.jsonl or rows.parquet. `s1-hf sweep` and `s1-hf demo` write them."
        )
    rows = [row for file in files for row in _read(file)]
    if not rows:
        raise ValueError(f"{path} holds no rows at all. Was the run that should have written them interrupted?")
    return rows


def write_about(folder: str | Path, **facts: Any) -> Path:
    """Write `about.json`: the facts, the command, the versions of what it ran on.

    Args:
        **facts: JSON types, such as `model`, `seed`, `cost`.
    """
    path = inside(folder, "about.json")
    about = without_secret_values({"command": _command(), **facts, "versions": versions()})
    write_text(path, json.dumps(about, indent=1, ensure_ascii=False) + "\n", errors=_JSON_ESCAPE)
    return path


def versions() -> dict[str, str]:
    """Of Python and those libraries that are installed."""
    found = {"python": sys.version.split()[0]}
    for library in ("s1-hf", "torch", "transformers", "lighteval", "math-verify"):
        try:
            found[library] = version(library)
        except PackageNotFoundError:
            continue
    return found


def _command() -> str:
    return " ".join([Path(sys.argv[0]).name, *without_secret_arguments(sys.argv[1:])])


def _check_ending(path: Path) -> None:
    if path.suffix not in _READERS:
        raise ValueError(f"A file of rows has to end in {' or '.join(_READERS)}, but is named {path.name!r}.")


def _read(file: Path) -> list[Row]:
    _check_ending(file)
    return [_row(record, where) for where, record in _READERS[file.suffix](file)]


def _read_jsonl(file: Path) -> Iterator[tuple[str, Any]]:
    try:
        yield from read_lines(file)
    except ValueError as error:
        raise ValueError(f"{error} Is it a file of result rows?") from None


def _read_parquet(file: Path) -> Iterator[tuple[str, Any]]:
    parquet = require("pyarrow.parquet", "data")
    refuse_pipe(file)
    try:
        with file.open("rb") as stream:
            records = parquet.read_table(stream).to_pylist()
    except Exception as error:  # pyarrow lets those of others through, such as of time zones that do not exist
        raise ValueError(f"{file} cannot be read as a Parquet file of result rows: {error}") from None
    for number, record in enumerate(records, 1):
        yield f"{file}, row {number}", {name: value for name, value in record.items() if value is not None}


_READERS = {".jsonl": _read_jsonl, ".parquet": _read_parquet}
_TRANSCRIPT = Kind(
    "a list of {'text': ..., 'forced': true or false}",
    lambda value: isinstance(value, list) and all(map(_is_piece, value)),
)
_NEEDED: Schema = {
    "method": TEXT, "setting": TEXT, "task": TEXT, "problem": TEXT, "sample": COUNT, "thinking_tokens": COUNT,
    "answer_tokens": COUNT, "correct": FLAG, "ended": one_of(ENDED),
}  # fmt: skip
_OPTIONAL: Schema = {
    "ends_ignored": COUNT, "total_tokens": COUNT, "tries": COUNT, "max_thinking_tokens": or_null(COUNT),
    "min_thinking_tokens": or_null(COUNT), "question": TEXT, "answer": TEXT, "extracted": or_null(TEXT), "gold": TEXT,
    "transcript": _TRANSCRIPT,
}  # fmt: skip


def _row(record: Any, where: str) -> Row:
    check(record, _NEEDED, where, optional=_OPTIONAL, others=False)
    return Row(**record)


def _is_piece(piece: Any) -> bool:
    return isinstance(piece, Mapping) and isinstance(piece.get("text"), str) and isinstance(piece.get("forced"), bool)


def _schema(arrow: Any) -> Any:
    """Stated, so that a file whose optional values are all absent has their types too."""
    kinds = {"str": arrow.string(), "int": arrow.int64(), "bool": arrow.bool_()}
    columns = [(one.name, kinds[one.type.split(" |")[0]]) for one in fields(Row) if one.name != "transcript"]
    piece = arrow.struct([("text", arrow.string()), ("forced", arrow.bool_())])
    return arrow.schema([*columns, ("transcript", arrow.list_(piece))])


def _storable(value: Any) -> Any:
    """For Parquet, whose texts are UTF-8: a lone surrogate is written as `\\ud800`, which stays so."""
    if isinstance(value, str):
        return value.encode("utf-8", "backslashreplace").decode("utf-8")
    if isinstance(value, dict):
        return {name: _storable(one) for name, one in value.items()}
    return [_storable(one) for one in value] if isinstance(value, (list, tuple)) else value
