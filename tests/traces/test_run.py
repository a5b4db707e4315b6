"""Runs: what is kept, what is asked again, what is refused, and what comes out. The source is scripted."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import datasets
import pandas
import pytest
from datasets import Dataset

from s1_hf import load_s1k
from s1_hf.data.conversation import check_rows
from s1_hf.traces import Ask, Trace, folder, generate_traces, run


class Scripted:
    """Answers in lists of two, of which `dies_after` come; `attempts`: what to which question; `fails`: on which."""

    draws = True

    def __init__(self, dies_after: int | None = None, fails: str = "", attempts: Any = None, **settings: Any) -> None:
        self.settings = {"model": "m", **settings}
        self.dies_after, self.fails, self.attempts = dies_after, fails, attempts or {}
        self.asked: list[Ask] = []

    def traces(self, asked: Sequence[Ask], on_step: Callable[[int], None]) -> Iterator[list[tuple[Ask, Trace]]]:
        for i in range(0, len(asked), 2):
            if self.dies_after is not None and i // 2 >= self.dies_after:
                raise KeyboardInterrupt
            self.asked += asked[i : i + 2]
            yield [(ask, self._trace(ask)) for ask in asked[i : i + 2]]

    def _trace(self, ask: Ask) -> Trace:
        if ask.question in self.fails:
            return Trace.failed("busy")
        attempt = self.attempts.get(
            (ask.question, ask.sample), self.attempts.get(ask.question, f"Answer: {ask.sample}")
        )
        return Trace(f"thought {ask.question}", attempt, 2, 3, "natural")


def pool_of(questions: str = "abcdefg", **columns: Any) -> Dataset:
    return Dataset.from_dict({"question": list(questions), **columns})


@pytest.mark.parametrize("dies_after", [0, 1, 3])
def test_a_run_that_died_goes_on_and_gives_what_an_unbroken_one_gives(tmp_path, dies_after):
    unbroken = generate_traces(pool_of(), Scripted(), tmp_path / "unbroken")
    with pytest.raises(KeyboardInterrupt):
        generate_traces(pool_of(), Scripted(dies_after), tmp_path / "broken")
    assert not (tmp_path / "broken" / "data").exists()
    again = Scripted()
    assert generate_traces(pool_of(), again, tmp_path / "broken").to_list() == unbroken.to_list()
    assert [ask.question for ask in again.asked] == list("abcdefg"[2 * dies_after :])


@pytest.mark.parametrize("cut", [1, 40])
def test_a_list_that_was_being_written_is_asked_again_as_a_whole(tmp_path, cut):
    rows = generate_traces(pool_of("abcd"), Scripted(), tmp_path)
    file = tmp_path / "finished.jsonl"
    file.write_bytes(file.read_bytes()[:-cut])
    again = Scripted()
    assert generate_traces(pool_of("abcd"), again, tmp_path).to_list() == rows.to_list()
    assert [ask.question for ask in again.asked] == ["c", "d"]


def test_a_line_that_is_no_list_of_traces_is_named(tmp_path):
    generate_traces(pool_of("abcd"), Scripted(), tmp_path)
    file = tmp_path / "finished.jsonl"
    file.write_bytes(file.read_bytes().replace(b'"attempt"', b'"other"', 1))
    with pytest.raises(ValueError, match=r"Line 1 of .*finished.jsonl lacks `attempt`; .*`other` .* Delete that line"):
        generate_traces(pool_of("abcd"), Scripted(), tmp_path)


def test_a_finished_run_asks_nothing(tmp_path):
    generate_traces(pool_of(), Scripted(), tmp_path)
    again = Scripted()
    generate_traces(pool_of(), again, tmp_path)
    assert again.asked == []


def test_a_pool_that_has_grown_and_more_samples_ask_what_is_new(tmp_path):
    generate_traces(pool_of("ab"), Scripted(), tmp_path)
    again = Scripted()
    rows = generate_traces(pool_of("cab"), again, tmp_path, samples=2)
    assert again.asked == [Ask("c", 0), Ask("c", 1), Ask("a", 1), Ask("b", 1)]
    assert list(zip(rows["question"], rows["sample"], strict=True)) == [(q, i) for q in "cab" for i in (0, 1)]
    assert list(rows["attempt"]) == ["Answer: 0", "Answer: 1"] * 3


def test_rows_of_one_question_share_their_traces(tmp_path):
    source = Scripted()
    rows = generate_traces(pool_of("aba", number=[1, 2, 3]), source, tmp_path)
    assert [ask.question for ask in source.asked] == ["a", "b"]
    assert list(rows["number"]) == [1, 2, 3]


def test_errors_are_rows_and_only_asked_again_if_wanted(tmp_path):
    rows = generate_traces(pool_of("abc"), Scripted(fails="b"), tmp_path)
    assert rows[1]["ended"] == "error"
    assert (rows[1]["error"], rows[1]["thinking_trajectories"], rows[1]["attempt"]) == ("busy", [""], "")
    for retry, asked in ((False, []), (True, [Ask("b")]), (True, [])):
        source = Scripted()
        rows = generate_traces(pool_of("abc"), source, tmp_path, retry_errors=retry)
        assert source.asked == asked
    assert list(rows["error"]) == [None] * 3


@pytest.mark.parametrize("blank", [None, "", " \n"])
def test_a_blank_question_is_an_error_and_not_asked(tmp_path, blank):
    source = Scripted()
    rows = generate_traces(Dataset.from_dict({"question": ["a", blank]}), source, tmp_path)
    assert [ask.question for ask in source.asked] == ["a"]
    assert list(rows["error"]) == [None, "the question is blank or no text"]


def test_other_settings_are_refused_and_named(tmp_path):
    generate_traces(pool_of(), Scripted(generation={"temperature": 0.0, "top_k": None}), tmp_path)
    with pytest.raises(ValueError, match=r"`generation.temperature` was 0.0 and is 1.0. Use the same settings, or ano"):
        generate_traces(pool_of(), Scripted(generation={"temperature": 1.0, "top_k": None}), tmp_path)


def test_a_folder_of_traces_is_not_one_of_what_is_solved(tmp_path):
    pool = pool_of("a", solution=["1"])
    generate_traces(pool, Scripted(), tmp_path)
    with pytest.raises(ValueError, match="`solved_as` was None and is 'x'"):
        generate_traces(pool, Scripted(), tmp_path, solved_as="x")


def test_a_folder_with_other_files_is_refused_and_left_alone(tmp_path):
    (tmp_path / "thesis.tex").write_text("mine")
    with pytest.raises(ValueError, match="has to be new, empty, or that of the same run, but .* holds thesis.tex"):
        generate_traces(pool_of(), Scripted(), tmp_path)
    assert not (tmp_path / "settings.json").exists()


def test_settings_that_cannot_be_read_are_named_and_can_be_deleted(tmp_path):
    generate_traces(pool_of(), Scripted(), tmp_path)
    (tmp_path / "settings.json").write_text("{")
    with pytest.raises(ValueError, match=r"settings.json is not JSON: .* delete the file to resume"):
        generate_traces(pool_of(), Scripted(), tmp_path)
    (tmp_path / "settings.json").unlink()
    again = Scripted()
    generate_traces(pool_of(), again, tmp_path)
    assert again.asked == []


def test_a_data_set_is_not_written_over(tmp_path):
    folder.write_rows(pool_of("ab"), tmp_path)
    with pytest.raises(ValueError, match="holds data. Choose another folder"):
        generate_traces(pool_of("ab"), Scripted(), tmp_path)


def test_a_kill_while_the_settings_are_written_leaves_a_folder_that_can_be_used(tmp_path):
    (tmp_path / "_settings.json.part").write_text("{")
    assert len(generate_traces(pool_of("ab"), Scripted(), tmp_path)) == 2


def test_rows_of_several_pieces_stay_in_their_order(tmp_path, monkeypatch):
    monkeypatch.setattr(run, "_PIECE", 3)
    rows = generate_traces(pool_of("abcdefg"), Scripted(), tmp_path)
    assert [trace[0] for trace in rows["thinking_trajectories"]] == [f"thought {q}" for q in rows["question"]]


def test_a_folder_in_use_is_refused(tmp_path):
    hold = "import sys; from s1_hf.engines.locking import exclusive\n"
    hold += "with exclusive(sys.argv[1]): print(flush=True); input()"
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-c", hold, str(tmp_path)]
    with subprocess.Popen(command, stdin=-1, stdout=-1, env=environment) as process:
        process.stdout.readline()
        with pytest.raises(BlockingIOError, match="is in use"):
            generate_traces(pool_of(), Scripted(), tmp_path)
        process.kill()


def test_the_result_is_a_data_set_for_all_who_read_such(tmp_path):
    pool = pool_of("ab", solution=["0", "1"], source_type=["x", "y"], other=[1, 2])
    rows = generate_traces(pool, Scripted(fails="b"), tmp_path)
    hub = datasets.load_dataset(str(tmp_path), cache_dir=str(tmp_path / "cache"))["train"]
    assert hub.to_list() == rows.to_list()
    assert hub.features == rows.features
    assert list(pandas.read_parquet(tmp_path / "data")["ended"]) == ["natural", "error"]
    ours = load_s1k(path=tmp_path, cache_dir=tmp_path / "cache")
    assert (ours[0]["question"], ours[0]["thinking_trajectories"], ours[0]["source_type"]) == ("a", ["thought a"], "x")
    check_rows(ours.select([0]))


def test_columns_have_their_types_though_all_are_null(tmp_path):
    rows = generate_traces(pool_of("a", solution=[None]), Scripted(), tmp_path)
    kinds = {name: rows.features[name].dtype for name in ("error", "correct", "thinking_tokens", "sample")}
    assert kinds == {"error": "string", "correct": "bool", "thinking_tokens": "int64", "sample": "int64"}


def test_a_pools_own_traces_are_replaced_and_its_other_columns_kept(tmp_path):
    pool = pool_of("a", attempt=["old"], thinking_trajectories=[["old"]], correct=["old"], licence=["mit"])
    rows = generate_traces(pool, Scripted(), tmp_path)
    assert (rows[0]["attempt"], rows[0]["licence"]) == ("Answer: 0", "mit")
    assert "correct" not in rows.column_names  # there is no solution


def test_another_column_can_be_asked(tmp_path):
    rows = generate_traces(Dataset.from_dict({"problem": ["a"]}), Scripted(), tmp_path, question_column="problem")
    assert rows[0]["question"] == "a"
    assert "problem" not in rows.column_names


def test_attempts_are_graded_beside_the_answer_of_the_solution(tmp_path):
    attempts = {"a": "So it is \\boxed{\\frac{1}{2}}.", "b": "Answer: 3", "c": "", "d": "Answer: 7"}
    solutions = ["We get\n\n$\\boxed{0.5}$.", "2", "1", "By symmetry.\nThat is all.", "1"]
    pool = pool_of("abcde", solution=solutions)
    rows = generate_traces(pool, Scripted(attempts=attempts, fails="e"), tmp_path)
    assert list(rows["correct"]) == [True, False, False, None, None]


def test_numbers_are_solutions_too(tmp_path):
    attempts = {"a": "Answer: 51", "b": "Answer: 51"}
    rows = generate_traces(pool_of("ab", solution=[51.0, 52.0]), Scripted(attempts=attempts), tmp_path)
    assert list(rows["correct"]) == [True, False]


def test_choices_are_graded_as_letters(tmp_path):
    attempts = {"a": "Answer: (B), sodium", "b": "Answer: B"}
    pool = pool_of("ab", solution=["B", "C"])
    assert list(generate_traces(pool, Scripted(attempts=attempts), tmp_path, kind="choice")["correct"]) == [True, False]


def test_solved_is_whether_any_sample_is_right_and_the_pool_stays_as_it_is(tmp_path):
    attempts = {("a", 1): "Answer: 5", "b": "Answer: 4"}
    pool = pool_of("abc", solution=["5", "5", "5"], attempt=["mine"] * 3, error=["x"] * 3)
    rows = generate_traces(pool, Scripted(attempts=attempts, fails="c"), tmp_path, samples=2, solved_as="7b-qwen_2.5")
    assert list(rows["solved_7b-qwen_2.5"]) == [True, False, None]
    assert rows.remove_columns("solved_7b-qwen_2.5").to_list() == pool.to_list()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"question_column": "problem"}, "has to have the column 'problem', which is asked, but has question, other"),
        ({"question_column": "other"}, "`question_column` is 'other', but the pool has a column 'question' as well"),
        ({"samples": 0}, "`samples` has to be positive, but is 0"),
        ({"kind": "essay"}, "`kind` has to be 'math' or 'choice', but is 'essay'"),
        ({"solved_as": "x"}, "`solved_as` needs the column 'solution'"),
        ({"solved_as": "a b"}, "`solved_as` has to be a name of letters"),
        ({"pool": pool_of("")}, "`pool` has to have rows, but has none"),
        ({"pool": pool_of("a", solution=["1"], solved_x=[True]), "solved_as": "x"}, "has a column 'solved_x' already"),
    ],
)
def test_a_wrong_argument_is_refused_before_anything_is_asked_or_written(tmp_path, arguments, message):
    source = Scripted()
    arguments = {"pool": pool_of("a", other=["b"]), **arguments}
    with pytest.raises(ValueError, match=message):
        generate_traces(arguments.pop("pool"), source, tmp_path / "new", **arguments)
    assert source.asked == []
    assert not (tmp_path / "new").exists()


def test_all_that_is_wrong_is_said_at_once(tmp_path):
    with pytest.raises(ValueError, match=r"(?s)'problem'.*`samples`"):
        generate_traces(pool_of(), Scripted(), tmp_path, question_column="problem", samples=0)


def test_how_far_a_run_is_is_told(tmp_path):
    with pytest.raises(KeyboardInterrupt):
        generate_traces(pool_of("abcde"), Scripted(dies_after=1), tmp_path)
    told: list[Any] = []
    generate_traces(pool_of("abcde"), Scripted(), tmp_path, progress=told.append)
    assert (told[0].found, told[0].done, told[0].total) == (2, 2, 5)
    assert (told[-1].done, told[-1].total, told[-1].tokens) == (5, 5, 15)


def test_the_settings_are_in_the_folder_for_the_reader(tmp_path):
    generate_traces(pool_of("a"), Scripted(temperature=0.5), tmp_path)
    assert json.loads(Path(tmp_path, "settings.json").read_text())["temperature"] == 0.5
