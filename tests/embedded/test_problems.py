"""The two-lamps problems, their split, the training traces, and the answers read from text."""

import json
import random
import re
from math import gcd
from pathlib import Path

import pytest

from s1_hf.embedded.problems import (
    NUM_TRACES,
    TRAIN_FILE,
    Problem,
    compare,
    extract_answer,
    held_out,
    held_out_sample,
    is_held_out,
    problems,
    trainable,
    training_traces,
    write_trace,
    write_training_file,
)


def brute_force(problem: Problem) -> int:
    return next(
        second
        for second in range(max(problem.a, problem.b), 1000)
        if (second - problem.a) % problem.p == 0 and (second - problem.b) % problem.q == 0
    )


def test_there_are_24282_different_problems() -> None:
    assert len(problems()) == len(set(problems())) == 24_282


def test_every_problem_has_coprime_periods_and_different_first_flashes() -> None:
    for problem in problems():
        assert 3 <= problem.p <= 20 and 3 <= problem.q <= 20 and gcd(problem.p, problem.q) == 1
        assert 1 <= problem.a <= problem.p and 1 <= problem.b <= problem.q and problem.a != problem.b


def test_every_answer_is_the_first_common_flash() -> None:
    assert all(problem.answer == brute_force(problem) for problem in problems())
    assert max(problem.answer for problem in problems()) == 380


def test_the_question_names_all_four_numbers() -> None:
    assert Problem(2, 7, 3, 8).question == (
        "Lamp A flashes at second 2 and then every 7 seconds. Lamp B flashes at second 3 and then every 8 seconds. "
        "When do they first flash together?"
    )


def test_the_search_advances_the_lamp_with_the_earlier_time() -> None:
    assert list(Problem(2, 3, 1, 4).states()) == [(2, 1), (2, 5), (5, 5)]


def test_about_one_problem_in_ten_is_held_out() -> None:
    """24,282 draws at 1/10 lie within 5 standard deviations (+-234), but the split is fixed, so this cannot flake."""
    assert abs(len(held_out()) - 2428) < 234
    assert len(held_out()) + len(trainable()) == len(problems())


def test_swapping_the_lamps_keeps_a_problem_on_its_side_of_the_split() -> None:
    for problem in problems():
        assert is_held_out(problem) == is_held_out(Problem(problem.b, problem.q, problem.a, problem.p))


def test_the_split_is_the_one_that_the_model_was_trained_with() -> None:
    assert [is_held_out(problem) for problem in problems()[:40]].count(True) == 6
    assert len(held_out()) == 2530


def test_a_sample_of_held_out_problems_is_distinct_seeded_and_not_the_head_of_the_list() -> None:
    sample = held_out_sample(200, seed=1)
    assert len(set(sample)) == 200 and all(map(is_held_out, sample))
    assert sample == held_out_sample(200, seed=1) != held_out_sample(200, seed=2)
    assert sample != held_out()[:200]


@pytest.mark.parametrize("n", [-1, 10_000])
def test_an_impossible_sample_size_is_refused(n: int) -> None:
    with pytest.raises(ValueError, match=f"but is {n}"):
        held_out_sample(n, seed=0)


def test_the_thousand_traces_are_on_different_problems_none_held_out() -> None:
    traces = training_traces()
    assert len(traces) == len({trace.question for trace in traces}) == NUM_TRACES
    assert not {trace.question for trace in traces} & {problem.question for problem in held_out()}


def test_a_trace_says_what_its_last_comparison_found() -> None:
    for trace in training_traces():
        last = re.findall(r"(\d+) [<>=] (\d+)", trace.thinking)[-1]
        assert trace.answer == max(map(int, last))
        if trace.answer != trace.solution:
            assert trace.thinking.endswith("Not yet.")


def test_every_line_of_a_trace_is_correct_arithmetic() -> None:
    problem, rng = Problem(2, 7, 3, 8), random.Random(0)
    states = [compare(*state) for state in problem.states()]
    for _ in range(50):
        lines = [line for line in write_trace(problem, rng).thinking.split("\n") if line[0].isdigit()]
        assert lines == states[: len(lines)]


def test_fewer_than_half_of_the_stops_are_followed_by_a_wait() -> None:
    stops = waits = 0
    for trace in training_traces():
        waits += trace.thinking.count("Wait")
        stops += trace.thinking.count("Wait") + 1
    assert 0.33 < waits / stops < 0.43


def test_the_shipped_rows_are_the_ones_that_the_code_writes(tmp_path: Path) -> None:
    write_training_file(tmp_path / "again.jsonl")
    assert (tmp_path / "again.jsonl").read_bytes() == TRAIN_FILE.read_bytes()


def test_the_shipped_rows_have_the_columns_of_s1k() -> None:
    row = json.loads(TRAIN_FILE.read_text(encoding="utf-8").splitlines()[0])
    assert set(row) == {"question", "thinking_trajectories", "attempt", "solution"}
    assert len(row["thinking_trajectories"]) == 1 and row["thinking_trajectories"][0].startswith("A from ")


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("Answer: 51", 51),
        ("\nFinal Answer: 51<|im_end|>", 51),
        ("Answer:51", 51),
        ("Answer:\n51.", 51),
        ("Answer: 051", 51),
        ("Answer: 23, no.\nFinal Answer: 51", 51),
        ("Answer: 51\nFinal Answer:", None),
        ("Answer: 5.1", None),
        ("Answer: -51", None),
        ("Answer: 51a", None),
        ("Answer: about 51", None),
        ("answer: 51", None),
        ("51", None),
        ("", None),
    ],
)
def test_extract_answer(text: str, answer: int | None) -> None:
    assert extract_answer(text) == answer
