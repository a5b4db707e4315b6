"""Rows: the schema on disk and back, and what is refused."""

from __future__ import annotations

import dataclasses
import json
import math

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from result_rows import a_row

from s1_hf import Budget
from s1_hf.engines.request import Request
from s1_hf.forcing.columns import columns_of
from s1_hf.forcing.confidence import Confidence
from s1_hf.forcing.report import Report
from s1_hf.generation.chats import Completion
from s1_hf.results.rows import (
    ENDED,
    Problem,
    Row,
    load_rows,
    pieces,
    promises_of,
    promising_nothing,
    row_of,
    save_rows,
    write_about,
)
from toys import toy_tokenizer

common = {"deadline": None, "derandomize": True, "database": None, "suppress_health_check": list(HealthCheck)}


texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=6)


rows_strategy = st.lists(
    st.builds(
        Row,
        method=texts, setting=texts, task=texts, problem=texts, sample=st.integers(0, 9),
        thinking_tokens=st.integers(0, 10**6), answer_tokens=st.integers(0, 99), correct=st.booleans(),
        ended=st.sampled_from(["natural", "cut", "not_found"]), ends_ignored=st.integers(0, 9),
        total_tokens=st.integers(0, 10**9), tries=st.integers(0, 999), confidence=st.none() | st.floats(0, 1),
        promised_max_tokens=st.none() | st.integers(0, 10**6), promised_min_tokens=st.none() | st.integers(0, 10**6),
        max_thinking_tokens=st.none() | st.integers(0, 10**6), min_thinking_tokens=st.none() | st.integers(0, 10**6),
        num_ignores=st.none() | st.integers(0, 9), wait_text=st.none() | texts, cut_text=st.none() | texts,
        cut_window=st.none() | st.integers(0, 99), cut_at=st.none() | texts, answer_prefix=st.none() | texts,
        answer_reserve=st.none() | st.integers(0, 99), thinking_share=st.none() | st.floats(0.01, 1),
        loop_guard=st.none() | texts, request=st.none() | texts, digest=st.none() | texts,
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
    budget = Budget(max_thinking_tokens=9, min_thinking_tokens=2, num_ignores=1)
    asked = Request(prompt=(1, 2), max_new_tokens=8, budget=budget, sample=3)
    names = {"request": asked, "method": "m", "setting": "s", **promises_of(budget)}
    row = row_of(done, Problem("p", "What?", "7", "t"), tokenizer, **names)
    assert (row.correct, row.extracted, row.gold, row.question) == (True, "7", "7", "What?")
    assert (row.thinking_tokens, row.answer_tokens, row.ends_ignored, row.total_tokens) == (3, 4, 1, len(ids))
    assert (row.sample, row.budget, row.promises) == (3, budget, (2, 9))
    assert [p["forced"] for p in row.transcript] == [False, True]
    assert "".join(p["text"] for p in pieces(tokenizer, ids, forced)) == tokenizer.decode(ids)
    plain = {"graded": (False, None), "with_transcript": False}
    told = row_of(done, Problem("p", "What?", "7", "t"), tokenizer, **names, **plain)
    assert told == dataclasses.replace(row, correct=False, extracted=None, transcript=())
    others = [
        dataclasses.replace(done, forced=(False,) * len(ids)),
        dataclasses.replace(done, token_ids=(*ids[:-1], ids[-1] + 1)),
    ]
    digests = {row_of(one, Problem("p", "What?", "7", "t"), tokenizer, **names, **plain).digest for one in others}
    assert len({row.digest, *digests}) == 3


OLD = {
    "method": "m", "setting": "cap 9", "task": "t", "problem": "1", "sample": 0, "thinking_tokens": 8,
    "answer_tokens": 2, "correct": True, "ended": "cut", "ends_ignored": 1, "total_tokens": 12, "tries": 1,
    "max_thinking_tokens": 9, "min_thinking_tokens": None, "question": "q", "answer": "a", "extracted": None,
    "gold": "g", "transcript": [],
}  # fmt: skip


@pytest.mark.parametrize("name", ["rows.jsonl", "rows.parquet"])
def test_files_of_older_versions_are_read_and_say_what_they_promise_but_no_budget(tmp_path, name):
    if name.endswith("parquet"):
        datasets = pytest.importorskip("datasets")
        datasets.Dataset.from_list([OLD | {"transcript": [{"text": "a", "forced": True}]}]).to_parquet(tmp_path / name)
    else:
        (tmp_path / name).write_text(json.dumps(OLD))
    (row,) = load_rows(tmp_path)
    assert (row.budget, row.promises, row.max_thinking_tokens, row.num_ignores) == (None, (None, 9), 9, None)
    assert load_rows(save_rows([row], tmp_path / "again" / name)) == [row]
    assert promising_nothing(row).promises == (None, None)


def test_what_promises_nothing_keeps_its_budget():
    budget = Budget(max_thinking_tokens=9)
    row = a_row(**columns_of(budget), promised_max_tokens=9)
    assert (row.promises, promising_nothing(row).promises, promising_nothing(row).budget) == (
        (None, 9),
        (None, None),
        budget,
    )


def test_rows_are_a_table_of_pandas_in_one_line(tmp_path):
    pandas = pytest.importorskip("pandas")
    rows = [a_row(**columns_of(Budget(num_ignores=n)), problem=str(n), correct=n > 0) for n in range(3)]
    table = pandas.DataFrame(load_rows(save_rows(rows, tmp_path / "rows.jsonl")))
    assert table.groupby("num_ignores")["correct"].mean().to_dict() == {0: 0, 1: 1, 2: 1}
    assert list(table.columns) == [one.name for one in dataclasses.fields(Row)]


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


def measured(said: str, sure: list[float], top: int = 1, **fields) -> float | None:
    """The confidence of an answer of `said` whose tokens were that sure, behind a thought and its end."""
    tokenizer = toy_tokenizer("s1")
    answer = tokenizer.encode(said)
    ids = (*tokenizer.encode("a"), *answer, tokenizer.eos_token_id)
    forced = (False, True) + (False,) * (len(ids) - 2)
    report = Report(thinking_tokens=1, ended="natural", ends_ignored=0, forced=forced, answer_tokens=len(answer))
    done = Completion("a", said, tokenizer.decode(ids[:-1]), ids, forced, report, confidences=tuple(sure))
    done = dataclasses.replace(done, **fields)
    request = Request(prompt=(1,), max_new_tokens=9, confidence=Confidence(top))
    return row_of(done, Problem("0", "?", "7"), tokenizer, request=request, method="m", setting="s").confidence


def test_the_confidence_of_an_answer():
    """Of what the model chose of it: without thinking, forced tokens and the end of sequence."""
    assert measured("xyz", [9.0, 9.0, 0.2, 0.4, 9.0]) == pytest.approx(math.exp(-0.3))
    assert measured("xyz", [9.0, 9.0, 0.2, 0.4, 9.0], top=20) is None
    assert measured("xyz", [0.0] * 5, confidences=None) is None
    # Of a row that goes on from a pause only what came after it was measured for this request.
    assert measured("xyz", [0.4, 9.0]) == pytest.approx(math.exp(-0.4))
    # A row that was cut off, which ends with no end of sequence.
    ids = tuple(toy_tokenizer("s1").encode("axyz"))
    cut = {"token_ids": ids, "forced": (False, True, False, False), "text": "axyz"}
    assert measured("xyz", [9.0, 9.0, 0.2, 0.4], **cut) == pytest.approx(math.exp(-0.3))
    # Nothing of it was chosen; there is none.
    assert measured("xyz", [0.0] * 5, forced=(True,) * 5) is None
    unfinished = Report(thinking_tokens=4, ended="unfinished", ends_ignored=0, forced=(False,) * 5, answer_tokens=0)
    assert measured("xyz", [0.0] * 5, report=unfinished) is None


def test_files_without_confidences_are_read(tmp_path):
    record = dataclasses.asdict(a_row())
    del record["confidence"]
    (tmp_path / "rows.jsonl").write_text(json.dumps(record) + "\n")
    assert load_rows(tmp_path)[0].confidence is None
    for wrong in ("high", 1.5, -0.1, True):
        (tmp_path / "rows.jsonl").write_text(json.dumps(record | {"confidence": wrong}) + "\n")
        with pytest.raises(ValueError, match="`confidence` has to be a number from 0 to 1"):
            load_rows(tmp_path)
