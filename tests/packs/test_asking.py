"""Answers are asked for again: the same tokens, or where they differ and what may explain it."""

import json
from dataclasses import replace

import pytest

from s1_hf.packs.asking import Asker
from s1_hf.results.rows import load_rows


@pytest.fixture
def rows(packed):
    return [row for row in load_rows(packed) if row.method == "budget forcing"]


@pytest.fixture
def about(packed):
    (about,) = json.loads((packed / "pack.json").read_text())["runs"].values()
    return about


def ask(rows, about, **options):
    return Asker({"": about}, **{"model": None, "dtype": None, "batch_size": 8} | options).ask(
        rows, lambda done, total: None
    )


def test_rows_in_one_batch_and_alone_give_the_same_tokens(rows, about):
    assert all(rerun.agrees for rerun in ask(rows, about))
    assert ask(rows[:1], about, batch_size=1)[0].agrees


def test_where_a_transcript_differs_is_said(rows, about):
    other = replace(
        rows[0], digest="0" * 32, transcript=[{"text": rows[0].transcript[0]["text"][:9] + "§", "forced": False}]
    )
    (found,) = ask([other], about)
    assert found.agrees is False and found.why.startswith("From character 10 on: '§' there, ")


def test_rows_without_transcripts_are_compared_by_their_tokens_all_the_same(rows, about):
    bare = replace(rows[0], transcript=())
    assert ask([bare], about)[0].agrees
    (found,) = ask([replace(bare, digest="0" * 32, thinking_tokens=7)], about)
    assert found.agrees is False and found.why.startswith("7 thinking and ")


def test_another_engine_other_weights_and_another_format_are_said_where_tokens_differ(rows, about):
    told = about | {"engine": {"engine": "vllm", "weights": "other auto", "format": {"name": "think"}}}
    (found,) = ask([replace(rows[0], digest="0" * 32)], told)
    for said in ("The weights are others.", "The run's engine was vllm", "The thinking format is another one."):
        assert said in found.why
    assert ask(rows[:1], told)[0].agrees  # what gives the same tokens needs no excuse


def test_a_run_that_does_not_say_how_it_asked_is_not_asked_again(rows, about):
    del about["asked"]
    (found,) = ask(rows[:1], about)
    assert found.agrees is None and found.why == "No run says how it was asked."


def test_each_row_is_asked_as_in_its_own_run(rows, about):
    """Two runs in one folder; a row of the second is not that of the first."""
    other = about | {"asked": {"system_prompt": "Be brief."}}
    found = Asker({"one": other, "two": about}, model=None, dtype=None, batch_size=8).ask(rows, lambda *_: None)
    assert all(rerun.agrees for rerun in found)
    (found,) = ask(rows[:1], other)
    assert found.agrees is None and "asking again would ask something else" in found.why


def test_the_model_may_lie_elsewhere_here(rows, about):
    with pytest.raises(OSError, match="nowhere"):
        ask(rows[:1], about | {"model": "./nowhere"})
    assert ask(rows[:1], about | {"model": "./nowhere"}, model="embedded")[0].agrees


@pytest.mark.parametrize(
    "changes", [{"model": 3}, {"asked": []}, {"asked": {"format": 1}}, {"asked": {"x": 1, "system_prompt": 2}}]
)
def test_what_a_run_says_of_itself_is_checked(rows, about, changes):
    with pytest.raises(ValueError, match=r"pack.json: run ''"):
        ask(rows[:1], about | changes)
