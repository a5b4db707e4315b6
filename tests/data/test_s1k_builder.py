"""Files of every kind become the same typed rows."""

import csv
import sys
import tempfile
from pathlib import Path

import pytest

pytest.importorskip("datasets")

from hypothesis import given, settings
from hypothesis import strategies as st
from s1k_files import KINDS, OWN_ROWS, S1K_ROWS, write

from s1_hf.data.s1k import HUB, load_s1k
from s1_hf.data.s1k_builder import S1K


@pytest.mark.parametrize("streaming", [False, True])
@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_file_gives_the_same_rows(tmp_path, load, kind, streaming):
    rows = list(load(path=write(tmp_path / f"x.{kind}", S1K_ROWS), streaming=streaming))
    null = "" if kind == "csv" else None  # csv has no null
    assert rows == [{**row, "cot": null} for row in S1K_ROWS]


def test_a_row_whose_traces_are_one_text_has_one_trace(tmp_path, load):
    rows = [{**OWN_ROWS[0], "thinking_trajectories": '["this", "is a text"]'}]
    assert load(path=write(tmp_path / "x.jsonl", rows))[0]["thinking_trajectories"] == ['["this", "is a text"]']


def test_other_columns_become_json_if_they_are_not_strings(tmp_path, load):
    rows = [{**OWN_ROWS[0], "solution": 2, "metadata": {"é": [1, None]}}]
    row = load(path=write(tmp_path / "x.jsonl", rows))[0]
    assert (row["solution"], row["metadata"]) == ("2", '{"é": [1, null]}')


@pytest.mark.parametrize("kind", KINDS)
def test_any_text_survives_any_kind_of_file(kind):
    """The law: what is written is read, character for character. 60 cases per kind."""
    no_nul = kind == "csv" and sys.version_info < (3, 11)  # the csv module of Python 3.10 cannot read or write it
    texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0" if no_nul else ""))

    @settings(max_examples=60, deadline=None)
    @given(st.lists(st.fixed_dictionaries({
        "question": texts, "thinking_trajectories": st.lists(texts, min_size=1), "attempt": texts, "solution": texts,
    }), min_size=1, max_size=3))  # fmt: skip
    def check(rows):
        with tempfile.TemporaryDirectory() as folder:
            path = write(Path(folder, f"x.{kind}"), rows)
            assert list(load_s1k(path=path, streaming=True, cache_dir=folder)) == rows

    check()


# CSV


@pytest.mark.parametrize("text", ["a plain trace", "[x] a box ticked", "[1, 2] is a list, but not of texts", "[1]"])
def test_a_csv_cell_that_is_not_a_json_list_of_strings_is_one_trace(tmp_path, load, text):
    path = write(tmp_path / "x.csv", [{**OWN_ROWS[0], "thinking_trajectories": text}])
    assert load(path=path)[0]["thinking_trajectories"] == [text]


@pytest.mark.parametrize("printed", ["['a', 'b']", "['a' 'b']", '["it\'s" "b"]'])
def test_a_csv_cell_with_a_list_as_python_or_numpy_prints_it_is_refused(tmp_path, load, printed):
    path = write(tmp_path / "x.csv", [{**OWN_ROWS[0], "thinking_trajectories": printed}])
    with pytest.raises(ValueError, match="JSON list of traces, but is .*json.dumps"):
        load(path=path)


def test_a_csv_cell_may_be_longer_than_pythons_reader_takes(tmp_path, load):
    assert csv.field_size_limit() == 131072
    rows = [{**OWN_ROWS[0], "attempt": "x\n" * 500_000}]
    assert load(path=write(tmp_path / "x.csv", rows))[0]["attempt"] == rows[0]["attempt"]
    assert csv.field_size_limit() == 131072


def test_a_csv_file_may_begin_with_a_byte_order_mark(tmp_path, load):
    path = write(tmp_path / "x.csv", OWN_ROWS)
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    assert load(path=path)[0]["question"] == "1+1?"


def test_csv_cells_that_look_like_numbers_or_nulls_stay_strings(tmp_path, load):
    path = write(tmp_path / "x.csv", [{**OWN_ROWS[0], "attempt": "025", "question": "NA", "solution": "null"}])
    row = load(path=path)[0]
    assert (row["attempt"], row["question"], row["solution"]) == ("025", "NA", "null")


# JSON


def test_a_json_file_may_have_one_object_per_line(tmp_path, load):
    path = write(tmp_path / "x.jsonl", S1K_ROWS).rename(tmp_path / "x.json")
    assert list(load(path=path)) == S1K_ROWS


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[1]", "row 0 has to be an object, but is 1"),
        ("{", r"json cannot be read as a \.json file: line 1 is not JSON"),
    ],
)
def test_a_file_that_is_not_valid_json_is_refused(tmp_path, load, text, message):
    path = tmp_path / "x.json"
    path.write_text(text)
    with pytest.raises(ValueError, match=message):
        load(path=path)


def test_the_builder_has_a_config_for_every_dataset():
    assert list(S1K.builder_configs) == [*HUB, "files"]


# Errors


@pytest.mark.parametrize("streaming", [False, True])
def test_values_of_the_wrong_type_are_named_and_counted(tmp_path, load, streaming):
    rows = [{"question": 1, "thinking_trajectories": ["t", 2], "attempt": {"text": "x"}}] * 3
    with pytest.raises(ValueError) as caught:
        list(load(path=write(tmp_path / "x.jsonl", rows), streaming=streaming))
    text = str(caught.value)
    assert "row 0: `question` has to be a string, but is 1 (int)" in text
    assert "row 0: `thinking_trajectories` has to be a list of strings, but is ['t', 2] (list)" in text
    assert text.endswith("and 4 more.")


def test_the_number_of_a_wrong_row_counts_from_the_files_first(tmp_path, load):
    rows = [*OWN_ROWS * 250, {**OWN_ROWS[0], "attempt": 2}]
    with pytest.raises(ValueError, match="row 250: `attempt` has to be a string, but is 2"):
        load(path=write(tmp_path / "x.jsonl", rows))
