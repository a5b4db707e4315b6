"""The tables of docs/grading.md are what the grader does."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

pytest.importorskip("math_verify")

from s1_hf.grading import is_equal
from s1_hf.grading.extraction import find_answer

PAGE = (Path(__file__).parents[2] / "docs" / "grading.md").read_text(encoding="utf-8")


def rows(heading: str) -> list[list[str]]:
    section = PAGE.split(heading)[1].split("\n## ")[0]
    table = [line for line in section.splitlines() if line.startswith("|")][2:]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in table]


def code(cell: str) -> list[str]:
    return [text.replace("⏎", "\n") for text in re.findall(r"`([^`]*)`", cell)]


@pytest.mark.parametrize("row", rows("## Where an answer is found"), ids=lambda row: ascii(row[1]))
def test_an_answer_is_found_where_the_page_says(row):
    rule, text, kind, answer = row
    assert find_answer(code(text)[0], kind) == (code(answer)[0] if answer else None, rule)


@pytest.mark.parametrize("row", rows("## What is equal"), ids=lambda row: ascii(row[0]))
def test_equal_is_what_the_page_calls_equal_either_way_round(row):
    [answer] = code(row[0])
    for other, equal in [(text, True) for text in code(row[1])] + [(text, False) for text in code(row[2])]:
        assert (is_equal(answer, other), is_equal(other, answer)) == (equal, equal), other


def test_the_page_has_its_rows():
    assert len(rows("## Where an answer is found")) > 50 and len(rows("## What is equal")) > 15
