"""Pools of questions."""

from __future__ import annotations

import gzip

import pytest
from datasets import Dataset, DatasetDict

from s1_hf.embedded.problems import held_out, problems
from s1_hf.traces import embedded_pool, load_pool
from s1_hf.traces.folder import write_rows

POOL = Dataset.from_dict({"question": ["a, b", "c"], "solution": ["x", "y"], "level": ["1\n2", "3"]})


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", tmp_path / "cache")


@pytest.mark.parametrize("kind", ["parquet", "csv", "json"])
def test_a_file_is_read_with_all_its_columns(tmp_path, kind):
    file = tmp_path / f"pool.{kind}"
    getattr(POOL, f"to_{kind}")(file, **({"index": False} if kind == "csv" else {}))
    assert load_pool(file).to_list() == POOL.to_list()


def test_a_cell_of_a_csv_file_is_a_trace_or_a_json_list_of_them(tmp_path):
    (tmp_path / "pool.csv").write_text('question,thinking_trajectories\na,Hm.\nb,"[""One."", ""Two.""]"\nc,\n')
    assert list(load_pool(tmp_path / "pool.csv")["thinking_trajectories"]) == [["Hm."], ["One.", "Two."], None]


def test_json_lines_are_read(tmp_path):
    POOL.to_json(tmp_path / "pool.jsonl", lines=True)
    assert load_pool(str(tmp_path / "pool.jsonl")).to_list() == POOL.to_list()


@pytest.mark.parametrize("kind", ["jsonl", "json", "csv"])
def test_packed_files_and_byte_order_marks_are_read(tmp_path, kind):
    file = tmp_path / f"pool.{kind}"
    POOL.to_csv(file, index=False) if kind == "csv" else POOL.to_json(file, lines=kind == "jsonl")
    file.write_bytes(b"\xef\xbb\xbf" + file.read_bytes())
    assert load_pool(file).to_list() == POOL.to_list()
    (tmp_path / f"packed.{kind}.gz").write_bytes(gzip.compress(file.read_bytes()))
    assert load_pool(tmp_path / f"packed.{kind}.gz").to_list() == POOL.to_list()


def test_folders_of_save_to_disk_are_read(tmp_path):
    DatasetDict({"train": POOL, "test": POOL.select([0])}).save_to_disk(tmp_path / "pool")
    assert load_pool(tmp_path / "pool").to_list() == POOL.to_list()
    assert load_pool(tmp_path / "pool" / "test").to_list() == POOL.to_list()[:1]


def test_a_folder_is_read(tmp_path):
    write_rows(POOL, tmp_path / "pool")
    assert load_pool(tmp_path / "pool").to_list() == POOL.to_list()


@pytest.mark.parametrize("name", ["./nothing", "/nothing", "pool.csv", "folder/pool.jsonl"])
def test_what_is_not_there_is_said(name):
    with pytest.raises(ValueError, match=f"{name.removeprefix('./')!r} does not exist"):
        load_pool(name)


def test_a_file_of_another_kind_is_refused(tmp_path):
    (tmp_path / "pool.txt").write_text("a")
    with pytest.raises(ValueError, match=r"has to be a file whose name ends in .parquet, .json, .jsonl, .csv"):
        load_pool(tmp_path / "pool.txt")


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("pool.jsonl", '{"question": "a"}\n{"quest'),
        ("pool.parquet", "PAR"),
        ("pool.jsonl", ""),
        ("pool.csv", "thinking_trajectories\n['Hm.']"),  # a list as pandas writes it
    ],
)
def test_a_broken_file_is_refused(tmp_path, name, text):
    (tmp_path / name).write_text(text)
    with pytest.raises(ValueError, match=f"{name} cannot be read: "):
        load_pool(tmp_path / name)


def test_a_name_on_the_hub_that_cannot_be_reached_is_said(monkeypatch):
    def offline(*arguments, **options):
        raise ConnectionError("no network")

    monkeypatch.setattr("datasets.load_dataset", offline)
    with pytest.raises(ConnectionError, match=r"me/pool could not be loaded.*ConnectionError: no network"):
        load_pool("me/pool")


def test_the_embedded_pool_has_different_problems_and_none_that_is_held_out():
    pool = embedded_pool(5000, seed=2)
    questions = set(pool["question"])
    assert len(questions) == 5000
    assert questions.isdisjoint(problem.question for problem in held_out())


def test_the_embedded_pool_has_the_right_answers_and_domains():
    known = {problem.question: problem for problem in problems()}
    for row in embedded_pool(20):
        problem = known[row["question"]]
        assert row["solution"] == str(problem.answer)
        low, high = sorted((problem.p, problem.q))
        assert row["cot_type"] == f"periods {low} and {high}"


def test_the_embedded_pool_follows_its_seed():
    assert embedded_pool(9, seed=1).to_list() == embedded_pool(9, seed=1).to_list()
    assert embedded_pool(9, seed=1).to_list() != embedded_pool(9, seed=2).to_list()


@pytest.mark.parametrize("count", [0, 24_282])
def test_a_pool_of_a_size_that_is_not_there_is_refused(count):
    with pytest.raises(ValueError, match=r"`problems` has to be from 1 to 2\d,\d{3}, .* but is"):
        embedded_pool(count)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ('{"question": "x', r"Line 30001 of .*pool.jsonl is not JSON: Unterminated string"),
        (
            r'{"question": "a \ud800"}',
            r"Line 30001 of .*: `question` has to be a text without lone surrogates",
        ),
    ],
)
def test_a_line_that_cannot_be_read_is_named_by_its_number_in_the_file(tmp_path, line, said):
    """Arrow reads in blocks, and counts rows anew in each."""
    good = [f'{{"question": "{"x" * 60}"}}'] * 30_000
    (tmp_path / "pool.jsonl").write_text("\n".join([*good, line, *good[:3]]) + "\n")
    with pytest.raises(ValueError, match=said):
        load_pool(tmp_path / "pool.jsonl")
