"""The report holds the numbers of its rows, says what it leaves out, and shows hostile texts as texts."""

import json
import re
from collections import Counter

import pytest

pytest.importorskip("matplotlib")

from hostile import HOSTILE, hostile_rows, read
from s1_hf import plots
from s1_hf.reporting import load_about, write_report
from s1_hf.reporting.differences import paired_differences
from s1_hf.reporting.tables import differences_table, methods_table, settings_table
from s1_hf.reporting.transcripts import MOST_CHARACTERS, choose, transcripts
from s1_hf.results.rows import Row
from s1_hf.results.summaries import summarize_methods, summarize_settings
from s1_hf.visible import visible

TAGS = {
    "html", "head", "meta", "title", "style", "body", "main", "footer", "section", "nav", "a", "h1", "h2", "h3", "p",
    "div", "table", "thead", "tbody", "tr", "th", "td", "figure", "figcaption", "img", "details", "summary", "span",
    "strong", "mark", "dl", "dt", "dd",
}  # fmt: skip


def a_row(setting="no intervention", problem="1", correct=True, **changes):
    first = {"method": "budget forcing", "task": "t", "sample": 0, "thinking_tokens": 100, "answer_tokens": 2}
    return Row(
        setting=setting, problem=problem, correct=correct, **first | {"ended": "natural", "total_tokens": 102} | changes
    )


def a_curve(right, **changes):
    """No intervention and a cap; `right` says of each problem whether each is right."""
    cap = {"thinking_tokens": 50, "max_thinking_tokens": 50, "ended": "cut", "total_tokens": 60}
    for i, (plain, cut) in enumerate(right):
        yield a_row(problem=str(i), correct=plain, **changes)
        yield a_row("cap 50", str(i), cut, **cap | changes)


def written(rows, folder, **options):
    report = write_report(list(rows), folder, **{"formats": ()} | options)
    return report, report.page.read_text(encoding="utf-8")


# -- numbers --------------------------------------------------------------------------------------------------------


def test_the_tables_have_the_numbers_of_the_rows(tmp_path):
    rows = list(a_curve([(True, False), (True, True), (False, False), (True, False)]))
    settings = summarize_settings(rows)
    table = settings_table(settings)
    assert table.columns == (
        "method",
        "setting",
        "n",
        "thinking",
        "all tokens",
        "acc. %",
        "95 %",
        "ignored",
        "natural",
        "cut",
    )
    assert table.rows[0] == [
        "budget forcing",
        "no intervention",
        "4",
        "100",
        "102",
        "75.0",
        "30.1 to 95.4",
        "0.00",
        "100",
        "0",
    ]
    assert methods_table(summarize_methods(settings)).rows == [["budget forcing", "2", "100.0", "+50.0", "75.0"]]
    text = "".join(read(written(rows, tmp_path)[1]).text)
    assert "30.1 to 95.4" in text and "+50.0" in text


def test_differences_are_paired_by_problem_and_sample_whatever_the_order_of_rows():
    rows = list(a_curve([(True, False)] * 6 + [(True, True)] * 2))
    (difference,) = paired_differences(rows[:2] + rows[:1:-1], summarize_settings(rows))
    assert (difference.setting, difference.reference, difference.points) == ("cap 50", "no intervention", -75)
    assert difference.p == 2 * 0.5**6 and -100 <= difference.low < -75 < difference.high < 0
    assert differences_table([difference]).rows[0][-1] == "0.031"


def test_settings_on_other_problems_are_not_compared():
    rows = [a_row(problem=p) for p in "12"] + [a_row("cap 50", p) for p in "13"]
    assert paired_differences(rows, summarize_settings(rows)) == []


def test_the_task_is_a_column_where_there_are_several():
    rows = [a_row(), a_row(task="u")]
    assert [row[0] for row in settings_table(summarize_settings(rows)).rows] == ["t", "u"]


# -- figures --------------------------------------------------------------------------------------------------------


def test_one_curve_gives_scaling_and_says_why_methods_are_not_compared(tmp_path):
    report, page = written(a_curve([(True, False), (True, True)]), tmp_path, formats=["png", "svg"])
    names = ["scaling", "ended", "lengths"]
    assert [path.name for path in report.figures] == [f"{name}.{form}" for name in names for form in ("png", "svg")]
    assert report.figures[0].read_bytes().startswith(b"\x89PNG") and b"<svg" in report.figures[1].read_bytes()
    assert [why.split(",")[0] for why in report.left_out] == ["t: no figure 'compare'", "t: no figure 'performance'"]
    assert Counter(re.findall('src="([^,]*),', page)) == {"data:image/svg+xml;base64": 3}
    assert all(why in "".join(read(page).text) for why in report.left_out)


def test_methods_are_compared_and_their_files_named_apart(tmp_path):
    votes = [a_row("4 votes", p, method="voting", tries=4, total_tokens=400) for p in "01"]
    report, _ = written([*a_curve([(True, False), (True, True)]), *votes], tmp_path, formats=["svg"])
    assert [path.stem for path in report.figures] == [
        "scaling", "compare", "performance", "ended", "lengths-budget-forcing-t", "lengths-voting-t",
    ]  # fmt: skip
    assert report.left_out == ["t: no figure 'ended' of voting, because all thinking ended in one way: natural."]


def test_what_was_not_found_has_no_length(tmp_path, monkeypatch):
    drawn: list[dict[str, list[int]]] = []
    lengths = plots.lengths
    monkeypatch.setattr(plots, "lengths", lambda settings: drawn.append(settings) or lengths(settings))
    lost = {"ended": "not_found", "thinking_tokens": 0}
    rows = [a_row("limit 9", "0", **lost), a_row("limit 9", "1", thinking_tokens=8), a_row("limit 2", "0", **lost)]
    assert "lengths.svg" in [path.name for path in written(rows, tmp_path, formats=["svg"])[0].figures]
    assert drawn == [{"limit 9": [8]}]
    report, _ = written(rows[2:], tmp_path, formats=["svg"])
    assert "t: no figure 'lengths' of budget forcing, because no answer was found." in report.left_out


def test_the_same_rows_give_the_same_bytes(tmp_path):
    rows = list(a_curve([(True, False), (True, True)]))
    first, second = (written(rows, tmp_path / name, formats=["png", "svg"])[0] for name in "ab")
    assert first.page.read_bytes() == second.page.read_bytes()
    assert [a.read_bytes() for a in first.figures] == [b.read_bytes() for b in second.figures]


def test_rows_without_the_tokens_generated_are_not_compared_by_them(tmp_path):
    report, _ = written([a_row(total_tokens=0), a_row(method="other", total_tokens=0)], tmp_path)
    assert any("do not say how many tokens" in why for why in report.left_out)


@pytest.mark.parametrize(("rows", "formats"), [([], ["png"]), ([a_row()], ["pdf"])])
def test_no_rows_and_unknown_formats_are_refused_before_anything_is_written(rows, formats, tmp_path):
    with pytest.raises(ValueError, match="`formats` some of png, svg"):
        write_report(rows, tmp_path / "new", formats=formats)
    assert not (tmp_path / "new").exists()


# -- transcripts ----------------------------------------------------------------------------------------------------


def test_problems_on_which_settings_differ_come_first_and_the_rest_is_counted():
    rows = list(a_curve([(True, True), (True, False), (False, False), (False, True)]))
    choice = choose(rows, most=5)
    assert [answers[0].problem for answers in choice.problems] == ["1", "3"]
    assert (choice.answers, choice.of_answers, choice.of_problems) == (4, 8, 4)


def test_of_several_samples_the_first_is_shown_and_of_several_tasks_each():
    rows = [a_row(problem=p, sample=s, task=t) for t in "tu" for p in "12" for s in (1, 0)]
    choice = choose(rows, most=2)
    assert [(a.task, a.problem, a.sample) for answers in choice.problems for a in answers] == [
        ("t", "1", 0),
        ("u", "1", 0),
    ]


def test_more_settings_than_fit_are_cut_to_what_fits():
    choice = choose([a_row(f"cap {n}") for n in range(9)], most=4)
    assert [len(answers) for answers in choice.problems] == [4]


def test_forced_text_alone_is_marked_and_answers_say_whether_they_are_right():
    pieces = [{"text": "Hm", "forced": False}, {"text": "Wait", "forced": True}, {"text": " 5", "forced": False}]
    page = "".join(map(str, transcripts(choose([a_row(correct=False, transcript=pieces, extracted="5", gold="6")]))))
    assert "Hm<mark>Wait</mark> 5</div>" in page
    assert "✗ wrong" in page and "no intervention: 5" in page and "Right answer: <strong>6</strong>" in page


@pytest.mark.parametrize(
    "lengths", [[MOST_CHARACTERS * 2], [MOST_CHARACTERS // 2] * 4, [1000] * 80, [30_000, 20_000, 30_000]]
)
def test_the_middle_of_a_long_transcript_is_left_out_and_said_to_be(lengths):
    text = "".join(chr(0x4E00 + i % 20_000) for i in range(sum(lengths)))
    ends = [sum(lengths[: i + 1]) for i in range(len(lengths))]
    pieces = [
        {"text": text[end - n : end], "forced": bool(i % 2)}
        for i, (n, end) in enumerate(zip(lengths, ends, strict=True))
    ]
    shown = "".join(read("".join(map(str, transcripts(choose([a_row(transcript=pieces)]))))).text)
    left_out = sum(lengths) - MOST_CHARACTERS
    begin = MOST_CHARACTERS * 3 // 4
    note = f" [{left_out:,} characters are left out here] "
    assert text[:begin] + note + text[begin + left_out :] in shown


# -- hostile texts --------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    about = {text: {text: text, "nested": {text: [text]}} for text in HOSTILE}
    return read(written(hostile_rows(), tmp_path_factory.mktemp("report"), about=about)[1])


def test_hostile_texts_stay_texts_in_the_whole_report(page):
    assert set(page.tags) == TAGS | {"comment"} and page.tags["comment"] == 1  # the doctype
    assert {name for name, _ in page.attributes} == {
        "lang", "charset", "http-equiv", "content", "name", "class", "id", "dir", "scope", "alt", "href", "src",
    }  # fmt: skip
    text = "".join(page.text)
    assert [one for one in HOSTILE if text.count(visible(one)) < 8] == []


def test_the_page_addresses_nothing_outside_of_it_but_the_paper(page):
    addresses = {value.split(",")[0] for name, value in page.attributes if name in ("href", "src")}
    sections = {"#settings", "#methods", "#differences", "#figures", "#transcripts", "#runs"}
    assert addresses == sections | {"https://arxiv.org/abs/2501.19393", "data:image/svg+xml;base64"}


def test_tasks_whose_names_differ_in_signs_alone_have_files_of_their_own_in_the_folder(tmp_path):
    rows = [row for task in ("../x", "/x") for row in a_curve([(True, False), (True, True)], task=task)]
    report, _ = written(rows, tmp_path, formats=["svg"])
    assert {path.parent for path in report.figures} == {tmp_path} and len(set(report.figures)) == 6
    assert sorted(tmp_path.rglob("*.svg")) == sorted(report.figures)


# -- runs -----------------------------------------------------------------------------------------------------------


def test_what_is_known_of_the_runs_is_shown(tmp_path):
    for folder, seed in ((tmp_path, 1), (tmp_path / "b", 2)):
        folder.mkdir(exist_ok=True)
        facts = {"command": "s1-hf sweep", "seed": seed, "versions": {"torch": "2.13"}}
        (folder / "about.json").write_text(json.dumps(facts))
    about = load_about(tmp_path)
    assert {name: facts["seed"] for name, facts in about.items()} == {"": 1, "b": 2}
    assert load_about(tmp_path / "rows.jsonl").keys() == {""}
    text = "".join(read(written([a_row()], tmp_path, about=about)[1]).text)
    assert "s1-hf sweep" in text and "torch 2.13" in text


def test_a_broken_about_is_refused(tmp_path):
    (tmp_path / "about.json").write_text("[1, ")
    with pytest.raises(ValueError, match="about.json is not a JSON object"):
        load_about(tmp_path)
