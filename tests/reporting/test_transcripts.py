"""Which answers are shown, and that text forced on the model is marked."""

import pytest

pytest.importorskip("matplotlib")

from report_rows import a_curve, a_row

from hostile import read
from s1_hf.reporting.transcripts import MOST_CHARACTERS, choose, transcripts


def test_problems_on_which_settings_differ_come_first_and_the_rest_is_counted():
    rows = list(a_curve([(True, True), (True, False), (False, False), (False, True)]))
    choice = choose(rows, most=5)
    assert [answers[0].problem for answers in choice.problems] == ["1", "3"]
    assert (choice.answers, choice.of_answers, choice.of_problems) == (4, 8, 4)


def test_the_first_of_several_samples_is_shown_and_every_task():
    rows = [a_row(problem=p, sample=s, task=t) for t in "tu" for p in "12" for s in (1, 0)]
    choice = choose(rows, most=2)
    assert [(a.task, a.problem, a.sample) for answers in choice.problems for a in answers] == [
        ("t", "1", 0),
        ("u", "1", 0),
    ]


def test_more_settings_than_fit_are_cut_to_what_fits():
    choice = choose([a_row(f"cap {n}") for n in range(9)], most=4)
    assert [len(answers) for answers in choice.problems] == [4]


def test_only_forced_text_is_marked_and_answers_say_whether_they_are_right():
    pieces = [{"text": "Hm", "forced": False}, {"text": "Wait", "forced": True}, {"text": " 5", "forced": False}]
    page = "".join(map(str, transcripts(choose([a_row(correct=False, transcript=pieces, extracted="5", gold="6")]))))
    assert "Hm<mark>Wait</mark> 5</div>" in page
    assert "✗ wrong" in page and "no intervention: 5" in page and "Right answer: <strong>6</strong>" in page


@pytest.mark.parametrize(
    "lengths", [[MOST_CHARACTERS * 2], [MOST_CHARACTERS // 2] * 4, [1000] * 80, [30_000, 20_000, 30_000]]
)
def test_the_middle_of_a_long_transcript_is_left_out_with_a_note(lengths):
    text = "".join(chr(0x4E00 + i % 20_000) for i in range(sum(lengths)))
    ends = [sum(lengths[: i + 1]) for i in range(len(lengths))]
    pieces = [
        {"text": text[end - n : end], "forced": bool(i % 2)}
        for i, (n, end) in enumerate(zip(lengths, ends, strict=True))
    ]
    shown = "".join(read("".join(map(str, transcripts(choose([a_row(transcript=pieces)]))))).text)
    left_out = sum(lengths) - MOST_CHARACTERS
    begin = MOST_CHARACTERS * 3 // 4
    note = f" [{left_out:,} characters left out] "
    assert text[:begin] + note + text[begin + left_out :] in shown


def test_a_long_question_and_a_long_answer_are_cut_as_well():
    long = "".join(chr(0x4E00 + i % 20_000) for i in range(MOST_CHARACTERS + 500))
    page = "".join(map(str, transcripts(choose([a_row(question=long, gold=long, extracted=long, method=long)]))))
    assert " [500 characters left out] " in "".join(read(page).text)
    assert len(page) < MOST_CHARACTERS + 5_000


def test_a_transcript_of_empty_pieces_makes_no_elements():
    pieces = [{"text": "", "forced": True}] * 1_000
    page = "".join(map(str, transcripts(choose([a_row(transcript=[*pieces, {"text": "a", "forced": True}])]))))
    assert page.count("<mark>") == 2  # one of them in the legend
