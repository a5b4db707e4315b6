"""The answer part of an output text."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from s1_hf import ThinkingFormat, embedded
from s1_hf.forcing.formats import FAMILIES
from s1_hf.grading import split_thinking


@pytest.mark.parametrize("name", FAMILIES)
def test_the_answer_follows_the_closing_delimiter_of_every_family(name):
    family = FAMILIES[name]
    text = f"{family.start}\nis it 1?\n{family.close}\nAnswer: 2"
    assert split_thinking(text) == split_thinking(text, name) == ("is it 1?", "Answer: 2")


@pytest.mark.parametrize("name", FAMILIES)
def test_thinking_that_the_prompt_opened_is_recognised_by_its_end(name):
    assert split_thinking(f"is it 1?{FAMILIES[name].close}Answer: 2", name) == ("is it 1?", "Answer: 2")


@pytest.mark.parametrize("name", FAMILIES)
def test_thinking_that_was_not_closed_has_no_answer(name):
    assert split_thinking(f"{FAMILIES[name].start}\nAnswer: 2") == ("Answer: 2", None)


def test_the_answer_follows_the_last_close():
    assert split_thinking("<think>a</think>b<think>c</think>d") == ("a</think>b<think>c", "d")


def test_thinking_opened_again_and_not_closed_has_no_answer():
    assert split_thinking("<think>a</think>Answer: 2<think>c")[1] is None


def test_an_answer_ends_at_the_end_of_the_turn():
    assert split_thinking("<think>a</think>Answer: 2<|im_end|>\n<|endoftext|><|endoftext|>")[1] == "Answer: 2"


def test_a_resolved_format_gives_its_own_delimiters():
    _, tokenizer = embedded.load()
    own = ThinkingFormat.from_delimiters(tokenizer, start="<r>", close="</r>")
    assert split_thinking("<r>a</r>2", own) == ("a", "2")


@pytest.mark.parametrize(
    ("text", "format", "expected"),
    [
        ("think\n1+1\nanswer\nAnswer: 2", None, ("1+1", "Answer: 2")),
        ("think\n1+1\nanswer\nAnswer: 2", "s1", ("1+1", "Answer: 2")),
        ("1+1\nanswer\nAnswer: 2", "s1", ("1+1", "Answer: 2")),  # opened in the prompt
        ("think\nAnswer: 2", "s1", ("Answer: 2", None)),
        ("think\nthe answer\nAnswer: 2", "s1", ("the answer\nAnswer: 2", None)),
        ("think\n1+1\nAnswer\n2", "s1", ("1+1\nAnswer\n2", None)),
        ("1+1\nanswer\nAnswer: 2", None, ("", "1+1\nanswer\nAnswer: 2")),
        ("think\n1+1\nAnswer: 2", None, ("", "think\n1+1\nAnswer: 2")),
        ("analysis1+1assistantfinalAnswer: 2", None, ("1+1", "Answer: 2")),
        ("analysis1+1", "harmony", ("1+1", None)),
    ],
)
def test_delimiters_lost_in_decoding(text, format, expected):
    assert split_thinking(text, format) == expected


def test_a_text_without_any_sign_of_thinking_is_all_answer():
    assert split_thinking("Answer: 2") == split_thinking("Answer: 2", "think") == ("", "Answer: 2")


@pytest.mark.parametrize("ended", ["unfinished", "handed_over"])
def test_open_thinking_has_no_answer_even_where_the_text_does_not_show_it(ended):
    assert split_thinking("so 2. Answer: 2", "think", ended=ended) == ("so 2. Answer: 2", None)


def test_closed_thinking_whose_delimiter_is_lost_has_no_answer():
    assert split_thinking("so 2. Answer: 2", "magistral", ended="cut")[1] is None


def test_thinking_that_never_started_leaves_all_as_the_answer():
    assert split_thinking("Not </think> here.", ended="never_started") == ("", "Not </think> here.")


@pytest.mark.parametrize("wrong", [{"format": "qwen"}, {"ended": "finished"}])
def test_unknown_names_are_errors(wrong):
    with pytest.raises(ValueError, match="has to be one of"):
        split_thinking("a", **wrong)


@settings(deadline=None)
@given(st.text(), st.sampled_from(["s1", "think", "harmony"]), st.text(alphabet="ab 1\n", min_size=1))
def test_any_thinking_and_answer_come_apart_again(thinking, name, answer):
    family = FAMILIES[name]
    text = f"{family.start}{thinking}{family.close}{answer}"
    if not any(delimiter in thinking for delimiter in (family.start, family.close)):
        assert split_thinking(text, name) == (thinking.strip(), answer.strip())
