"""Solved questions are dropped, and traces are measured."""

import pytest

pytest.importorskip("datasets")

from curation_pools import pool

from s1_hf import embedded
from s1_hf.curate import (
    Difficulty,
    keep_difficult,
)
from s1_hf.curate.difficulty import load_tokenizer, with_thinking_tokens


def test_a_question_solved_by_any_model_is_dropped_and_nulls_are_counted():
    rows = pool(
        *({"solved_a": a, "solved_b": b} for a, b in [(False, False), (False, True), (True, True), (None, False)])
    )
    stage = keep_difficult(rows)
    assert stage.rows == (0, 3) and stage.drops[1].detail == "solved_a and solved_b"
    assert "solved_a is null in 1 rows, counted as not solved" in stage.notes


def test_only_the_given_graders_count():
    rows = pool({"solved_a": True, "solved_b": False})
    assert keep_difficult(rows, Difficulty(("solved_b",))).rows == (0,)
    assert keep_difficult(rows, Difficulty(())).rows == (0,)


@pytest.mark.parametrize("values", [(0, 1), ("true", "false"), ([True], [False])])
def test_verdicts_of_another_type_are_refused(values):
    with pytest.raises(ValueError, match="'solved_a' has to hold booleans"):
        keep_difficult(pool(*({"solved_a": value} for value in values)))


def test_a_tokenizer_replaces_the_lengths_of_the_pool():
    rows = pool({"thinking_trajectories": ["1 < 2", "Not yet."], "thinking_tokens": 99})
    tokenizer = embedded.load()[1]
    measured = with_thinking_tokens(rows, str(embedded.MODEL_PATH))["thinking_tokens"][:]
    assert measured == [len(tokenizer.encode("1 < 2\nNot yet.", add_special_tokens=False))] != [99]


def test_the_toy_is_a_tokenizer_by_its_name():
    assert load_tokenizer("embedded").get_vocab() == embedded.load()[1].get_vocab()


def test_a_missing_tokenizer_is_named():
    with pytest.raises(
        ValueError, match="`tokenizer` has to be a folder, a name on the Hub or 'embedded', but is './nowhere'"
    ):
        with_thinking_tokens(pool({}), "./nowhere")
