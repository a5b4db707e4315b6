"""What a row of a data set asks, and its right answer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from s1_hf.embedded.problems import Problem

Row = Mapping[str, Any]

_INCORRECT = ("Incorrect Answer 1", "Incorrect Answer 2", "Incorrect Answer 3")
LETTERS = "ABCDEFGHIJ"


@dataclass(frozen=True)
class Item:
    """A question as it is asked, and just its right answer; for a choice the letter."""

    question: str
    answer: str


def math_item(row: Row) -> Item:
    """AIME and MATH-500: just the problem, as in s1's evaluation; the answer is the column `answer`.

    Answers keep their leading zeros ("025"), which grading does not see.
    """
    return Item(str(_cell(row, "problem")), str(_cell(row, "answer")))


def gpqa_item(row: Row) -> Item:
    """GPQA: the question, a blank line, and the choices A) to D), each on its line, as in s1's evaluation.

    **Where we differ**: s1's evaluation shuffles the choices anew in every run (and lighteval's does); here their order
    follows from the record: that of the SHA-256 of `question`, a zero byte, `choice`. It is the same in every run, on
    every machine and for every order of rows, and a change of one letter changes it.

    Example:

    ```python
    >>> from s1_hf.tasks.items import gpqa_item
    >>> row = {"Question": "1+1?", "Correct Answer": "2"} | {f"Incorrect Answer {i}": f"{i + 2}" for i in (1, 2, 3)}
    >>> gpqa_item(row)
    Item(question='1+1?\\n\\nA) 3\\nB) 2\\nC) 4\\nD) 5', answer='B')

    ```
    """
    question, right = str(_cell(row, "Question")), str(_cell(row, "Correct Answer"))
    choices = [right, *(str(_cell(row, name)) for name in _INCORRECT)]
    choices.sort(key=lambda choice: sha256(f"{question}\0{choice}".encode()).digest())
    return Item(lettered(question, choices), LETTERS[choices.index(right)])


def mmlu_pro_item(row: Row) -> Item:
    """MMLU-Pro: up to ten choices, in the order of the data, asked as GPQA's."""
    return Item(lettered(str(_cell(row, "question")), _cell(row, "options")), str(_cell(row, "answer")))


def supergpqa_item(row: Row) -> Item:
    """SuperGPQA: up to ten choices, in the order of the data, asked as GPQA's."""
    return Item(lettered(str(_cell(row, "question")), _cell(row, "options")), str(_cell(row, "answer_letter")))


def lettered(question: str, choices: Sequence[str]) -> str:
    """The question, a blank line, and each choice behind its letter on a line."""
    lines = [f"{letter}) {choice}" for letter, choice in zip(LETTERS, choices, strict=False)]
    return f"{question}\n\n" + "\n".join(lines)


def lamps_item(row: Row) -> Item:
    """The embedded model's problem (`s1_hf.embedded.Problem`)."""
    problem = Problem(*(int(_cell(row, name)) for name in "apbq"))
    return Item(problem.question, str(problem.answer))


def _cell(row: Row, column: str) -> Any:
    value = row.get(column)
    if value is None or value == "":
        columns = ", ".join(name for name in row if not name.startswith("__"))
        raise ValueError(f"A row has no {column!r}, which this task reads. Its columns are: {columns}.")
    return value
