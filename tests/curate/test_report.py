"""The report counts what each stage did, next to the paper's counts."""

import json
from dataclasses import replace

import pytest

pytest.importorskip("datasets")

from curation_pools import RECIPE, pool, random_pool

from s1_hf.curate import (
    Diversity,
    Recipe,
    curate,
)
from s1_hf.curate.page import make_page


def test_the_funnel_is_compared_with_the_papers_on_request():
    report = curate(random_pool(300), replace(RECIPE, paper_counts=True)).report
    steps = [(step["stage"], step["rows"], step["paper"]) for step in report["funnel"]]
    assert steps[:4] == [
        ("input", 300, 59_029),
        ("decontaminate", 300, None),
        ("quality: no errors", 285, 54_116),
        ("quality", 270, 51_581),
    ]
    assert [(name, paper) for name, _, paper in steps[5:]] == [("difficulty", 24_496), ("diversity", 1_000)]
    assert "54,116" in make_page(report)
    assert report["stages"][1]["dropped"]["error"]["rows"] == 15
    assert report["stages"][1]["dropped"]["error"]["examples"][0]["row"] == 13


def test_the_papers_counts_do_not_stand_beside_those_of_another_pool_unasked():
    report = curate(random_pool(60), RECIPE.changed(n=5)).report
    assert {step["paper"] for step in report["funnel"]} == {None} and "paper's" not in make_page(report)


def test_the_report_counts_sources_domains_and_lengths():
    curation = curate(random_pool(300), RECIPE)
    report, selected = curation.report, curation.dataset
    assert sum(source["input"] for source in report["sources"].values()) == 300
    assert sum(domain["selected"] for domain in report["domains"].values()) == 30
    assert report["thinking_tokens"]["selected"]["total"] == sum(selected["thinking_tokens"])
    assert sum(part["rows"] for part in report["thinking_tokens"]["selected"]["histogram"]) == 30
    json.dumps(report)


def test_licences_are_the_rows_own_or_their_sources():
    rows = pool({"source_type": "a/AIME", "question": "1?"}, {"source_type": "b", "question": "2?"})
    recipe = Recipe(diversity=Diversity("full"), licenses={"AIME": "mit"})
    assert curate(rows, recipe).report["licenses"] == {"mit": 1, "unknown": 1}
    rows = rows.add_column("license", [None, "cc0-1.0"])
    assert curate(rows, recipe).report["licenses"] == {"mit": 1, "cc0-1.0": 1}
