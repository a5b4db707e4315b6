"""Outputs graded as a whole."""

from __future__ import annotations

import json
import random
import subprocess
import sys
from typing import Any

import pytest

pytest.importorskip("math_verify")

from ending import ending

from s1_hf import Completion, Report
from s1_hf.grading import Grade, grade
from shared_data import SHARED, needs_shared


def completion(ended: str, thinking: str, answer: str) -> Completion:
    return Completion(thinking, answer, thinking + answer, (1,), (False,), Report(3, ended, 0, (False,), 1))  # type: ignore[arg-type]


def test_a_grade_says_what_was_found_and_where_and_what_settled_it():
    assert grade(r"<think>24?</think>\boxed{025}", 25) == Grade(True, "025", "boxed", "number", "the same number")
    assert grade("Final Answer: x+1", "1+x") == Grade(True, "x+1", "answer_line", "math_verify", "equal by math-verify")
    assert grade("<think>A?</think>The answer is (C).", "B", "choice") == Grade(
        False, "C", "phrase", "letter", "C against B"
    )


def test_a_comma_is_not_a_decimal_point_even_if_math_verify_thinks_so():
    assert grade("Answer: 1,5", "1.5").reason == "a number against a list"


def test_an_equation_answers_a_question_for_its_right_side_and_not_the_reverse():
    assert grade(r"\boxed{(x+y)^2=81}", "81").correct
    assert not grade(r"\boxed{(x+y)^2=81}", "80").correct and not grade(r"\boxed{81}", "(x+y)^2=81").correct


def test_thinking_that_never_closed_is_no_answer():
    for text in (r"<think>So \boxed{25}", "<|im_start|>think\nFinal Answer: 25", "think\nAnswer: 25"):
        name = "s1" if text.startswith("think") else None
        assert grade(text, "25", format=name).reason == "no answer: thinking never closed"
        assert not grade(text, "25", format=name).correct


def test_thinking_that_never_closed_is_graded_when_asked():
    assert grade(r"<think>So \boxed{25}", "25", grade_thinking=True).correct


def test_nothing_after_the_thinking_is_no_answer_even_when_thinking_may_be_graded():
    assert grade(r"<think>\boxed{25}</think>", "25", grade_thinking=True).reason.endswith("nothing after the thinking")


@pytest.mark.parametrize(
    ("ended", "correct"),
    [
        *(("natural", True), ("cut", True), ("looped", True), ("never_started", True)),
        *(("unfinished", False), ("handed_over", False)),
    ],
)
def test_a_completion_is_graded_by_its_answer_and_its_report(ended, correct):
    assert grade(completion(ended, r"\boxed{24}", "Final Answer: 25"), "25").correct is correct


def test_a_completion_has_its_own_format():
    with pytest.raises(ValueError, match="left out with a Completion"):
        grade(completion("cut", "", "25"), "25", format="s1")


def rows(name: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (SHARED / "math" / name).read_text(encoding="utf-8").splitlines()]


@needs_shared
def test_every_solution_of_math_500_is_right_and_that_of_another_problem_is_not():
    problems = rows("math500.jsonl")
    assert all(grade(p["solution"], p["answer"]).correct for p in problems)
    pairs = [random.Random(0).sample(problems, 2) for _ in range(50)]
    assert not any(grade(a["solution"], b["answer"]).correct for a, b in pairs if a["answer"] != b["answer"])


@needs_shared
@pytest.mark.parametrize("name", ["aime24_nofigures.jsonl", "aime25_nofigures.jsonl"])
def test_aime_answers_are_right_with_and_without_leading_zeros(name):
    for row in rows(name):
        assert grade(f"Final Answer: {int(row['answer'])}", row["answer"]).correct
        assert grade(f"Final Answer: {int(row['answer']):03}", int(row["answer"])).correct


BIG = 10_000_000
HUGE = {
    "open braces": "{" * BIG,
    "braces in a box": r"\boxed{" + "{" * (BIG // 2) + "}" * (BIG // 2) + "}",
    "boxes": r"\boxed{" * (BIG // 7),
    "nested boxes": r"\boxed{" * 12_000 + "1" + "}" * 12_000,
    "many boxes": r"\boxed{1}, " * (BIG // 11),
    "backslashes": "\\" * BIG + "boxed{1}",
    "markers": "Answer:" * (BIG // 7),
    "answer and spaces": "answer" + " " * BIG,
    "opened thoughts": "<think>" * (BIG // 7),
    "half tokens": "<|" * (BIG // 2),
    "lines": "think\n" + "answer\n" * (BIG // 7),
    "one long line": "Answer: " + "x" * BIG,
}


@pytest.mark.parametrize("name", HUGE)
@pytest.mark.parametrize("kind", ["math", "choice"])
def test_ten_megabytes_end_and_are_wrong(name, kind):
    assert not ending(grade, HUGE[name], "B", kind).correct


def test_importing_the_package_loads_no_heavy_library():
    heavy = "{'torch', 'transformers', 'sympy', 'math_verify', 'openai', 'lighteval'}"
    code = f"import sys, s1_hf.grading; print({heavy} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
