"""Which answers are the same."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

pytest.importorskip("math_verify")

from s1_hf.grading import group_equivalent, is_equal


@pytest.mark.parametrize(
    ("gold", "answer"),
    [
        *(("025", "25"), ("25", "025"), ("25", "25.0"), ("0.5", ".5"), ("-3", "- 3"), ("-3", "−3"), ("7", "+7")),
        *(
            ("1000", "1,000"),
            ("1000", "1 000"),
            ("11111", "11,\\!111"),
            ("11111", "11{,}111"),
            ("15000", "\\$15,\\! 000"),
        ),
        *(("1500", r"1.5 \times 10^3"), ("1500", r"1.5 \cdot 10^{3}"), ("0.00002", "2e-5")),
        *(("28", r"28\%"), ("0.28", r"28\%"), (r"28\%", "0.28"), (r"28\%", "28 percent"), ("0.335", r"33.5\%")),
        *(
            ("10", r"10\text{ cm}"),
            ("10", r"10 \text{ cm}^2"),
            ("64", "64 square feet"),
            (r"90^\circ", "90"),
            ("12", "12^{th}"),
        ),
        *((r"74^\circ", "74°"), ("1320", "1320 km"), ("15\\mbox{ cm}^2", "15")),
        *(
            (r"\frac{1}{2}", "0.5"),
            (r"\frac{1}{2}", r"\dfrac12"),
            ("1/3", "0.3333333"),
            ("3/2", "1.5"),
            ("2/(-3)", "-2/3"),
        ),
        *(
            (r"\left( 3, \frac{\pi}{2} \right)", r"(3,\pi/2)"),
            ("x^2+2x+1", "(x+1)^2"),
            (r"3\sqrt{5}/7", "(3*sqrt(5))/7"),
        ),
        *(("2^{1/4}", "2**(1/4)"), ("-1+\\sqrt{3}", "sqrt(3) - 1"), ("2\\pi", "2 pi"), ("2\\pi", "2π")),
        *(("1,2", "2, 1"), (r"\{1,2\}", "1,2"), ("1,2", "1 and 2"), ("1,2", r"1 \text{ or } 2"), ("n=1,2", "n=2,1")),
        *(("5", "x=5"), ("x=5", "5"), ("x<2", "2>x"), ("[-2,7]", r"-2 \le x \le 7"), (r"-2 \le x \le 7", "[-2,7]")),
        *(
            (r"\text{Evelyn}", "evelyn"),
            ("Yes", "yes"),
            (r"\text{odd}", "odd"),
            ("E", r"\text{E}"),
            ("2516_8", "2516_{8}"),
        ),
        *((r"\begin{pmatrix}1\\2\end{pmatrix}", r"\begin{pmatrix} 1 \\ 2.0 \end{pmatrix}"), (25, "25")),
    ],
)
def test_equal(gold, answer):
    assert is_equal(gold, answer)


@pytest.mark.parametrize(
    ("gold", "answer"),
    [
        *(
            ("25", "26"),
            ("25", "-25"),
            ("25", "250"),
            ("25", "2,5"),
            ("1.22", "1,22"),
            ("32349", "32, 349"),
            ("0.111", "0,111"),
            ("111", "0,111"),
        ),
        *(("0.28", "28"), (r"28\%", "2800"), (r"28\%", "29\\%"), ("1/3", "0.333"), ("0.333", "0.3333")),
        *(
            ("5", "5 million"),
            ("5 million", "5"),
            ("5", r"5 \text{ million}"),
            ("5", "5 and 6"),
            ("5", "5x"),
            ("3", "3 pi"),
        ),
        *(
            ("3^{2025}", "2^{2025}"),
            ("x^2", "y^2"),
            ("1+i", "1-i"),
            ("(1,2)", "(2,1)"),
            ("[0,1)", "[0,1]"),
            ("1,2", "1,3"),
        ),
        *((r"\frac{6.63 \times 10^{-34}}{2}", r"\frac{6.62 \times 10^{-34}}{2}"), ("0.0000001", "0.0000002")),
        # Wrongly equal in math-verify 0.5.2 itself:
        *(
            ("n=1, 2, 3", "n=2, 3, 4"),
            ("D=(0,1)", "D=(0,1.5)"),
            ("12:00", "1:00"),
            ("19, 46, and 82", "21, 36, and 82"),
        ),
        *(
            ("tea", "eat"),
            ("odd", "even"),
            (r"\text{yes}", "no"),
            ("Evelyn", "Debra"),
            ("7", ""),
            ("7", "The 7th is 8"),
        ),
    ],
)
def test_not_equal(gold, answer):
    assert not is_equal(gold, answer)


@pytest.mark.parametrize(
    ("answer", "equal"), [("B", True), ("(B) 7", True), (r"\text{b}", True), ("C", False), ("", False)]
)
def test_a_choice_is_equal_by_its_letter(answer, equal):
    assert is_equal("(B)", answer, "choice") is equal


@pytest.mark.parametrize(("gold", "kind"), [("", "math"), ("  ", "math"), ("7", "choice"), ("Sodium", "choice")])
def test_a_gold_that_is_not_an_answer_is_an_error(gold, kind):
    with pytest.raises(ValueError, match="`gold` has to be"):
        is_equal(gold, "1", kind)


@given(st.text(max_size=30))
@settings(deadline=None, max_examples=60)
def test_any_text_is_compared_and_equal_to_itself(text):
    assert is_equal("\\frac{1}{7}x", text) in (True, False)
    assert not text.strip() or is_equal(text, text)


@given(
    st.fractions(max_denominator=50), st.sampled_from(["{n}/{d}", r"\frac{{{n}}}{{{d}}}", r"x = \dfrac{{{n}}}{{{d}}}"])
)
@settings(deadline=None, max_examples=30)
def test_a_fraction_is_equal_however_it_is_written_and_to_no_other(value, form):
    written = form.format(n=value.numerator, d=value.denominator)
    assert is_equal(f"{value.numerator}/{value.denominator}", written)
    assert not is_equal(f"{value.numerator + 1}/{value.denominator}", written)


def test_groups_hold_equal_answers_in_order_and_leave_out_no_answer():
    answers = ["0.5", None, "7", "1/2", "07", r"\frac{1}{2}", "x", "0.5"]
    assert group_equivalent(answers) == [[0, 3, 5, 7], [2, 4], [6]]


def test_the_first_member_stands_for_its_group():
    """1/3 equals both decimals, which are not equal to each other: they meet only under 1/3."""
    assert group_equivalent(["1/3", "0.3333333", "0.33333333"]) == [[0, 1, 2]]
    assert group_equivalent(["0.3333333", "0.33333333", "1/3"]) == [[0, 2], [1]]


def test_choices_are_grouped_by_letter():
    assert group_equivalent(["A", "B", None, "(A)", "x", "y"], "choice") == [[0, 3], [1], [4], [5]]
