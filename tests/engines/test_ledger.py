"""The ledger of a run: what a kill leaves, and what is never used again for something else."""

from __future__ import annotations

from pathlib import Path

import pytest

from lamp_requests import lamp_engine, lamp_requests, run_all
from s1_hf.engines import ledger as ledgers
from s1_hf.engines.engine import Recorded, completion_from, completion_to_dict
from s1_hf.engines.ledger import Ledger


def entries(*names: str) -> dict[str, dict]:
    return {name: {"thinking": "thought", "token_ids": [1, 2, 3], "of": name} for name in names}


def test_what_was_appended_is_read_from_the_files_of_all_processes(tmp_path):
    for process in (0, 1):
        Ledger(tmp_path, {}, process).append(entries(f"a{process}", f"b{process}"))
    found = Ledger(tmp_path, {}).read()
    assert found.keys() == {"a0", "b0", "a1", "b1"}
    assert found["a0"] == entries("a0")["a0"]


@pytest.mark.parametrize("line", [b"garbage", b"[1, 2]", b'{"a": 1}', b"null", b"\xff\xfe"])
def test_a_line_that_is_not_one_of_a_ledger_is_named(tmp_path, line):
    ledger = Ledger(tmp_path)
    for names in ("ab", "cd"):
        ledger.append(entries(*names))
    lines = ledger.file.read_bytes().splitlines(keepends=True)
    ledger.file.write_bytes(line + b"\n" + lines[1])
    with pytest.raises(ValueError, match="Line 1 of .*finished.jsonl is not (a line|JSON).*. Delete that line"):
        Ledger(tmp_path).read()


@pytest.mark.parametrize("cut", [1, 30, 100])
def test_a_batch_that_was_being_written_is_dropped_as_a_whole(tmp_path, cut):
    ledger = Ledger(tmp_path)
    for names in ("ab", "cd"):
        ledger.append(entries(*names))
    ledger.file.write_bytes(ledger.file.read_bytes()[:-cut])
    assert Ledger(tmp_path).read().keys() == {"a", "b"}
    Ledger(tmp_path).append(entries("e", "f"))
    assert Ledger(tmp_path).read().keys() == {"a", "b", "e", "f"}
    assert ledger.file.read_bytes().count(b"\n") == 2


def test_entries_are_found_in_the_files_of_all_processes_also_those_that_came_later(tmp_path):
    ledger, other = Ledger(tmp_path), Ledger(tmp_path, process=1)
    assert ledger.find(["a"]) == {} and not ledger.keys()
    ledger.append(entries("a", "b"))
    other.append(entries("c"))
    assert ledger.find(["c", "a", "none"]) == other.find("ca") == entries("a", "c")
    with ledger.file.open("ab") as stream:
        stream.write(b'{"torn": {"thi')
    other.append(entries("d"))
    assert ledger.find(["torn", "d"]) == entries("d") and set(ledger.keys()) == set("abcd")
    ledger.append({"a": {"new": 1}})
    assert ledger.find("a") == {"a": {"new": 1}} and ledger.find("bcd") == entries("b", "c", "d")


def test_lines_are_read_once_to_know_them_and_again_to_take_an_entry(tmp_path, monkeypatch):
    """A run asks batch after batch: reading everything each time would take the square of its length."""
    read, parse = [], ledgers.parse
    monkeypatch.setattr(ledgers, "parse", lambda line, where: read.append(line) or parse(line, where))
    ledger = Ledger(tmp_path)
    for name in "abcdefgh":
        ledger.find(name)
        ledger.append(entries(name))
    assert set(ledger.keys()) == set("abcdefgh") and len(read) == 8
    ledger.find("c")
    assert len(read) == 9


def test_a_line_that_is_not_one_of_a_ledger_is_named_by_its_number_also_if_it_came_later(tmp_path):
    ledger = Ledger(tmp_path)
    ledger.append(entries("a"))
    ledger.find("a")
    ledger.file.write_bytes(ledger.file.read_bytes() + b"garbage\n")
    with pytest.raises(ValueError, match="Line 2 of .*finished.jsonl is not JSON"):
        ledger.find("a")


def test_settings_are_written_down_for_the_reader(tmp_path):
    Ledger(tmp_path, {"weights": "w"}).write_settings()
    Ledger(tmp_path, {"weights": "other"}, process=1).write_settings()
    assert (tmp_path / "settings.json").read_text().split() == ["{", '"weights":', '"w"', "}"]
    assert Ledger(tmp_path / "new").read() == {} and not (tmp_path / "new" / "settings.json").exists()


# -- engines that keep what is finished -----------------------------------------------------------------------------


def recorded(folder: Path, **options) -> tuple[Recorded, list]:
    """An engine with a ledger, and the sizes of the batches that it really runs."""
    engine, sizes = lamp_engine(**options), []
    run = engine.run

    def counted(requests, on_step):
        for batch in run(requests, on_step):
            sizes.append(len(batch))
            yield batch

    engine.run = counted
    return Recorded(engine, Ledger(folder)), sizes


def test_what_is_finished_is_not_generated_again(tmp_path):
    engine, sizes = recorded(tmp_path, batch_size=2)
    requests = lamp_requests(lamp_engine(), 3, max_thinking_tokens=9)
    first = run_all(engine, requests)
    again, more = recorded(tmp_path)
    assert run_all(again, requests) == first
    assert (sizes, more) == ([2, 1], [])


def test_more_problems_and_samples_use_what_is_there(tmp_path):
    few, sizes = recorded(tmp_path, batch_size=2)
    options = {"temperature": 1.0, "max_new_tokens": 40}
    run_all(few, lamp_requests(lamp_engine(), 2, samples=2, **options))
    many, more = recorded(tmp_path, batch_size=2)
    run_all(many, lamp_requests(lamp_engine(), 3, samples=3, **options))
    assert (sum(sizes), sum(more)) == (4, 5)


def test_a_run_that_stops_anywhere_resumes_with_the_batches_of_an_unbroken_one(tmp_path):
    requests = lamp_requests(lamp_engine(), 5, temperature=1.0, max_new_tokens=60)
    whole, _ = recorded(tmp_path / "whole", batch_size=2)
    expected = run_all(whole, requests)
    for stop in (0, 1, 2):
        broken, _ = recorded(tmp_path / str(stop), batch_size=2)
        batches = broken.run(requests, lambda rows: None)
        for _ in range(1 + stop):  # the first list is what was found
            next(batches)
        batches.close()
        resumed, sizes = recorded(tmp_path / str(stop), batch_size=2)
        assert run_all(resumed, requests) == expected
        assert sizes == [2, 2, 1][stop:]


def test_other_weights_share_nothing_in_one_ledger(tmp_path):
    one, other = lamp_engine(), lamp_engine()
    other._weights = "other"
    requests = lamp_requests(one, 1, max_thinking_tokens=5)
    run_all(Recorded(one, Ledger(tmp_path)), requests)
    assert Recorded(other, Ledger(tmp_path)).found(requests) == []
    assert len(Recorded(one, Ledger(tmp_path)).found(requests)) == 1


def test_completions_come_back_as_they_were():
    engine = lamp_engine()
    for completion in run_all(engine, lamp_requests(engine, 2, num_ignores=1)):
        assert completion_from(completion_to_dict(completion)) == completion


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"ended": "exploded"}, "`ended` has to be one of natural"),
        ({"forced": None}, "`forced` has to be a list of whole numbers"),
        ({"forced": [9999]}, "`forced` has to hold different positions in `token_ids`"),
        ({"forced": [0, 0]}, "`forced` has to hold different positions in `token_ids`"),
        ({"token_ids": 3}, "`token_ids` has to be a list of whole numbers"),
        ({"token_ids": [1.5]}, "`token_ids` has to be a list of whole numbers"),
        ({"token_ids": [], "forced": []}, "`token_ids` is too short|`token_ids` has to hold all tokens"),
        ({"thinking_tokens": "9"}, '`thinking_tokens` has to be a whole number .* but is "9"'),
        ({"thinking_tokens": True}, "`thinking_tokens` has to be a whole number .* but is true"),
        ({"thinking_tokens": 2**54}, "`thinking_tokens` has to be a whole number"),
        ({"answer": ["a"]}, "`answer` has to be a text"),
        ({"problem": "another"}, "does not answer what it was asked for"),
        ({"token_ids": [1] * 1000}, "does not answer what it was asked for"),
    ],
)
def test_an_entry_that_is_not_a_completion_of_its_request_is_refused_with_its_line(tmp_path, wrong, said):
    requests = lamp_requests(lamp_engine(), 1, max_thinking_tokens=5, max_new_tokens=60)
    engine, _ = recorded(tmp_path)
    run_all(engine, requests)
    ((key, entry),) = Ledger(tmp_path).read().items()
    Ledger(tmp_path).append({key: entry | wrong})  # the last one counts
    with pytest.raises(ValueError, match=f"Line 2 of .*finished.jsonl:? .*({said}).* Delete that line"):
        recorded(tmp_path)[0].found(requests)
