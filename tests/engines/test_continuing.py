"""What a ledger holds of rows that go on from a pause: every token once, and the same completions again."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from lamp_requests import lamp_engine, lamp_requests, run_all
from s1_hf.engines.engine import Recorded, completion_to_dict
from s1_hf.engines.ledger import Ledger
from s1_hf.forcing.pauses import Pause


def in_steps(engine, requests, branches=1):
    """All completions, step by step; at the first pause each row goes on `branches` times."""
    seen, asked = [], [replace(one, pause=Pause("\n")) for one in requests]
    while asked:
        done = run_all(engine, asked)
        seen += done
        asked = [
            replace(one, begun=completion.begun, seed=one.seed + 1000 * branch)
            for one, completion in zip(asked, done, strict=True)
            if completion.begun is not None
            for branch in range(branches)
        ]
        branches = 1
    return seen


@pytest.fixture(scope="module")
def engine():
    return lamp_engine(batch_size=8)


@pytest.fixture(scope="module")
def requests(engine):
    return lamp_requests(engine, 2, temperature=1.3, num_ignores=1, max_new_tokens=160)


class Untouched:
    """An engine that must not be asked for anything."""

    def __init__(self, engine) -> None:
        self.identity = engine.identity

    def run(self, requests, on_step):
        assert not requests
        return iter(())


def test_every_token_is_kept_once_and_comes_back(engine, requests, tmp_path):
    first = in_steps(Recorded(engine, Ledger(tmp_path)), requests, branches=2)
    assert in_steps(Recorded(Untouched(engine), Ledger(tmp_path)), requests, branches=2) == first
    assert first == in_steps(engine, requests, branches=2)
    entries = Ledger(tmp_path).read().values()
    begun = [one for one in entries if "after" not in one]
    assert len(begun) == len(requests)
    ended = sum(len(one.token_ids) for one in first if one.begun is None)
    assert sum(len(one["token_ids"]) for one in entries) < ended  # branches share what they go on from
    whole = [completion_to_dict(one) for one in first]
    assert sum(len(one["output"]) for one in entries) < sum(len(one["output"]) for one in whole) / 3


def test_a_row_in_the_middle_is_found_by_those_before_it(engine, requests, tmp_path):
    """Also by one that has seen none of the steps before."""
    done = in_steps(Recorded(engine, Ledger(tmp_path)), requests[:1])
    last = replace(requests[0], pause=Pause("\n"), begun=done[-2].begun)
    assert run_all(Recorded(Untouched(engine), Ledger(tmp_path)), [last]) == [done[-1]]


def test_what_goes_on_from_what_is_not_kept_is_kept_whole(engine, requests, tmp_path):
    done = in_steps(engine, requests[:1])
    last = replace(requests[0], pause=Pause("\n"), begun=done[2].begun)
    (found,) = run_all(Recorded(engine, Ledger(tmp_path)), [last])
    (entry,) = Ledger(tmp_path).read().values()
    assert "after" not in entry and tuple(entry["token_ids"]) == found.token_ids


def broken(entries, key, how):
    first = next(other for other, entry in entries.items() if "after" not in entry)
    if how == "gone":
        del entries[first]
    elif how == "circle":
        entries[first] = {**entries[key], "after": key}
    elif how == "another":
        entries[first]["token_ids"][-1] += 1
    elif how == "counts":
        entries[key]["shared"] = [1]
    elif how == "types":
        entries[key]["token_ids"] = "ids"
    elif how == "none":
        entries[first] = {"rewards": [1.0]}


@pytest.mark.parametrize(
    ("how", "said"),
    [
        ("gone", "goes on from an entry that is not there"),
        ("circle", "goes on from an entry that is not there"),
        ("another", "does not go on from what it was asked to"),
        ("counts", "`shared` has to be three numbers"),
        ("types", "`token_ids` has to be a list of whole numbers"),
        ("none", "goes on from an entry that is no completion"),
    ],
)
def test_entries_that_do_not_belong_together_are_refused(engine, requests, tmp_path, how, said):
    done = in_steps(Recorded(engine, Ledger(tmp_path)), requests[:1])
    second = replace(requests[0], pause=Pause("\n"), begun=done[0].begun)
    entries = Ledger(tmp_path).read()
    key = next(key for key, entry in entries.items() if entry.get("after") and len(entry["shared"]) and is_second(
        entry, entries
    ))  # fmt: skip
    broken(entries, key, how)
    folder = tmp_path / "broken"
    folder.mkdir()
    (folder / "finished.jsonl").write_text("".join(json.dumps({k: e}) + "\n" for k, e in entries.items()))
    with pytest.raises(ValueError, match=rf"{said}.*Delete that line"):
        run_all(Recorded(Untouched(engine), Ledger(folder)), [second])


def is_second(entry, entries) -> bool:
    return "after" not in entries[entry["after"]]
