"""What every method of scaling test-time compute produces: one row per answer, in one schema.

A results folder holds `rows.jsonl` or `rows.parquet`, which pandas and `datasets` open, and `about.json` (model,
command, seeds, versions). Rows of several runs may be put together: a row says by itself what it is of.
"""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypedDict

from s1_hf._lazy import require
from s1_hf.engines.request import digest, request_as_text
from s1_hf.files import inside, replacing, write_text
from s1_hf.forcing.budget import NAMES, Budget
from s1_hf.forcing.columns import columns_of, from_columns
from s1_hf.forcing.report import ENDED_NAMES, UNCLOSED
from s1_hf.grading import grade
from s1_hf.records import COUNT, FLAG, TEXT, Kind, Schema, check, one_of, or_null, read_lines, refuse_pipe
from s1_hf.secrets import without_secret_arguments, without_secret_values

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

    from s1_hf.engines.request import Request
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
        thinking_tokens (`int`): of the thinking that the answer comes from; of a vote, of all its voters together, of a
            search, of all its rows, each token once.
        answer_tokens (`int`): the same for its answer.
        correct (`bool`): by the task's grader; text inside the thinking is never graded.
        ended (`str`): how thinking ended, as in [`Report`]; `"not_found"`: no sample was accepted.
        ends_ignored (`int`): see [`Report`].
        total_tokens (`int`): all that was generated for this answer, thrown away tries included.
        tries (`int`): how many samples that were; of a search, how many of its rows have ended or were given up.
        scorer_tokens (`int`): all that a reward model had to read for this answer, beside `total_tokens`.
        confidence (`float`, *optional*): of the answer, from 0 to 1: the geometric mean of the most likely tokens'
            probabilities, over the tokens that the model chose, see [`answer_confidence`].
        promised_max_tokens, promised_min_tokens (`int`, *optional*): limits on thinking that the setting promises,
            which Control counts; none: it promises nothing. Budget forcing promises its caps and minimums; a prompt
            that names a limit promises it, and forces nothing.
        max_thinking_tokens, min_thinking_tokens, num_ignores, wait_text, cut_text, cut_window, cut_at, answer_prefix,
            answer_reserve, thinking_share, loop_guard (*optional*): the [`Budget`] that was forced, see
            [`s1_hf.forcing.columns.columns_of`] and [`Row.budget`]. In files of older versions, which have only the
            first two, these are what is promised, and the budget is not known.
        request (`str`, *optional*): what was asked for, in JSON, for [`s1_hf.packs.replay`] to ask again: the prompt
            and all else that decides are in its `key`.
        digest (`str`, *optional*): tells the tokens that were generated, and which of them were forced, from others.
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
    scorer_tokens: int = 0
    confidence: float | None = None
    promised_max_tokens: int | None = None
    promised_min_tokens: int | None = None
    max_thinking_tokens: int | None = None
    min_thinking_tokens: int | None = None
    num_ignores: int | None = None
    wait_text: str | None = None
    cut_text: str | None = None
    cut_window: int | None = None
    cut_at: str | None = None
    answer_prefix: str | None = None
    answer_reserve: int | None = None
    thinking_share: float | None = None
    loop_guard: str | None = None
    request: str | None = None
    digest: str | None = None
    question: str = ""
    answer: str = ""
    extracted: str | None = None
    gold: str = ""
    transcript: Sequence[Piece] = ()

    @property
    def budget(self) -> Budget | None:
        """The budget that was forced; `None` in rows of older versions, which do not say.

        Raises:
            ValueError: the columns are no budget's.
        """
        if self.num_ignores is None:
            return None
        return from_columns({name: getattr(self, name) for name in NAMES})

    @property
    def promises(self) -> tuple[int | None, int | None]:
        """The least and the most thinking tokens that the setting promises."""
        if self.num_ignores is None:
            return self.min_thinking_tokens, self.max_thinking_tokens
        return self.promised_min_tokens, self.promised_max_tokens


def promises_of(budget: Budget) -> dict[str, Any]:
    """What a row promises that is forced by this budget."""
    cap = budget.max_thinking_tokens
    return {
        "promised_max_tokens": cap if isinstance(cap, int) else None,
        "promised_min_tokens": budget.column("min_thinking_tokens", 1)[0] or None,
    }


def promising_nothing(row: Row) -> Row:
    """The same without limits that its setting promises."""
    if row.num_ignores is None:  # of an older version, see `Row.promises`
        return replace(row, max_thinking_tokens=None, min_thinking_tokens=None)
    return replace(row, promised_max_tokens=None, promised_min_tokens=None)


def row_of(
    completion: Completion,
    problem: Problem,
    tokenizer: PreTrainedTokenizerBase,
    *,
    request: Request,
    method: str,
    setting: str,
    graded: tuple[bool, str | None] | None = None,
    with_transcript: bool = True,
    **more: Any,
) -> Row:
    """The row of one completion.

    Args:
        request ([`Request`]): which it answers; says the sample and the budget.
        graded (`tuple[bool, str | None]`, *optional*): whether it is right, and the final answer found in it; by
            default [`s1_hf.grading.grade`] says.
        with_transcript (`bool`, defaults to `True`): keep everything that was generated.
        **more: other fields of the row, such as those of [`promises_of`].
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
        sample=request.sample,
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
        **columns_of(request.budget),
        request=request_as_text(request),
        digest=digest([completion.token_ids, completion.forced])[:32],
        confidence=answer_confidence(completion, request, tokenizer),
        **({"total_tokens": len(completion.token_ids)} | more),
    )


def answer_confidence(completion: Completion, request: Request, tokenizer: PreTrainedTokenizerBase) -> float | None:
    """How sure the model was of its answer, from 0 to 1 (DEER, https://arxiv.org/abs/2504.15895, equation 4).

    `exp(-mean)` of the `top=1` confidences of those answer tokens that the model chose; forced ones and the end of
    sequence are left out. `None` if they were not measured so, or there are none.
    """
    if request.confidence is None or request.confidence.top != 1 or completion.confidences is None:
        return None
    ids = completion.token_ids
    end = len(ids)
    if ids and str(tokenizer.decode(list(ids), skip_special_tokens=False)) != completion.text:
        end -= 1  # the end of sequence
    first, before = end - completion.report.answer_tokens, len(ids) - len(completion.confidences)
    chosen = [completion.confidences[i - before] for i in range(max(first, before), end) if not completion.forced[i]]
    return math.exp(-sum(chosen) / len(chosen)) if chosen else None


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


def versions(more: Sequence[str] = ()) -> dict[str, str]:
    """Of Python and those libraries, `more` among them, that are installed."""
    found = {"python": sys.version.split()[0]}
    for library in ("s1-hf", "torch", "transformers", "lighteval", "math-verify", *more):
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
_SHARE = Kind("a number above 0 and at most 1", lambda value: isinstance(value, float) and 0 < value <= 1)
_PROBABILITY = Kind("a number from 0 to 1", lambda value: type(value) in (int, float) and 0 <= value <= 1)
_NEEDED: Schema = {
    "method": TEXT, "setting": TEXT, "task": TEXT, "problem": TEXT, "sample": COUNT, "thinking_tokens": COUNT,
    "answer_tokens": COUNT, "correct": FLAG, "ended": one_of(ENDED),
}  # fmt: skip
_OPTIONAL: Schema = {
    "ends_ignored": COUNT, "total_tokens": COUNT, "tries": COUNT, "scorer_tokens": COUNT,
    "confidence": or_null(_PROBABILITY), "promised_max_tokens": or_null(COUNT),
    "promised_min_tokens": or_null(COUNT), "max_thinking_tokens": or_null(COUNT), "min_thinking_tokens": or_null(COUNT),
    "num_ignores": or_null(COUNT), "wait_text": or_null(TEXT), "cut_text": or_null(TEXT), "cut_window": or_null(COUNT),
    "cut_at": or_null(TEXT), "answer_prefix": or_null(TEXT), "answer_reserve": or_null(COUNT),
    "thinking_share": or_null(_SHARE), "loop_guard": or_null(TEXT), "request": or_null(TEXT), "digest": or_null(TEXT),
    "question": TEXT, "answer": TEXT, "extracted": or_null(TEXT), "gold": TEXT, "transcript": _TRANSCRIPT,
}  # fmt: skip


def _row(record: Any, where: str) -> Row:
    check(record, _NEEDED, where, optional=_OPTIONAL, others=False)
    return Row(**record)


def _is_piece(piece: Any) -> bool:
    return isinstance(piece, Mapping) and isinstance(piece.get("text"), str) and isinstance(piece.get("forced"), bool)


def _schema(arrow: Any) -> Any:
    """Stated, so that a file whose optional values are all absent has their types too."""
    kinds = {"str": arrow.string(), "int": arrow.int64(), "float": arrow.float64(), "bool": arrow.bool_()}
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
