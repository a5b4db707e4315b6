"""Which figures the rows allow, what their files are called, and why others are left out."""

import itertools
import re
from collections import Counter
from dataclasses import replace

import pytest

pytest.importorskip("matplotlib")

from report_rows import a_curve, a_row, written

from hostile import read
from s1_hf import plots
from s1_hf.reporting import figures
from s1_hf.reporting.figures import MOST_SETTINGS


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


def test_of_several_methods_that_scale_the_comparison_comes_first(tmp_path):
    report, _ = written(many(settings=3, methods=2), tmp_path, formats=["svg"])
    names = [path.stem for path in report.figures]
    assert names[:4] == ["compare", "performance", "scaling-m0-t0", "scaling-m1-t0"]


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


def test_a_setting_in_which_nothing_was_generated_leaves_the_others_compared(tmp_path):
    nothing = a_row(method="spending", setting="total 1", total_tokens=0, thinking_tokens=0, ended="not_found")
    spent = a_row(method="spending", setting="total 99", total_tokens=40)
    report, _ = written([nothing, spent, a_row(method="other", total_tokens=50)], tmp_path, formats=["svg"])
    assert "compare.svg" in [path.name for path in report.figures]
    why = "settings from the figure 'compare' in which nothing was generated: spending: total 1."
    assert f"t: {why}" in report.left_out
    report, _ = written([nothing, replace(nothing, method="other")], tmp_path, formats=["svg"])
    assert "t: no figure 'compare', because nothing was generated." in report.left_out


def test_tasks_whose_names_differ_only_in_punctuation_have_their_own_files(tmp_path):
    rows = [row for task in ("../x", "/x") for row in a_curve([(True, False), (True, True)], task=task)]
    report, _ = written(rows, tmp_path, formats=["svg"])
    assert {path.parent for path in report.figures} == {tmp_path} and len(set(report.figures)) == 6
    assert sorted(tmp_path.rglob("*.svg")) == sorted(report.figures)


def many(settings=1, methods=1, tasks=1):
    """Answers to two problems; more thinking is better."""
    for t, m, s, p in itertools.product(range(tasks), range(methods), range(settings), "01"):
        tokens = 25 * (s + 1)
        changes = {"thinking_tokens": tokens, "max_thinking_tokens": tokens, "total_tokens": tokens + m}
        right = (p == "0" and s > 0) or m >= max(1, methods - 2)
        yield a_row(f"cap {tokens}", p, right, method=f"m{m}", task=f"t{t}", ended="cut" if s else "natural", **changes)


def test_figures_of_many_settings_show_the_best_and_those_far_apart(tmp_path, monkeypatch):
    monkeypatch.setattr(figures, "MOST_SETTINGS", 12)
    drawn = {}
    for name in ("scaling", "ended", "lengths"):
        plot = getattr(plots, name)
        monkeypatch.setattr(plots, name, lambda of, name=name, plot=plot: drawn.setdefault(name, of) and plot(of))
    rows = list(many(settings=100))
    best = rows.index(next(row for row in rows if row.setting == "cap 1275" and row.problem == "1"))
    rows[best] = replace(rows[best], correct=True)
    report, page = written(rows, tmp_path)
    names = [point.label for point in drawn["scaling"]]
    assert len(names) == 12
    assert {"25", "50", "1275", "2500"} <= set(names)  # the ends, and the best
    assert list(map(int, names)) == sorted(map(int, names))
    assert list(drawn["ended"]) == list(drawn["lengths"]) == [f"cap {name}" for name in names]
    said = "t0: 88 of 100 settings of m0 from the figures"
    assert [why for why in report.left_out if why.startswith(said)]
    assert f"Left out: {said}" in page
    assert len(report.settings) == 100


def test_settings_that_think_equally_long_are_thinned_as_well(tmp_path, monkeypatch):
    monkeypatch.setattr(figures, "MOST_SETTINGS", 5)
    drawn = {}
    monkeypatch.setattr(plots, "lengths", lambda of, plot=plots.lengths: drawn.update(of) or plot(of))
    written([a_row(f"{n} votes", p) for n in range(9) for p in "01"], tmp_path)
    assert len(drawn) == 5


def test_as_many_settings_as_fit_are_all_drawn(tmp_path):
    report, page = written(many(settings=MOST_SETTINGS), tmp_path)
    assert not [why for why in report.left_out if "settings" in why]
    assert page.count('class="wide"') == 1  # scaling needs both columns of the page


def test_figures_of_many_methods_show_the_best(tmp_path, monkeypatch):
    monkeypatch.setattr(figures, "MOST_METHODS", 4)
    drawn = []
    monkeypatch.setattr(plots, "performance", lambda of, plot=plots.performance: drawn.append(of) or plot(of))
    report, page = written(many(settings=2, methods=9), tmp_path)
    names = [method.method for method in drawn[0]]
    assert names == ["m0", "m1", "m7", "m8"]
    said = "t0: 5 of 9 methods from the figures, which show the 4 with the best accuracy."
    assert said in report.left_out and said in page


def test_of_many_figures_every_tasks_first_are_drawn(tmp_path, monkeypatch):
    monkeypatch.setattr(figures, "MOST_FIGURES", 6)
    report, page = written(many(settings=2, tasks=5), tmp_path, formats=["svg"])
    names = [path.stem for path in report.figures]
    assert names == ["scaling-m0-t0", "ended", *(f"scaling-m0-t{n}" for n in range(1, 5))]
    said = "9 of 15 figures: 6 are drawn, the first of each task before the second of any."
    assert [why for why in report.left_out if why.startswith(said)] and said in page
    assert "5 tasks: no figure 'performance', because there is only one method." in report.left_out


def test_files_that_differ_only_in_case_are_named_apart(tmp_path):
    rows = [row for task in "aA" for row in a_curve([(True, False), (True, True)], task=task)]
    report, _ = written(rows, tmp_path, formats=["svg"])
    assert len({path.name.lower() for path in report.figures}) == len(report.figures) == 6


def test_what_a_reward_model_read_is_drawn_and_said(tmp_path, monkeypatch):
    drawn = []
    compare = plots.compare
    monkeypatch.setattr(plots, "compare", lambda curves, **o: drawn.append((curves, o)) or compare(curves, **o))
    searched = [a_row("width 4", p, method="REBASE", tries=4, total_tokens=400, scorer_tokens=90) for p in "01"]
    _, page = written([*a_curve([(True, False), (True, True)]), *searched], tmp_path, formats=["svg"])
    ((curves, options),) = drawn
    assert [x for curve in curves if curve.name == "REBASE" for x, *_ in curve.points] == [490]
    assert options == {"tokens": "tokens with scorer"}
    text = "".join(read(page).text)
    assert "mean tokens generated, and read by reward models, per answer" in text and "scorer tokens" in text
