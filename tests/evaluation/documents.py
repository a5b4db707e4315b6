"""Problems for the embedded model as lighteval's documents."""

from __future__ import annotations

from lighteval.tasks.requests import Doc

from s1_hf.embedded.problems import held_out_sample


def lamps(count: int, num_samples: int = 1, **fields) -> list[Doc]:
    """Held-out problems, always the same."""
    return [
        Doc(
            query=problem.question,
            choices=[str(problem.answer)],
            gold_index=0,
            id=str(i),
            task_name="lamps|0",
            num_samples=num_samples,
            **{"generation_size": 400, **fields},
        )
        for i, problem in enumerate(held_out_sample(count, seed=5))
    ]


def stories(count: int) -> list[Doc]:
    """Prompts of very different lengths, as competition problems are."""
    texts = [problem.question for problem in held_out_sample(60, seed=6)]
    return [
        Doc(" ".join(texts[i : i + 1 + (i * i) % 5]), ["1"], 0, id=str(i), task_name="stories|0", generation_size=200)
        for i in range(count)
    ]
