"""The final answer within an answer part."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from s1_hf.grading import extract_answer


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        (r"First \boxed{1}, then \boxed{2}. Answer: 3", "2"),
        (r"\boxed{\frac{1}{2}}", r"\frac{1}{2}"),
        (r"\boxed{\{1, 2\}}", r"\{1, 2\}"),
        (r"\boxed{\left\{ x \right.}", r"\left\{ x \right."),
        (r"\boxed{\boxed{5}}", "5"),
        (r"a } stray brace { \boxed{7}", "7"),
        (r"\fbox{8}", "8"),
        ("$\\boxed 9$ apples", "9"),
        (r"\boxed958$.", "958"),
        (r"\\boxed{004}", "004"),
        (r"\boxed{12} or, wait, \boxed{}", "12"),
        (r"\boxed{12} or, wait, \boxed{1", "12"),
        (r"Answer: \boxed{1", None),
        (r"\boxed{1}, \boxed{-2}", "1, -2"),
        (r"\[ \boxed{-2} \quad \text{and} \quad \boxed{1}. \]", "-2, 1"),
        (r"$\boxed{1}$ or $\boxed{2}$", "1, 2"),
        (r"It is $\boxed{5}$, $\boxed{5}$.", "5"),
        (r"\boxed{1} papers and \boxed{2} bins", "2"),
        ("\\boxed{1}.\n\nWait: \\boxed{2}", "2"),
        (r"\boxed{1}\boxed{2}", "2"),
        ("We get 51.\nFinal Answer: Final Answer:", None),
        ("The answer is 5, or not.\nNo: the answer is 7.", "7"),
        ("Answer: 51", "51"),
        ("Final Answer: 51.", "51"),
        ("answer : 51", "51"),
        ("**Final Answer:** **51**", "51"),
        ("Answer: 7\nAnswer: 51\nmore text", "51"),
        ("Final Answer: Final Answer: 51", "51"),
        ("Final Answer: 51\n\nFinal Answer:", "51"),
        ("Final Answer:", None),
        ("Answer:\n\n51", "51"),
        ("Answer: Here it is:\n\n51", "51"),
        ("Answer: $\\frac{1}{2}$.", r"\frac{1}{2}"),
        ("Answer:\n$$\n51\n$$\nDone.", "51"),
        ("Answer: \\[ 51 \\]", "51"),
        ("Answer: $a$ and $b$", "$a$ and $b$"),
        ("Final Answer: The final answer is $51$. I hope it is correct.", "51"),
        ("Final Answer: The area of $ABC$ is 51 cm.", "51 cm"),
        ("We get two.\nSo the answer is $\\frac{1}{2}$, as n = 3.", r"\frac{1}{2}"),
        ("We get two.\nSo the answer is 5.1. That is all.", "5.1"),
        ("51", "51"),
        ("We add.\nSo we get 51 in all.", None),
        ("", None),
        ("  \n ", None),
    ],
)
def test_the_answer_that_is_found(text, answer):
    assert extract_answer(text) == answer


@pytest.mark.parametrize(
    "text",
    [
        *("B", "(B)", "B)", "B.", "**B**", "**(B)**", r"$B$", r"\boxed{B}", r"\boxed{\text{B}}", r"\boxed{(B)}", "b"),
        *(r"\boxed{\textbf{(B)}}", r"\boxed{B) 7}", "Answer: B", "Answer: (b)", "Answer: **B**", "Answer: B) 7 atoms"),
        *("Answer: B. Sodium", "Answer: B: Sodium", "Answer: B (Sodium)", "Answer: B - Sodium", "Option B"),
        *(
            "The answer is B.",
            "the correct answer is **(B)**, since A is not.",
            "The correct option is B",
            "Answer: $B$",
        ),
        *("Final Answer: Final Answer: B", "A or C?\nThe answer is option B.", r"\boxed{3.2}" + "\nAnswer: B"),
    ],
)
def test_a_choice_is_found(text):
    assert extract_answer(text, "choice") == "B"


@pytest.mark.parametrize(
    "text",
    [
        *("", "K", "A cat", "Answer: A mixture", "Answer: B bees", "Answer: C_2", "Answer: B and C", "B, C", "Bee"),
        *(
            "Answer: none of them",
            "Answer: I, for one, would not say",
            "Answer: F = ma",
            "a cat",
            r"\boxed{C_2H_4}",
            r"\boxed{\text{C}_2}",
            r"\boxed{42}",
            "I think A.\nOr maybe B.",
            "Answer: (B or C)",
        ),
    ],
)
def test_what_is_not_a_choice(text):
    assert extract_answer(text, "choice") is None


@given(st.text())
@settings(deadline=None)
def test_any_text_has_an_answer_or_none(text):
    for kind in ("math", "choice"):
        answer = extract_answer(text, kind)
        assert answer is None or answer


@given(st.text(alphabet="\\{}$[]()^_ \n*:.boxedanwri0123ABC", max_size=200))
@settings(deadline=None, max_examples=300)
def test_any_text_of_the_marks_themselves_has_an_answer_or_none(text):
    for kind in ("math", "choice"):
        assert extract_answer(text, kind) != ""


@given(
    st.lists(st.sampled_from([*"{}\"' :\nA7<>#*$", "answer", "<answer>", "</answer>", "final", "</p>", "&lt;", "\\"]))
)
@settings(deadline=None, max_examples=300)
def test_any_pieces_of_json_tags_and_headings_have_an_answer_or_none(pieces):
    for kind in ("math", "choice"):
        assert extract_answer("".join(pieces), kind) != ""


@settings(deadline=None)
@given(st.text(alphabet="xyz0123456789+-/^,()[]|", min_size=1).filter(str.strip))
def test_a_rendered_answer_is_given_back(answer):
    assert extract_answer(f"Let us see: \\boxed{{1}}.\nIn all, $\\boxed{{{answer}}}$.") == answer
    assert extract_answer(f"Let us see.\nAnswer: {answer}\n") == answer


@settings(deadline=None)
@given(
    st.sampled_from("ABCDEFGHIJ"), st.sampled_from(["{}", "({})", "{}.", "**{}**", "$\\text{{{}}}$", "Answer: {}) 4 m"])
)
def test_a_rendered_choice_is_given_back(letter, form):
    assert extract_answer(form.format(letter), "choice") == letter


def test_an_unknown_kind_is_an_error():
    with pytest.raises(ValueError, match="`kind` has to be 'math' or 'choice', but is 'code'"):
        extract_answer("1", "code")  # type: ignore[arg-type]
