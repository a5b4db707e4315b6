"""Rows: the schema on disk and back, and what is refused."""

from __future__ import annotations

import dataclasses
import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from result_rows import a_row

from s1_hf.forcing.report import Report
from s1_hf.results.rows import ENDED, Problem, Row, load_rows, pieces, row_of, save_rows, write_about
from toys import toy_tokenizer

common = {"deadline": None, "derandomize": True, "database": None, "suppress_health_check": list(HealthCheck)}


texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=6)


rows_strategy = st.lists(
    st.builds(
        Row,
        method=texts, setting=texts, task=texts, problem=texts, sample=st.integers(0, 9),
        thinking_tokens=st.integers(0, 10**6), answer_tokens=st.integers(0, 99), correct=st.booleans(),
        ended=st.sampled_from(["natural", "cut", "not_found"]), ends_ignored=st.integers(0, 9),
        total_tokens=st.integers(0, 10**9), tries=st.integers(0, 999),
        max_thinking_tokens=st.none() | st.integers(0, 10**6), min_thinking_tokens=st.none() | st.integers(0, 10**6),
        question=texts, answer=texts, extracted=st.none() | texts, gold=texts,
        transcript=st.lists(st.fixed_dictionaries({"text": texts, "forced": st.booleans()}), max_size=3),
    ),
    min_size=1, max_size=4,
)  # fmt: skip


@pytest.mark.parametrize("name", ["rows.jsonl", "rows.parquet"])
@given(rows=rows_strategy)
@settings(max_examples=15, **common)
def test_rows_come_back_as_they_were_saved(tmp_path_factory, name, rows):
    if name.endswith("parquet"):
        pytest.importorskip("pyarrow")
    folder = tmp_path_factory.mktemp("rows")
    save_rows(rows, folder / "deeper" / name)
    assert load_rows(folder) == load_rows(folder / "deeper" / name) == rows


def test_rows_with_line_separators_and_lone_surrogates_in_their_texts_come_back(tmp_path):
    rows = [a_row(answer="a\u2028b\x85c\x0bd\r\n", transcript=[]), a_row(answer="\ud800", transcript=[])]
    assert load_rows(save_rows(rows, tmp_path / "rows.jsonl")) == rows


def test_parquet_spells_lone_surrogates_out(tmp_path):
    pytest.importorskip("pyarrow")
    rows = [a_row(answer="a\ud800", transcript=[{"text": "\udfff", "forced": True}])]
    (row,) = load_rows(save_rows(rows, tmp_path / "rows.parquet"))
    assert (row.answer, row.transcript) == ("a\\ud800", [{"text": "\\udfff", "forced": True}])


@pytest.mark.parametrize("transcript", ["text", [1], [{"text": "a"}], [{"text": 1, "forced": True}], {"a": 1}])
def test_an_invalid_transcript_is_refused(tmp_path, transcript):
    record = dataclasses.asdict(a_row()) | {"transcript": transcript}
    (tmp_path / "rows.jsonl").write_text(json.dumps(record))
    with pytest.raises(ValueError, match="Line 1 of .*: `transcript` has to be a list of {'text'"):
        load_rows(tmp_path)


def test_rows_of_all_formats_open_in_datasets(tmp_path):
    datasets = pytest.importorskip("datasets")
    rows = [a_row(), a_row(problem="2", extracted="5", transcript=[{"text": "a", "forced": True}])]
    tables = [
        datasets.Dataset.from_json(str(save_rows(rows, tmp_path / "rows.jsonl")), cache_dir=str(tmp_path)),
        datasets.Dataset.from_parquet(str(save_rows(rows, tmp_path / "rows.parquet")), cache_dir=str(tmp_path)),
    ]
    for table in tables:
        assert [row | {"transcript": len(row["transcript"])} for row in table] == [
            dataclasses.asdict(row) | {"transcript": len(row.transcript)} for row in rows
        ]


def test_a_row_is_graded_and_counted_and_its_transcript_is_cut_where_forcing_begins_and_ends():
    from s1_hf.generation.chats import Completion

    tokenizer = toy_tokenizer("s1")
    ids = tokenizer.encode("ab", add_special_tokens=False) + tokenizer.encode("cd", add_special_tokens=False)
    forced = (False,) * (len(ids) - 1) + (True,)
    done = Completion("ab", "Answer: 7", "", tuple(ids), forced, Report(3, "natural", 1, forced, 4))
    row = row_of(done, Problem("p", "What?", "7", "t"), tokenizer, method="m", setting="s", max_thinking_tokens=9)
    assert (row.correct, row.extracted, row.gold, row.question) == (True, "7", "7", "What?")
    assert (row.thinking_tokens, row.answer_tokens, row.ends_ignored, row.total_tokens) == (3, 4, 1, len(ids))
    assert row.max_thinking_tokens == 9
    assert [p["forced"] for p in row.transcript] == [False, True]
    assert "".join(p["text"] for p in pieces(tokenizer, ids, forced)) == tokenizer.decode(ids)
    told = row_of(
        done, Problem("p", "What?", "7", "t"), tokenizer, method="m", setting="s", max_thinking_tokens=9,
        graded=(False, None), with_transcript=False,
    )  # fmt: skip
    assert told == dataclasses.replace(row, correct=False, extracted=None, transcript=())


def test_thinking_of_a_row_ends_as_in_reports_or_is_not_found():
    assert ENDED == ("natural", "cut", "looped", "handed_over", "unfinished", "never_started", "not_found")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "Line 1 of .* is not JSON"),
        ("[1]", "Line 1 of .* has to be an object with method"),
        ('{"method": "a"}', "Line 1 of .* lacks `setting`, `task`"),
        (json.dumps(dataclasses.asdict(a_row()) | {"extra": 1}), "has unknown `extra`"),
        (json.dumps(dataclasses.asdict(a_row()) | {"ended": "so"}), '`ended` has to be one of natural, .* but is "so"'),
        (
            json.dumps(dataclasses.asdict(a_row(thinking_tokens=-5, tries=-1))),
            "`thinking_tokens` has to be a whole number from 0 .* is -5; `tries` .* is -1",
        ),
        (
            json.dumps(dataclasses.asdict(a_row()) | {"correct": "yes"}),
            "`correct` has to be true or false, but is",
        ),
        ("", "holds no rows at all"),
    ],
)
def test_files_that_contain_something_else_are_refused(tmp_path, content, message):
    (tmp_path / "rows.jsonl").write_text(content)
    with pytest.raises(ValueError, match=message):
        load_rows(tmp_path)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="does not exist"):
        load_rows(tmp_path / "none")
    with pytest.raises(FileNotFoundError, match="holds no rows.jsonl or rows.parquet"):
        load_rows(tmp_path)
    with pytest.raises(ValueError, match="has to end in .jsonl or .parquet"):
        save_rows([], tmp_path / "rows.csv")


def test_what_a_run_was_is_written_next_to_its_rows(tmp_path):
    about = json.loads(write_about(tmp_path, model="m", seed=3).read_text())
    assert (about["model"], about["seed"]) == ("m", 3) and "python" in about["versions"] and about["command"]
