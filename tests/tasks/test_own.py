"""Questions and answers in files as tasks: what is taken from where, and errors that name the file, row and column."""

from __future__ import annotations

import json

import pytest

pytest.importorskip("datasets")

from s1_hf.tasks.errors import TaskError
from s1_hf.tasks.own import OwnColumns, in_words, task_of_file
from s1_hf.tasks.problems import problems_of, task_of

CHAT = [{"role": "user", "content": "1+1?"}]


@pytest.fixture
def file(tmp_path):
    """Writes rows, or text, under a name."""

    def write(rows, name="mine.jsonl"):
        path = tmp_path / name
        text = rows if isinstance(rows, str) else "".join(json.dumps(row) + "\n" for row in rows)
        path.write_bytes(text.encode())
        return path

    return write


def only(path, **columns):
    (problem,) = task_of_file(path, OwnColumns(**columns)).problems
    return problem


@pytest.mark.parametrize(
    ("row", "question", "gold"),
    [
        ({"question": "1+1?", "answer": "2"}, "1+1?", "2"),
        ({"Problem": "1+1?", "Answer": 2}, "1+1?", "2"),
        ({"id": 7, "prompt": "1+1?", "gold": 0.5}, "1+1?", "0.5"),
        ({"problem": "1+1?", "solution": "So it is\n$\\boxed{\\frac{1}{2}}$."}, "1+1?", "\\frac{1}{2}"),  # MATH
        ({"question": "1+1?", "answer": "One and one.\n#### 1,002"}, "1+1?", "1,002"),  # GSM8K
        ({"question": "1+1?", "solution": "long", "answer": "2"}, "1+1?", "2"),
        ({"instruction": "1+1?", "output": "2"}, "1+1?", "2"),
        ({"messages": CHAT, "target": "2"}, CHAT, "2"),
    ],
    ids=str,
)
def test_columns_with_usual_names_are_found(file, row, question, gold):
    problem = only(file([row]))
    assert (problem.prompt, problem.gold, problem.kind, problem.id) == (question, gold, "math", "0")


@pytest.mark.parametrize(
    ("answer", "gold"),
    [("B", "B"), ("b", "B"), ("Jupiter", "B"), (1, "B"), ("1", "B"), (0, "A"), ("D", None), (3, None)],
)
def test_a_choice_is_named_by_its_letter_its_text_or_its_number(file, answer, gold):
    path = file([{"question": "The largest?", "choices": ["Mars", "Jupiter", "Venus"], "answer": answer}])
    if gold is None:
        with pytest.raises(TaskError, match=r"row 1: the answer '.' is no letter of ABC"):
            only(path)
        return
    problem = only(path)
    assert problem.prompt == "The largest?\n\nA) Mars\nB) Jupiter\nC) Venus"
    assert (problem.gold, problem.kind) == (gold, "choice")


@pytest.mark.parametrize(
    ("choices", "answer", "gold"),
    [
        (["2", "4", "0", "6"], 0, "A"),  # MMLU: a number counts the choices
        (["2", "4", "0", "6"], "0", "C"),  # a text is the choice's own, if it is one
        ({"text": ["x", "y"], "label": ["A", "B"]}, "B", "B"),  # ARC
        ({"B": "y", "A": "x"}, "y", "B"),
        ('["x", "y"]', "A", "A"),  # in CSV files
    ],
)
def test_choices_come_in_the_shapes_of_well_known_sets(file, choices, answer, gold):
    problem = only(file([{"question": "?", "options": choices, "answer": answer}]))
    assert problem.gold == gold and problem.prompt.count("\n") >= 3


def test_letters_without_a_column_of_choices(file):
    path = file([{"question": "A) x B) y", "answer": "(B)"}])
    assert only(path, kind="choice").prompt == "A) x B) y"


def test_a_csv_file_as_spreadsheets_write_it(file):
    text = '\ufeffproblem,final\r\n"1, 2, ...?",03\r\n"two\nlines",7\r\n'
    task = task_of_file(file(text, "sums.csv"), OwnColumns(answer="final"))
    assert [(one.prompt, one.gold) for one in task.problems] == [("1, 2, ...?", "03"), ("two\nlines", "7")]
    assert task.name == "sums.csv" and {one.task for one in task.problems} == {"sums.csv"}
    assert "2 questions from 'problem', right answers from 'final' (kind: math" in in_words(task)


def test_a_list_in_json_and_parquet(file, tmp_path):
    import pyarrow.parquet as pq
    from pyarrow import Table

    rows = [{"question": "1+1?", "answer": "2"}, {"question": "2+2?", "answer": "4"}]
    pq.write_table(Table.from_pylist(rows), tmp_path / "mine.parquet")
    for path in (file(json.dumps(rows), "mine.json"), tmp_path / "mine.parquet"):
        assert [one.gold for one in problems_of(str(path))] == ["2", "4"]
    assert task_of(str(path), samples=3).samples == 3


@pytest.mark.parametrize(
    ("rows", "columns", "message"),
    [
        (
            [{"q": "1", "answer": "2"}],
            {},
            "a usual name for the question .*'q', 'answer'.*--question-column",
        ),
        ([{"question": "1", "a": "2"}], {}, "no column with a usual name for the answer .*--answer-column"),
        ([{"question": "1", "answer": "2"}], {"answer": "anwser"}, "no column 'anwser'.*Did you mean 'answer'"),
        ([{"question": "1", "answer": "2"}, {"question": "", "answer": "2"}], {}, "row 2: 'question' has to be a text"),
        ([{"question": "1", "answer": " "}], {}, "row 1: 'answer' has to be the right answer, but is empty"),
        ([{"question": "1", "answer": None}], {}, "row 1: 'answer' has to be the right answer"),
        ([{"question": "1", "answer": "seven"}], {"kind": "choice"}, "row 1: .*a letter from A to J"),
        ([{"question": "1", "choices": ["x"], "answer": "A"}], {}, "'choices' has to be a list of 2 to 10 choices"),
    ],
)
def test_what_cannot_be_used_is_named(file, rows, columns, message):
    with pytest.raises(TaskError, match=message):
        task_of_file(file(rows), OwnColumns(**columns))


def test_no_file_and_no_rows(file, tmp_path):
    with pytest.raises(TaskError, match="There is no file .*gone.jsonl"):
        task_of_file(tmp_path / "gone.jsonl")
    with pytest.raises(ValueError, match="no column with a usual name"):
        task_of_file(file(""))
    with pytest.raises(TaskError, match="has to hold at least one question"):
        task_of_file(file("question,answer\n", "mine.csv"))
