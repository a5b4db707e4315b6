"""What is shown: boxes, marks, long texts cut, and what a screen reader is told."""

from __future__ import annotations

import pytest

pytest.importorskip("gradio")

from hostile import HOSTILE, read
from s1_hf.playground.showing import Aloud, problem, transcript


def test_forced_text_is_marked_in_the_box_that_it_belongs_to():
    pieces = [("<think>", "forced"), ("a", "thinking"), ("b", "thinking"), ("</think>", "forced"), ("c", "answer")]
    page = str(transcript(pieces))
    assert page.index("Thinking") < page.index("&lt;think&gt;") < page.index("ab<mark>") < page.index("Answer")
    assert read(page).tags["mark"] == 2
    assert 'class="part thinking"' in str(transcript([("only this", "forced")]))


def test_no_text_becomes_an_element():
    plain = read(str(transcript([("x", "thinking"), ("x", "forced"), ("x", "answer")]))).tags
    for text in HOSTILE:
        assert read(str(transcript([(text, "thinking"), (text, "forced"), (text, "answer")]))).tags == plain
        assert read(problem(text)).tags == read(problem("x")).tags


def test_of_a_long_text_the_beginning_and_the_end_are_shown():
    shown = "".join(read(str(transcript([("a" * 30_000, "thinking"), ("b" * 30_000, "answer")]))).text)
    assert "20,000 characters are left out" in shown
    assert shown.count("a") - "characters are".count("a") in range(10_000, 10_012) and shown.count("b") == 30_000


def test_whole_lines_are_told_aloud_and_what_is_left_at_the_end():
    aloud = Aloud(every_s=0)
    aloud.hear([("one\ntw", "thinking")])
    assert "thinking: one" in str(aloud.say()) and aloud.say() is None
    aloud.hear([("o", "thinking"), ("Wait", "forced")])
    assert "two" in str(aloud.say())
    assert "forced: Wait" in str(aloud.say(last=True)) and aloud.say(last=True) is None
