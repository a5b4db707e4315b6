"""Rows for the tests of curation."""

import random

from datasets import Dataset


def row(**columns):
    """A row that no rule meets, with the columns that are given."""
    return {"question": "What is 1 + 1?", "thinking_trajectories": ["One and one."], "attempt": "2"} | columns


def pool(*rows):
    return Dataset.from_list([row(**columns) for columns in rows])


def random_pool(count, seed=0):
    """Rows with all columns; every tenth is dropped by some stage before the difficulty."""
    rng = random.Random(seed)
    words = ["".join(rng.choices("abcdefgh", k=5)) for _ in range(300)]
    rows = []
    for number in range(count):
        question = f"{number} " + " ".join(rng.choices(words, k=20))
        columns = {
            "question": question,
            "thinking_trajectories": [" ".join(rng.choices(words, k=10))],
            "attempt": str(number),
            "thinking_tokens": rng.randrange(1, 40),  # many ties
            "ended": "unfinished" if number % 20 == 3 else "natural",
            "error": "429" if number % 20 == 13 else None,
            "source_type": rng.choice(["AIME", "numina", "gpqa"]),
            "cot_type": rng.choice(["algebra", "geometry", "physics"]),
            "correct": rng.random() < 0.5,
            "solved_7b": rng.random() < 0.2,
            "solved_32b": rng.random() < 0.2,
        }
        rows.append(columns)
    return Dataset.from_list(rows)
