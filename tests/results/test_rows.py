"""Rows: the schema on disk and back, what is refused; and what summaries make of them."""

from __future__ import annotations

import dataclasses
import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from s1_hf.forcing.report import Report
from s1_hf.results.rows import Problem, Row, load_rows, pieces, row_of, save_rows, write_about
from s1_hf.results.summaries import summarize_methods, summarize_settings
from toys import toy_tokenizer

common = {"deadline": None, "derandomize": True, "database": None, "suppress_health_check": list(HealthCheck)}


def a_row(**changes) -> Row:
    first = {"method": "budget forcing", "setting": "cap 8", "task": "t", "problem": "1", "sample": 0}
    return Row(**first | {"thinking_tokens": 8, "answer_tokens": 2, "correct": True, "ended": "cut"} | changes)


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
def test_a_transcript_that_is_none_is_refused(tmp_path, transcript):
    record = dataclasses.asdict(a_row()) | {"transcript": transcript}
    (tmp_path / "rows.jsonl").write_text(json.dumps(record))
    with pytest.raises(ValueError, match="row 1 has a `transcript` that is no list of"):
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


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "Line 1 of .* is not JSON"),
        ("[1]", "row 1 has to be a JSON object"),
        ('{"method": "a"}', "row 1 lacks setting, task"),
        (json.dumps(dataclasses.asdict(a_row()) | {"extra": 1}), "has unknown extra"),
        (json.dumps(dataclasses.asdict(a_row()) | {"ended": "so"}), "`ended` = 'so' .one of natural"),
        (
            json.dumps(dataclasses.asdict(a_row(thinking_tokens=-5, tries=-1))),
            "`thinking_tokens` = -5 .* `tries` = -1 ",
        ),
        (json.dumps(dataclasses.asdict(a_row()) | {"correct": "yes"}), "`correct` = 'yes' .has to be bool"),
        ("", "holds no rows at all"),
    ],
)
def test_files_that_hold_something_else_are_refused(tmp_path, content, message):
    (tmp_path / "rows.jsonl").write_text(content)
    with pytest.raises(ValueError, match=message):
        load_rows(tmp_path)


def test_what_is_not_there_is_said(tmp_path):
    with pytest.raises(FileNotFoundError, match="does not exist"):
        load_rows(tmp_path / "none")
    with pytest.raises(FileNotFoundError, match="holds no rows.jsonl or rows.parquet"):
        load_rows(tmp_path)
    with pytest.raises(ValueError, match="has to end in .jsonl or .parquet"):
        save_rows([], tmp_path / "rows.csv")


def test_what_a_run_was_is_written_beside_its_rows(tmp_path):
    about = json.loads(write_about(tmp_path, model="m", seed=3).read_text())
    assert (about["model"], about["seed"]) == ("m", 3) and "python" in about["versions"] and about["command"]


def test_a_setting_is_summed_up_over_problems_and_samples():
    rows = [
        a_row(problem=str(p), sample=s, correct=p == 0 or s == 1, thinking_tokens=10 * p + s, tries=p + 1)
        for p in range(4)
        for s in range(2)
    ]
    (summary,) = summarize_settings(rows)
    assert (summary.problems, summary.samples, summary.accuracy) == (4, 2, 62.5)
    assert (summary.thinking_tokens, summary.tries) == (15.5, 2.5)
    assert summary.low < 62.5 < summary.high and summary.ended == {"cut": 8}


def test_what_was_not_found_is_wrong_and_costs_tokens_but_has_not_thought():
    rows = [a_row(problem="1", total_tokens=12), a_row(problem="2", total_tokens=90, thinking_tokens=0, correct=False,
            ended="not_found")]  # fmt: skip
    (summary,) = summarize_settings(rows)
    assert (summary.thinking_tokens, summary.total_tokens, summary.accuracy) == (8, 51, 50)
    (nothing,) = summarize_settings(rows[1:])
    assert nothing.thinking_tokens == 0 and summarize_methods([nothing])[0].scaling is None


def test_the_papers_table_3_follows_from_rows():
    """Token-conditional control without and with budget forcing: 40 and 100 %, -24 and 13 a doubling, 40 %."""
    budgets = [1024, 2048, 4096, 8192, 16384]
    points = {
        "TCC": [(7939, 8), (7158, 9), (8263, 10), (7108, 10), (7500, 12)],
        "TCC + BF": [(1024, 1), (2048, 9), (4031, 10), (5664, 10), (6330, 12)],
    }
    rows = [
        a_row(method=method, setting=str(budget), problem=str(i), thinking_tokens=tokens, correct=i < right,
              max_thinking_tokens=budget)
        for method, curve in points.items() for budget, (tokens, right) in zip(budgets, curve, strict=True)
        for i in range(30)
    ]  # fmt: skip
    without, forced = summarize_methods(summarize_settings(rows))
    assert (without.method, without.control, round(without.scaling), without.performance) == ("TCC", 40, -24, 40)
    assert (forced.method, forced.control, round(forced.scaling), forced.performance) == ("TCC + BF", 100, 13, 40)


def test_what_promises_nothing_has_no_control_and_one_setting_no_scaling():
    (method,) = summarize_methods(summarize_settings([a_row(problem="1"), a_row(problem="2", correct=False)]))
    assert (method.control, method.scaling, method.performance, method.settings) == (None, None, 50.0, 1)


def test_tasks_and_methods_are_kept_apart_and_in_order():
    rows = [a_row(task=t, method=m, setting=s) for s in "xy" for m in "ba" for t in "ut"]
    assert [(s.task, s.method, s.setting) for s in summarize_settings(rows)][:2] == [("u", "b", "x"), ("t", "b", "x")]
    assert [(m.task, m.method, m.settings) for m in summarize_methods(summarize_settings(rows))] == [
        ("t", "b", 2), ("t", "a", 2), ("u", "b", 2), ("u", "a", 2),
    ]  # fmt: skip


def test_rows_that_do_not_belong_together_are_refused():
    with pytest.raises(ValueError, match="problem '1' has its sample 0 twice"):
        summarize_settings([a_row(), a_row()])
    with pytest.raises(ValueError, match="from 1 to 2 samples"):
        summarize_settings([a_row(), a_row(sample=1), a_row(problem="2")])
