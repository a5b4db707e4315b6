"""What is a plain number, a number in a base, a time of day, a product of cycles."""

from __future__ import annotations

from fractions import Fraction

import pytest

from s1_hf.grading.quantities import (
    Based,
    Clock,
    Number,
    based,
    clock,
    cycles,
    has_scale,
    is_number_list,
    last_unit,
    lettered,
    names_half,
    number,
)
from s1_hf.grading.units import unit


@pytest.mark.parametrize(
    ("text", "value"),
    [
        *(("25", 25), ("025", 25), ("25.0", 25), (".5", Fraction(1, 2)), ("1,000", 1000), ("1 000", 1000)),
        *((r"1.5 \times 10^3", 1500), ("2e-5", Fraction(1, 50_000)), ("-3", -3), ("64 apples", 64)),
    ],
)
def test_a_plain_number_is_read_without_an_unknown_unit(text, value):
    assert number(text) == Number(Fraction(value))


def test_a_known_unit_counts_with_its_power():
    assert number(r"10 \text{ cm}^2") == number("10 square centimeters") == Number(Fraction(10), unit=unit("cm", 2))


@pytest.mark.parametrize("text", [r"28\%", "28 percent"])
def test_a_percentage_is_its_number_and_its_hundredths(text):
    assert number(text) == Number(Fraction(28), percent=True)
    assert number(text).equals(Number(Fraction(28, 100))) and not number(text).equals(Number(Fraction(28, 10)))


def test_a_letter_is_a_unit_only_where_asked():
    assert number("10 m") is None and lettered("10 m") == number("10 meters") and lettered("10 x") is None


def test_a_percentage_is_no_length():
    assert not number(r"28\%").equals(number("28 cm")) and not number("28 cm").equals(number(r"28\%"))


@pytest.mark.parametrize(
    "text",
    ["", "1/2", r"\frac{1}{2}", "1,5", "32, 34", "5 million", "3 pi", "5x", "10 m", "2516_8", "2e1001", "9" * 1001],
)
def test_anything_else_is_not_a_plain_number(text):
    assert number(text) is None


@pytest.mark.parametrize(
    ("text", "is_list"), [("1,2", True), ("1, -2", True), ("1,5", True), ("12", False), ("a,b", False)]
)
def test_whole_numbers_with_commas_are_a_list(text, is_list):
    assert is_number_list(text) is is_list


def test_a_scale_word_is_found_as_a_word():
    assert has_scale("5 million") and has_scale("two Dozen") and not has_scale("millionaire")


def test_a_known_unit_is_taken_off_a_formula_and_an_unknown_one_is_not():
    assert last_unit(r"\frac{3}{2}\text{ cm}^2") == (r"\frac{3}{2}", unit("cm", 2))
    assert last_unit(r"\frac{3}{2} miles") == (r"\frac{3}{2}", unit("miles"))
    assert last_unit(r"\frac{3}{2}\text{ apples}")[1] is None and last_unit(r"\text{ cm}")[1] is None


@pytest.mark.parametrize(
    "text", ["4343_6", "4343_{6}", "(4343)_6", "4343_{six}", "4343base6", "4343(base6)", "n=4343_6", "4,343_6"]
)
def test_digits_with_their_base(text):
    assert based(text) == Based("4343", 6)


@pytest.mark.parametrize("text", ["4343", "x_6", "4343_{n}", "4343_{6}+1"])
def test_what_is_no_number_in_a_base(text):
    assert based(text) is None


@pytest.mark.parametrize(
    ("text", "hour"), [("7:30a.m.", 7.5), ("7:30PM", 19.5), ("3pm", 15), ("15:00", 15), ("12a.m.", 0), ("noon", 12)]
)
def test_a_time_of_day(text, hour):
    assert clock(text) == Clock(int(hour * 3600), full=True)


def test_a_time_without_its_half_is_either_and_one_with_it_only_that():
    assert clock("7:30").equals(clock("7:30pm")) and clock("7:30am").equals(clock("7:30"))
    assert not clock("7:30am").equals(clock("7:30pm")) and not clock("7:30").equals(clock("7:31am"))
    assert names_half("noon") and names_half("3pm") and not names_half("15:00")


@pytest.mark.parametrize("text", ["25:00", "7:61", "x", "", "7:30kg"])
def test_what_is_no_time_of_day(text):
    assert clock(text) is None


@pytest.mark.parametrize(
    "text", ["(1 2)(3 4)", "(3 4)(2 1)", "(12)(34)", r"\sigma=(1 2)(3 4)", "(1,2)(4,3)", "(5)(1 2)(3 4)"]
)
def test_a_permutation_is_its_disjoint_cycles(text):
    assert cycles(text) == {(1, 2), (3, 4)}


@pytest.mark.parametrize("text", ["(1,2)", "(12)", "(1 2)(2 3)", "(3)(4)", "(a b)", "1 2"])
def test_what_is_no_product_of_cycles(text):
    assert cycles(text) is None
