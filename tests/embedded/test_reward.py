"""The process reward model that ships with the package."""

from __future__ import annotations

from functools import cache

import pytest

from s1_hf import embedded
from s1_hf.embedded.problems import Problem, compare, held_out_sample
from s1_hf.engines.checkpoint import Checkpoint
from s1_hf.scoring import Candidate, RewardModel

PROBLEMS = [problem for problem in held_out_sample(60, seed=5) if len(list(problem.states())) > 8][:24]


@cache
def scorer() -> RewardModel:
    return RewardModel.load("embedded-reward", dtype="float32", batch_size=64)


def lines(problem: Problem, shown: int) -> list[str]:
    return [problem.summary, *(compare(*state) for state in list(problem.states())[:shown])]


def scores(candidates: list[Candidate]) -> list[tuple[float, ...]]:
    return scorer().scores(candidates).values


def test_it_is_small_and_its_configuration_tells_how_it_is_asked() -> None:
    assert sum(file.stat().st_size for file in embedded.REWARD_PATH.iterdir()) < 2_000_000
    assert scorer().convention.name == "trl" and scorer().convention.separator == "\n"


def test_it_has_the_tokenizer_of_the_model_that_it_scores() -> None:
    model, tokenizer = embedded.load_reward()
    assert type(model).__name__ == "Qwen2ForTokenClassification" and not model.training
    assert {str(parameter.dtype) for parameter in model.parameters()} == {"torch.float32"}
    assert tokenizer.get_vocab() == embedded.load()[1].get_vocab()


def test_an_answer_after_the_lamps_have_met_is_worth_more_than_one_before() -> None:
    met, guessed = [], []
    for problem in PROBLEMS:
        early = list(problem.states())[5]
        met.append(Candidate(problem.question, lines(problem, 99), f"Answer: {problem.answer}"))
        guessed.append(Candidate(problem.question, [*lines(problem, 6), "Not yet."], f"Answer: {max(early)}"))
    pairs = zip(scores(met), scores(guessed), strict=True)
    assert sum(one[-1] > other[-1] for one, other in pairs) >= len(PROBLEMS) - 1


def test_it_is_not_taken_for_a_model_that_writes() -> None:
    with pytest.raises(ValueError, match="Qwen2ForTokenClassification, which gives numbers to texts"):
        Checkpoint.find("embedded-reward").load()
