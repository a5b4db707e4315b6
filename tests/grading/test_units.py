"""Units: which are the same, which differ, which are not known."""

from __future__ import annotations

import pytest

from s1_hf.grading.units import unit


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("cm", "Centimeters"),
        ("square feet", "ft^2"),
        ("sq. ft", "ft^2"),
        ("km/h", "kilometers per hour"),
        ("mph", "mi/h"),
    ],
)
def test_the_same_unit(one, other):
    assert unit(one) == unit(other) is not None


@pytest.mark.parametrize(
    ("one", "other"), [("cm", "kg"), ("cm", "m"), ("cm", "cm^2"), ("m/s", "km/h"), ("celsius", "fahrenheit")]
)
def test_different_units(one, other):
    assert unit(one) != unit(other)


def test_what_stands_after_per_divides():
    speed = unit("km/h")
    assert speed is not None and speed.kind == (("length", 1), ("time", -1)) and speed.size * 18 == 5


def test_a_power_applies_to_the_kind_and_the_size():
    square = unit("cm", 2)
    assert square is not None and square == unit("cm^2") and square.size * 10_000 == 1


@pytest.mark.parametrize("words", ["", "apples", "cm apples", "/", "per", "cm/"])
def test_what_is_not_known(words):
    assert unit(words) is None
