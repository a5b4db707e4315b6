"""The second model that ships with the package, which is sure of an answer only if it has found it."""

from __future__ import annotations

from pathlib import Path

import pytest

from s1_hf import embedded
from s1_hf.finding import model_named
from s1_hf.forcing.confidence import Confidence
from s1_hf.methods import Bench, BudgetForcing, problems_of

PROBLEMS = problems_of("s1:embedded", max_samples=60)


def answers(folder: Path) -> dict[bool, list[float]]:
    """How sure the model in a folder is of its right and of its wrong answers, with one end ignored."""
    model, tokenizer = embedded.load(folder)
    bench = Bench(
        model=model, tokenizer=tokenizer, problems=PROBLEMS, max_new_tokens=300, max_answer_tokens=12, batch_size=60,
        confidence=Confidence(top=1),
    )  # fmt: skip
    found: dict[bool, list[float]] = {True: [], False: []}
    for row in BudgetForcing(num_ignores=[1]).run(bench):
        if row.confidence is not None:
            found[row.correct].append(row.confidence)
    return found


def told_apart(sure: dict[bool, list[float]]) -> float:
    """The chance that it is surer of a right answer than of a wrong one."""
    pairs = [(right, wrong) for right in sure[True] for wrong in sure[False]]
    return sum((right > wrong) + (right == wrong) / 2 for right, wrong in pairs) / len(pairs)


def test_it_is_small_is_found_by_its_name_and_has_the_tokenizer_of_the_other_model() -> None:
    assert model_named("embedded-honest") == str(embedded.HONEST_PATH)
    assert sum(file.stat().st_size for file in embedded.HONEST_PATH.iterdir()) < 2_000_000
    for name in ("tokenizer.json", "chat_template.jinja", "config.json", "generation_config.json"):
        assert (embedded.HONEST_PATH / name).read_bytes() == (embedded.MODEL_PATH / name).read_bytes()


@pytest.mark.parametrize(
    ("folder", "least", "most"), [(embedded.HONEST_PATH, 0.9, 1.0), (embedded.MODEL_PATH, 0.0, 0.8)]
)
def test_it_is_surer_of_right_answers_than_of_wrong_ones_and_the_other_model_is_not(
    folder: Path, least: float, most: float
) -> None:
    assert least <= told_apart(answers(folder)) <= most


def test_its_confidence_is_about_the_share_that_is_right() -> None:
    sure = answers(embedded.HONEST_PATH)
    every = sure[True] + sure[False]
    unsure = [value for value in every if value < 0.6]
    assert len(unsure) > 10
    assert sum(value < 0.6 for value in sure[True]) <= len(unsure) / 5
    assert sum(value > 0.95 for value in sure[False]) <= sum(value > 0.95 for value in every) / 5
