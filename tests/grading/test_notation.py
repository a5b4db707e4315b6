"""What is a plain number, a word, a list, a unit."""

from __future__ import annotations

from fractions import Fraction

import pytest

from s1_hf.grading.notation import Number, as_list, has_scale, is_number_list, is_words, number, plain_text, tidy


@pytest.mark.parametrize(
    ("text", "value"),
    [
        *(("25", 25), ("025", 25), ("25.0", 25), (".5", Fraction(1, 2)), ("1,000", 1000), ("1 000", 1000)),
        *((r"1.5 \times 10^3", 1500), ("2e-5", Fraction(1, 50_000)), ("-3", -3)),
        *((r"10 \text{ cm}^2", 10), ("64 square feet", 64)),
    ],
)
def test_a_plain_number_is_read_without_its_unit(text, value):
    assert number(text) == Number(Fraction(value))


@pytest.mark.parametrize("text", [r"28\%", "28 percent"])
def test_a_percentage_is_its_number_and_its_hundredths(text):
    assert number(text) == Number(Fraction(28), percent=True)
    assert number(text).equals(Number(Fraction(28, 100))) and not number(text).equals(Number(Fraction(28, 10)))


@pytest.mark.parametrize(
    "text",
    ["", "1/2", r"\frac{1}{2}", "1,5", "32, 34", "5 million", "3 pi", "5x", "10 m", "2516_8", "2e1001", "9" * 1001],
)
def test_anything_else_is_not_a_plain_number(text):
    assert number(text) is None


@pytest.mark.parametrize(
    ("answer", "tidied"),
    [
        (r"\left( 3, \dfrac{1}{2} \right)", r"( 3, \frac{1}{2} )"),
        (r"11,\!111", "11,111"),
        (r"$90^\circ$.", "90"),
        ("12^{th}", "12"),
        ("2**(1/4)", "2^(1/4)"),
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


def test_and_and_or_are_commas():
    assert as_list(r"1 and 2 \text{ or } 3") == "1, 2, 3"


@pytest.mark.parametrize(
    ("text", "is_list"), [("1,2", True), ("1, -2", True), ("1,5", True), ("12", False), ("a,b", False)]
)
def test_whole_numbers_with_commas_are_a_list(text, is_list):
    assert is_number_list(text) is is_list


def test_a_scale_word_is_found_as_a_word():
    assert has_scale("5 million") and has_scale("two Dozen") and not has_scale("millionaire")
