"""The report counts what each stage did, next to the paper's counts."""

import json

import pytest

pytest.importorskip("datasets")

from curation_pools import RECIPE, pool, random_pool

from s1_hf.curate import (
    Diversity,
    Recipe,
    curate,
)


def test_the_funnel_is_compared_with_the_papers():
    report = curate(random_pool(300), RECIPE).report
    steps = [(step["stage"], step["rows"], step["paper"]) for step in report["funnel"]]
    assert steps[:4] == [
        ("input", 300, 59_029),
        ("decontaminate", 300, None),
        ("quality: no errors", 285, 54_116),
        ("quality", 270, 51_581),
    ]
    assert [(name, paper) for name, _, paper in steps[5:]] == [("difficulty", 24_496), ("diversity", 1_000)]
    assert report["stages"][1]["dropped"]["error"]["rows"] == 15
    assert report["stages"][1]["dropped"]["error"]["examples"][0]["row"] == 13


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
