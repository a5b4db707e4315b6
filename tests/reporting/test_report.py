"""The page: reproducible, safe with hostile text, and clear about the runs it is made from."""

import json

import pytest

pytest.importorskip("matplotlib")

from report_rows import a_curve, a_row, written

from hostile import HOSTILE, hostile_rows, read
from s1_hf.reporting import load_about, report, write_report
from s1_hf.visible import visible

TAGS = {
    "html", "head", "meta", "title", "style", "body", "main", "footer", "section", "nav", "a", "h1", "h2", "h3", "p",
    "div", "table", "thead", "tbody", "tr", "th", "td", "figure", "figcaption", "img", "details", "summary", "span",
    "strong", "mark", "dl", "dt", "dd",
}  # fmt: skip


def test_the_same_rows_give_the_same_bytes(tmp_path):
    rows = list(a_curve([(True, False), (True, True)]))
    first, second = (written(rows, tmp_path / name, formats=["png", "svg"])[0] for name in "ab")
    assert first.page.read_bytes() == second.page.read_bytes()
    assert [a.read_bytes() for a in first.figures] == [b.read_bytes() for b in second.figures]


@pytest.mark.parametrize(("rows", "formats"), [([], ["png"]), ([a_row()], ["pdf"])])
def test_no_rows_and_unknown_formats_are_refused_before_anything_is_written(rows, formats, tmp_path):
    with pytest.raises(ValueError, match="`formats` only png, svg"):
        write_report(rows, tmp_path / "new", formats=formats)
    assert not (tmp_path / "new").exists()


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    about = {text: {text: text, "nested": {text: [text]}} for text in HOSTILE}
    return read(written(hostile_rows(), tmp_path_factory.mktemp("report"), about=about)[1])


def test_hostile_text_stays_text_in_the_whole_report(page):
    assert set(page.tags) == TAGS | {"comment"} and page.tags["comment"] == 1  # the doctype
    assert {name for name, _ in page.attributes} == {
        "lang", "charset", "http-equiv", "content", "name", "class", "id", "dir", "scope", "alt", "href", "src",
    }  # fmt: skip
    text = "".join(page.text)
    assert [one for one in HOSTILE if text.count(visible(one)) < 8] == []


def test_the_page_links_to_nothing_outside_it_but_the_paper(page):
    addresses = {value.split(",")[0] for name, value in page.attributes if name in ("href", "src")}
    sections = {"#settings", "#methods", "#differences", "#figures", "#transcripts", "#runs"}
    assert addresses == sections | {"https://arxiv.org/abs/2501.19393", "data:image/svg+xml;base64"}


def test_the_page_begins_with_what_the_figures_show_and_the_figures(tmp_path):
    found, page = written(a_curve([(True, False)] * 9), tmp_path)
    places = [page.index(text) for text in (found.headlines[0], 'id="figures"', "<img", "<table", 'id="transcripts"')]
    assert places == sorted(places)


def test_a_crowd_of_settings_is_folded_and_a_few_are_not(tmp_path, monkeypatch):
    monkeypatch.setattr(report, "MOST_OPEN", 2)

    def folded(count):
        rows = [a_row(f"cap {n}", ended=("cut", "natural")[n % 2]) for n in range(count)]
        page = written(rows, tmp_path)[1]
        return [f"{of}</summary>" in page for of in (f"All {count} rows", f"Show all {count} settings")]

    assert folded(2) == [False, False] and folded(3) == [True, True]


def test_the_sentences_of_many_tasks_are_folded(tmp_path, monkeypatch):
    monkeypatch.setattr(report, "MOST_OPEN", 2)
    found, page = written([a_row(task=f"t{n}") for n in range(5)], tmp_path)
    assert len(found.headlines) == 5 and "<summary>3 more tasks</summary>" in page


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
    with pytest.raises(ValueError, match="about.json is not JSON: .* delete it"):
        load_about(tmp_path)


def test_a_long_table_ends_with_how_much_is_left_out(tmp_path, monkeypatch):
    monkeypatch.setattr(report, "MOST_ROWS", 5)
    rows = [a_row(f"setting {n}", p) for n in range(8) for p in "12"]
    found, page = written(rows, tmp_path)
    text = "".join(read(page).text)
    assert "Left out: 3 of 8 rows. `s1-hf plot --json` has all." in text  # settings
    assert "Left out: 23 of 28 rows." in text  # differences
    assert len(found.settings) == 8 and len(found.differences) == 28


def test_names_and_facts_of_megabytes_make_no_page_of_megabytes(tmp_path):
    long = "n" * 1_000_000
    rows = [a_row(setting + long, p, method=long, task=long) for setting in "ab" for p in "12"]
    found, page = written(rows, tmp_path, about={long: {long: long}})
    assert len(page) < 1_000_000
    assert max(map(len, found.left_out)) < 1_000
