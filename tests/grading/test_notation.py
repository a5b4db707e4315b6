"""What is layout, a word, a list, a plus-minus; what math-verify must not be asked about."""

from __future__ import annotations

import pytest

from s1_hf.grading.notation import formula, is_words, plain_text, readable, right_side, tidy, unreadable


@pytest.mark.parametrize(
    ("answer", "tidied"),
    [
        (r"\left( 3, \dfrac{1}{2} \right)", r"( 3, \frac{1}{2} )"),
        (r"11,\!111", "11,111"),
        (r"10\,000", "10000"),
        ("12^{th}", "12"),
        ("2**(1/4)", "2^(1/4)"),
        ("3 1/2", r"3\frac{1}{2}"),
        ("3½", r"3\frac{1}{2}"),
        (r"\frac 34", r"\frac{3}{4}"),
        ("x²", "x^{2}"),
        ("4343₆", "4343_{6}"),
        ("1\n3", "1, 3"),
        ("about 70", "70"),
        (r"\text{approximately }70", "70"),
        (r"\varnothing", r"\emptyset"),
        ("all real numbers", r"(-\infty,\infty)"),
        (r"$90^\circ$", r"90 \text{ degrees}"),
        (r"\$36", r"36 \text{ dollars}"),
        (r"5\mathrm{m}", r"5 \text{ m}"),
        (r"\text{A}", "A"),
    ],
)
def test_tidying_removes_only_layout(answer, tidied):
    assert tidy(answer) == tidied


@pytest.mark.parametrize(
    ("text", "words"), [("Evelyn", True), (r"\text{odd}", True), ("xy", False), ("sin x+1", False)]
)
def test_words_are_three_letters_or_more_and_nothing_else(text, words):
    assert is_words(text) is words


def test_words_are_compared_without_case_and_formulas_with_it():
    assert plain_text(r"\text{Evelyn}") == plain_text("evelyn")
    assert plain_text("X + 1") != plain_text("x+1")


def test_digits_with_space_between_them_are_not_run_together():
    assert plain_text("1 2") == "1 2" and plain_text("1. 5") != "1.5" and plain_text("x + 1") == "x+1"


@pytest.mark.parametrize(
    ("tidied", "written"),
    [
        (r"1 and 2 \text{ or } 3", "1, 2, 3"),
        ("x<1 or x>2", r"x<1 \lor x>2"),
        (r"x<1 \text{ and } x>0", r"x<1 \land x>0"),
        (r"\pm 2", "2, - 2"),
        (r"x=1\pm 2, 5", "x=1+ 2, 1- 2,  5"),
        (r"\{\pm 2\}", "2, - 2"),
        (r"1\mp 2\pm 3", "1- 2+ 3, 1+ 2- 3"),
        (r"\pm 1\pm 3", "1+ 3, 1- 3, - 1+ 3, - 1- 3"),
        (r"(\pm 2,3)", "(+ 2,3), (- 2,3)"),
        (r"5 \pmod{7}", r"5 \pmod{7}"),
    ],
)
def test_joints_and_plus_minus_are_written_out_for_math_verify(tidied, written):
    assert formula(tidied) == written


def test_many_plus_minus_signs_are_left_as_they_are():
    assert formula(r"\pm 1" * 30) == r"\pm 1" * 30


@pytest.mark.parametrize("text", ["1 2", "x=4343_6", r"(4)_5", r"5 \pmod{7}", "1:2:3", "x" * 1001])
def test_what_math_verify_misreads_is_not_for_it(text):
    assert unreadable(text)


@pytest.mark.parametrize("text", [r"\log_2 8", "x_1+x_2", "a_{10}", "2:3", r"\text{mode}", "x" * 1000])
def test_everything_else_is_for_math_verify(text):
    assert unreadable(text) is None


def test_full_width_and_invisible_characters_become_readable():
    assert readable("（Ａ）：１，2。\u200b\ufeff") == "(A):1, 2. "


def test_the_right_side_is_what_follows_the_last_equals_sign():
    assert right_side("x = y = 81") == "81" and right_side("81") is None and right_side("x=") is None
