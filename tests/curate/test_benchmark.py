"""The benchmark of curation runs, on a toy size, and its pool has what it says; nothing here looks at a time."""

from pathlib import Path

import pytest

pytest.importorskip("datasets")


def test_every_stage_has_its_row_and_finds_what_was_put_into_the_pool(monkeypatch):
    monkeypatch.syspath_prepend(str(Path(__file__).parents[2] / "benchmarks"))
    import curation

    rows = {row["stage"]: row for row in curation.stages(400, 1)}
    assert rows["decontaminate"]["rows in"] - rows["decontaminate"]["rows out"] == 2
    assert rows["quality"]["rows in"] - rows["quality"]["rows out"] == 33  # of 34 errors one is contaminated
    assert 10 <= rows["deduplicate"]["rows in"] - rows["deduplicate"]["rows out"] <= 20
    assert rows["select"]["rows out"] == 40
    assert curation.tables([{"part": part, "rows": 1} for part in ("stage", "naive")])
