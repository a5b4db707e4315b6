"""The normal form of an answer."""

from __future__ import annotations

from fractions import Fraction

from s1_hf.grading.forms import form
from s1_hf.grading.units import unit


def test_a_form_holds_everything_that_an_answer_may_be():
    assert form("25 cm").number.value == Fraction(25)  # type: ignore[union-attr]
    assert form("4343_6").based and form("7:30 p.m.").half and form("(1 2)(3 4)").cycles
    assert form("Evelyn").words and form("1,5").number_list and form("5 million").scale


def test_a_formula_is_without_its_known_unit():
    found = form(r"\frac{3}{2}\text{ cm}")
    assert (found.formula, found.unit) == (r"\frac{3}{2}", unit("cm"))


def test_an_answer_is_read_once():
    assert form("x+1") is form("x+1")
