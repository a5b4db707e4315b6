"""Which figures the rows allow, what their files are called, and why others are left out."""

import re
from collections import Counter

import pytest

pytest.importorskip("matplotlib")

from report_rows import a_curve, a_row, written

from hostile import read
from s1_hf import plots


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
    assert report.left_out == ["t: no figure 'ended' for voting, because all thinking ended the same way: natural."]


def test_what_was_not_found_has_no_length(tmp_path, monkeypatch):
    drawn: list[dict[str, list[int]]] = []
    lengths = plots.lengths
    monkeypatch.setattr(plots, "lengths", lambda settings: drawn.append(settings) or lengths(settings))
    lost = {"ended": "not_found", "thinking_tokens": 0}
    rows = [a_row("limit 9", "0", **lost), a_row("limit 9", "1", thinking_tokens=8), a_row("limit 2", "0", **lost)]
    assert "lengths.svg" in [path.name for path in written(rows, tmp_path, formats=["svg"])[0].figures]
    assert drawn == [{"limit 9": [8]}]
    report, _ = written(rows[2:], tmp_path, formats=["svg"])
    assert "t: no figure 'lengths' for budget forcing, because no answer was found." in report.left_out


def test_rows_without_the_tokens_generated_are_not_compared_by_them(tmp_path):
    report, _ = written([a_row(total_tokens=0), a_row(method="other", total_tokens=0)], tmp_path)
    assert any("do not say how many tokens" in why for why in report.left_out)


def test_tasks_whose_names_differ_only_in_punctuation_have_their_own_files(tmp_path):
    rows = [row for task in ("../x", "/x") for row in a_curve([(True, False), (True, True)], task=task)]
    report, _ = written(rows, tmp_path, formats=["svg"])
    assert {path.parent for path in report.figures} == {tmp_path} and len(set(report.figures)) == 6
    assert sorted(tmp_path.rglob("*.svg")) == sorted(report.figures)
