"""Tasks of one's own: questions and answers in a file ([as a page](../../../docs/own_tasks.md))."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Any

from s1_hf.grading.equality import checked_gold
from s1_hf.grading.extraction import extract_answer
from s1_hf.records import parse
from s1_hf.results.rows import Problem
from s1_hf.tasks.errors import TaskError
from s1_hf.tasks.items import LETTERS, lettered
from s1_hf.tasks.task import Task

if TYPE_CHECKING:
    from s1_hf.grading.extraction import AnswerKind

ENDINGS = (".jsonl", ".json", ".csv", ".parquet")

GUESSES = {
    "question": ("question", "problem", "prompt", "messages", "query", "instruction", "input"),
    "answer": ("answer", "gold", "final_answer", "target", "solution", "expected", "label", "answer_index", "output"),
    "choices": ("choices", "options"),
}


@dataclass(frozen=True, kw_only=True)
class OwnColumns:
    """What is where in a file of questions and answers. What is not given is guessed by usual names.

    Args:
        question (`str`, *optional*): a text or a chat; by default the first of `question`, `problem`, `prompt`,
            `messages`, `query`, `instruction`, `input` that there is.
        answer (`str`, *optional*): the right answer, or a worked solution that ends with it; by default the first of
            `answer`, `gold`, `final_answer`, `target`, `solution`, `expected`, `label`, `answer_index`, `output`.
        choices (`str`, *optional*): a list of texts, which are asked as A), B), ...; by default `choices` or
            `options`. The answer is then a letter, the text of a choice, or a number counted from 0.
        kind (`str`, *optional*): of the answers, `"math"` or `"choice"`; by default `"choice"` if there are choices.
    """

    question: str | None = None
    answer: str | None = None
    choices: str | None = None
    kind: AnswerKind | None = None


def is_file(name: str) -> bool:
    """Whether a task's name is that of a file."""
    return Path(name).suffix.lower() in ENDINGS


def task_of_file(path: str | Path, columns: OwnColumns | None = None, samples: int | None = None) -> Task:
    """The questions of a file as a task; its `source` says which columns were taken.

    Args:
        path (`str` or `Path`): JSON lines, a JSON list, CSV or Parquet; needs the extra `data`.
        columns ([`OwnColumns`], *optional*): by default they are guessed.
        samples (`int`, *optional*): answers to each question, for votes; by default one.

    Raises:
        ValueError: there is no such file or column, or a row has no question or answer that can be used.

    Example:

    ```python
    >>> from pathlib import Path
    >>> from tempfile import TemporaryDirectory
    >>> from s1_hf.tasks.own import task_of_file
    >>> with TemporaryDirectory() as folder:
    ...     file = Path(folder) / "sums.csv"
    ...     _ = file.write_text("problem,solution\\n1+1?,It is \\\\boxed{2}\\n")
    ...     task = task_of_file(file)
    >>> task.problems[0].prompt, task.problems[0].gold, task.source["question"]
    ('1+1?', '2', 'problem')

    ```
    """
    from s1_hf.data.s1k_builder import column_names, read_rows  # imports datasets

    file = Path(path).expanduser()
    if not file.is_file():
        raise TaskError(f"There is no file {path}. A task is a name such as s1:math500, or a file of questions.")
    given = columns or OwnColumns()
    names = column_names(str(file))
    question, answer = _column(given.question, "question", names, file), _column(given.answer, "answer", names, file)
    choices = _column(given.choices, "choices", names, file, needed=False) if given.kind != "math" else None
    kind: AnswerKind = given.kind or ("choice" if choices else "math")
    problems = []
    taken = [name for name in (question, answer, choices) if name is not None]
    for number, row in enumerate(read_rows(str(file), taken)):
        try:
            problems.append(_problem(row, (question, answer, choices), str(number), file.name, kind))
        except ValueError as error:
            raise TaskError(f"{file}, row {number + 1}: {error}") from None
    if not problems:
        raise TaskError(f"{file} has to hold at least one question, but has no rows.")
    source = {"file": str(path), "question": question, "answer": answer, "choices": choices, "kind": kind}
    return Task(file.name, problems, samples, source=source)


def in_words(task: Task) -> str:
    """What was taken from where, of a task of a file."""
    taken = task.source
    choices = f", choices from {taken['choices']!r}" if taken["choices"] else ""
    return (
        f"{taken['file']}: {len(task.problems):,} questions from {taken['question']!r}{choices}, right answers from "
        f"{taken['answer']!r} (kind: {taken['kind']}; the first is {task.problems[0].gold!r:.40})."
    )


def _column(said: str | None, what: str, names: Sequence[str], file: Path, needed: bool = True) -> str | None:
    """The column that is named, or the first that has a usual name, whatever its case."""
    known = ", ".join(map(repr, names)) or "none"
    if said is not None:
        if said not in names:
            near = get_close_matches(said, names, 1)
            hint = f" Did you mean {near[0]!r}?" if near else ""
            raise TaskError(f"{file} has no column {said!r}. Its columns are {known}.{hint}")
        return said
    lowered = {name.strip().lower(): name for name in reversed(names)}
    found = next((lowered[guess] for guess in GUESSES[what] if guess in lowered), None)
    if found is None and needed:
        raise TaskError(
            f"{file} has no column with a usual name for the {what} ({', '.join(GUESSES[what])}). Its columns are "
            f"{known}. Name it: `--{what}-column`."
        )
    return found


def _problem(
    row: Mapping[str, Any], columns: tuple[str | None, str | None, str | None], id: str, task: str, kind: AnswerKind
) -> Problem:
    question, answer, choices = (None if name is None else row.get(name) for name in columns)
    prompt = _prompt(question, columns[0])
    if answer is None or not str(answer).strip():
        raise ValueError(f"{columns[1]!r} has to be the right answer, but is empty.")
    if choices is not None:
        texts = _choices(choices, columns[2])
        prompt, gold = _with_choices(prompt, texts), _letter(answer, texts)
    else:
        gold = _final(answer, kind)
    return Problem(id, prompt, checked_gold(gold, kind), task, kind)


def _prompt(value: Any, name: str | None) -> Any:
    """A text or a chat."""
    if isinstance(value, str) and value.strip():
        return value
    if isinstance(value, list) and value and all(isinstance(one, dict) and "content" in one for one in value):
        return value
    if isinstance(value, int | float) and not isinstance(value, bool):
        return str(value)
    raise ValueError(f"{name!r} has to be a text or a list of messages, but is {value!r:.60}.")


def _final(answer: Any, kind: AnswerKind) -> str:
    """The answer itself, also of a worked solution that ends with it (MATH's box, GSM8K's `####`)."""
    text = str(answer).strip()
    is_worked = "\n" in text or "\\boxed" in text or "####" in text
    return (extract_answer(text, kind) if is_worked else None) or text


def _choices(value: Any, name: str | None) -> list[str]:
    """A list, in a CSV file as JSON; or letters with their texts."""
    if isinstance(value, str):
        try:
            value = parse(value, str(name))
        except ValueError:
            value = None
    if isinstance(value, dict) and isinstance(value.get("text"), list):  # as in ARC
        value = value["text"]
    elif isinstance(value, dict):
        value = [value[key] for key in sorted(value)]
    if not isinstance(value, list) or not 2 <= len(value) <= len(LETTERS):
        raise ValueError(f"{name!r} has to be a list of 2 to {len(LETTERS)} choices, but is {value!r:.60}.")
    return [str(one) for one in value]


def _with_choices(prompt: Any, choices: Sequence[str]) -> Any:
    if isinstance(prompt, str):
        return lettered(prompt, choices)
    last = dict(prompt[-1])
    return [*prompt[:-1], last | {"content": lettered(str(last["content"]), choices)}]


def _letter(answer: Any, choices: Sequence[str]) -> str:
    """Of a choice that is named by its letter, its text, or its number counted from 0."""
    letters, text = LETTERS[: len(choices)], str(answer).strip()
    is_number = isinstance(answer, int)  # in CSV files nothing is: there a number may be a choice's text
    if text in choices and not is_number:
        return letters[list(choices).index(text)]
    if len(text) == 1 and text.upper() in letters:
        return text.upper()
    if text.isdecimal() and int(text) < len(choices):
        return letters[int(text)]
    raise ValueError(f"the answer {text!r:.60} is no letter of {letters}, no choice's text and no number of one.")
