"""Rows and recipes for the tests of curation."""

import random

from datasets import Dataset

from s1_hf.curate import Diversity, Recipe, Trusted

RECIPE = Recipe(diversity=Diversity(n=30, trusted=(Trusted("AIME", min_thinking_tokens=35),)))
FULL = Recipe(diversity=Diversity("full"))
STAGES = ["decontaminate", "quality", "deduplicate", "difficulty", "diversity"]
HOSTILE = "<script>alert(1)</script>\"'&{{7*7}} ]] `x` | [a](javascript:b) p12."
HOSTILE_RECIPE = Recipe(diversity=Diversity("diverse", 1), licenses={"x": HOSTILE})
TOPICS = {
    "geometry": "triangle circle radius angle chord",
    "numbers": "prime divisor integer modulo remainder",
    "physics": "electron photon energy charge magnetic",
}


def row(**columns):
    """A row that no rule matches, with the given columns."""
    return {"question": "What is 1 + 1?", "thinking_trajectories": ["One and one."], "attempt": "2"} | columns


def pool(*rows):
    return Dataset.from_list([row(**columns) for columns in rows])


def hostile_pool():
    """Rows that try to inject markup wherever their text is shown."""
    return pool(
        {"question": HOSTILE, "source_type": HOSTILE, "cot_type": "a"},
        {"question": "2?", "source_type": f"x{HOSTILE}", "cot_type": HOSTILE, "thinking_tokens": 3},
    )


def random_pool(count, seed=0):
    """Rows with all columns; a stage before difficulty drops every tenth."""
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


def topic_questions(count):
    """Questions of three topics in turn: three words of the topic, and words that all share."""
    rng = random.Random(0)
    topics = [words.split() for words in TOPICS.values()]
    return [f"Find the {{}} of the {{}} and {{}}, {n}.".format(*rng.sample(topics[n % 3], 3)) for n in range(count)]
