"""Columns are renamed, checked, and repaired where reading a csv file changed their type."""

import pytest

pytest.importorskip("datasets")

from curation_pools import pool
from datasets import Dataset, Value

from s1_hf.curate import (
    Columns,
    as_pool,
)

REPLY = {"attempt": "<think>\nHm.\n</think>\n\nIt is 2."}


@pytest.mark.parametrize(
    ("columns", "said"),
    [
        ({"question": "prompt"}, "`columns.question` is 'prompt', which the pool does not have"),
        ({"question": "attempt"}, "`columns.question` is 'attempt', but the pool also has a column 'question'"),
        ({"ended": "end"}, "`columns.ended` is 'end', which the pool does not have"),
    ],
)
def test_missing_columns_are_refused(columns, said):
    with pytest.raises(ValueError, match=said):
        as_pool(pool({}), Columns(**columns))


@pytest.mark.parametrize(
    ("columns", "said"),
    [
        ({"question": 1.5}, "'question' has to hold texts, but holds .*float64"),
        ({"thinking_trajectories": [1]}, "'thinking_trajectories' has to hold texts, but holds List.*int64"),
        ({"thinking_tokens": 1.5}, "'thinking_tokens' has to hold whole numbers, but holds .*float64"),
        ({"source_type": ["a"]}, "'source_type' has to hold texts"),
    ],
)
def test_columns_of_wrong_types_are_refused(columns, said):
    with pytest.raises(ValueError, match=said):
        as_pool(pool(columns))


def test_answers_that_were_read_as_numbers_become_texts():
    assert as_pool(pool({"attempt": 2, "source_type": 7}))[0]["attempt"] == "2"


def test_blank_cells_of_a_csv_file_that_were_read_as_floats_become_nulls():
    rows = pool({"error": None, "thinking_tokens": None}, {"error": None, "thinking_tokens": 2.0})
    rows = as_pool(rows.cast_column("error", Value("float64")))
    assert rows.to_dict()["error"] == [None, None] and rows.to_dict()["thinking_tokens"] == [None, 2]


@pytest.mark.parametrize("column", ["error", "thinking_tokens"])
def test_nans_are_not_blank_cells(column):
    with pytest.raises(ValueError, match=f"'{column}' has to hold"):
        as_pool(pool({column: float("nan")}))


def test_one_column_may_feed_two_fields():
    """LIMO keeps the trace in `solution`, and one text is the answer and the right one."""
    rows = Dataset.from_list([{"question": "q?", "solution": "Hm.", "answer": "2", "topic": "t"}])
    found = as_pool(rows, Columns(thinking_trajectories="solution", attempt="answer", solution="answer"))
    assert found.to_list() == [
        {"question": "q?", "thinking_trajectories": "Hm.", "attempt": "2", "topic": "t", "solution": "2"}
    ]


def test_rows_that_were_selected_keep_their_order_where_a_column_is_copied():
    rows = Dataset.from_dict({"question": ["a", "b", "c"], "thinking_trajectories": ["x", "y", "z"]}).select([2, 0])
    assert as_pool(rows, Columns(attempt="question", question="question")).to_list() == [
        {"question": "c", "thinking_trajectories": "z", "attempt": "c"},
        {"question": "a", "thinking_trajectories": "x", "attempt": "a"},
    ]


def test_a_column_that_the_recipe_names_elsewhere_stays_under_its_own_name():
    rows = pool({"topic": "t"})
    assert (
        as_pool(rows, Columns(source_type="topic"), kept=["topic"])[0].items()
        >= {"topic": "t", "source_type": "t"}.items()
    )


@pytest.mark.parametrize("text", [REPLY["attempt"], [REPLY["attempt"]]], ids=["text", "list"])
def test_a_reply_is_taken_apart(text):
    rows = Dataset.from_list([{"question": "q?", "generation": text, "n": 1}])
    assert as_pool(rows, Columns(reply="generation")).to_list() == [
        {"question": "q?", "n": 1, "thinking_trajectories": ["Hm."], "attempt": "It is 2.", "error": None}
    ]


def test_messages_are_read_unasked_and_what_is_no_question_and_reply_is_an_error_of_its_row():
    told = [{"role": "user", "content": "q?"}, {"role": "assistant", "content": REPLY["attempt"]}]
    rows = Dataset.from_list([{"messages": told, "source": "s"}, {"messages": told * 2, "source": "s"}])
    good, bad = as_pool(rows, Columns(source_type="source")).to_list()
    assert (good["question"], good["thinking_trajectories"], good["attempt"]) == ("q?", ["Hm."], "It is 2.")
    assert good["error"] is None and bad["question"] is None
    assert bad["error"].startswith("`messages` has to be one question of a user and one reply, but is user, assistant")


def test_an_error_that_the_pool_knows_is_kept():
    rows = Dataset.from_list([{"question": "q?", "generation": "Hm.</think>2", "error": "429"}])
    assert as_pool(rows, Columns(reply="generation"))[0]["error"] == "429"
    rows = Dataset.from_list([{"messages": [], "error": "429"}])
    assert as_pool(rows)[0]["error"] == "429"


def test_errors_have_the_pools_own_names():
    rows = Dataset.from_list([{"problem": 1.5, "thinking_trajectories": "t", "attempt": "a", "n": "x"}])
    with pytest.raises(ValueError, match="'problem' has to hold texts.*\n.*'n' has to hold whole numbers"):
        as_pool(rows, Columns(question="problem", thinking_tokens="n"))
    with pytest.raises(ValueError, match="`columns.reply` is 'problem', but the pool also has a column 'attempt'"):
        as_pool(rows, Columns(reply="problem"))


def test_what_could_be_read_is_offered():
    rows = Dataset.from_list([{"question": "q?", "generation": REPLY["attempt"]}])
    with pytest.raises(ValueError, match="'generation' holds thinking and answer in one text: named as `reply`"):
        as_pool(rows)


def test_two_names_for_one_field_are_refused():
    with pytest.raises(ValueError, match=r"`columns.reply` also holds attempt: leave out one of them"):
        Columns(reply="generation", attempt="answer")
    with pytest.raises(ValueError, match="have to be some of question.*, but are quesion"):
        Columns().changed({"quesion": "problem"})
