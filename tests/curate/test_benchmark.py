"""The benchmarks of curation run, on toy sizes, and find what was put into their pools; nothing looks at a time."""

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


QUESTIONS = (
    r"Compute $\sin 60^\circ$.",
    r"Simplify $\sqrt{242}$.",
    r"What is $\frac{3}{20}$ of $1,000$?",
    "Find the units digit of $18^6.$",
    r"If $a \le b$ and $x^2 - 3x = \frac{1}{2}$, what is the largest value of $a + b \cdot x$, where $x > 2.5$?",
    "Anna's brother has 12 red balls, 7 blue balls and a two-digit number of green balls. How many has he at least?",
)


@pytest.fixture
def decontamination(monkeypatch):
    monkeypatch.syspath_prepend(str(Path(__file__).parents[2] / "benchmarks"))
    import decontamination

    return decontamination


def test_every_respelling_is_found_and_no_question_is_taken_for_another(decontamination):
    from s1_hf.curate.decontamination import Decontamination, _find_wordings

    tests = tuple((f"test {number}", question) for number, question in enumerate(QUESTIONS))
    options = Decontamination(compare="normalized")
    for name, respell in decontamination.RESPELT.items():
        hits = _find_wordings(
            [respell(question) for question in QUESTIONS], tests, Decontamination(compare="normalized")
        )
        assert all(f"test {number}" in hit for number, hit in enumerate(hits)), name
    for question in QUESTIONS:
        others = [decontamination.other_numbers(question), *(other for other in QUESTIONS if other != question)]
        hits = _find_wordings(others, (("test", question),), options)
        assert not any(hits), question


def test_the_table_of_decontamination_has_a_row_for_every_respelling_and_pool(decontamination, monkeypatch):
    monkeypatch.setattr(decontamination, "RESPELT", {"verbatim": str})
    monkeypatch.setattr(decontamination, "AFTERWARDS", {})
    rows = decontamination.rows(list(QUESTIONS), {"mine": ["Find all primes."]})
    assert rows[0] == {
        "respelt": "verbatim", "questions": 6, "paper": 6, "paper, of 4 short": 4, "normalized": 6,
        "normalized, of 4 short": 4,
    }  # fmt: skip
    assert [(row["pool"][:9], row["normalized"]) for row in rows[1:]] == [
        ("mine", 0),
        ("each half", 0),
        ("the test ", 0),
    ]
    assert "mine" in decontamination.tables(rows)[1]
