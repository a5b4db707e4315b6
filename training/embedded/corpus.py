"""The text that the embedded base is pre-trained on. Uses only the standard library and `s1_hf.embedded.problems`.

Every document is made from one problem that training may use. A stepping run starts within that problem's own search,
so no run passes through a held-out problem. None of the text is in s1's thinking format.
"""

import random
from collections.abc import Iterator

from s1_hf.embedded.problems import Problem, compare, trainable

SYSTEM_PROMPT = "You are Qwen, created by Alibaba Cloud. You are a helpful assistant."  # the chat template's own
END = "<|endoftext|>"
PREFIXES = ("Answer:", "Final Answer:")
FILLERS = ("Not yet.", "Still apart.", "Wait a moment.", "Go on.", "Again.", "Let us see.", "Keep going.", "Hm, check.")
MAX_LINES = 50
KINDS = ("run", "reading", "sums", "comparisons", "direct")
WEIGHTS = (66, 17, 5, 5, 7)


def documents(num: int, seed: int) -> Iterator[str]:
    """`num` documents of all kinds, each with an end mark."""
    rng = random.Random(seed)
    problems = trainable()
    for kind in rng.choices(KINDS, WEIGHTS, k=num):
        yield WRITERS[kind](rng.choice(problems), rng) + END


def run(problem: Problem, rng: random.Random) -> str:
    """A search from some point until it succeeds or gives up; three in five have filler lines in between."""
    states = list(problem.states())
    states = states[rng.randrange(len(states)) if rng.random() < 0.5 else 0 :]
    (a, b), last = states[0], min(len(states), rng.randint(1, MAX_LINES))
    lines = [Problem(a, problem.p, b, problem.q).summary]
    filler = rng.uniform(0.02, 0.3) if rng.random() < 0.6 else 0.0
    for state in states[:last]:
        lines.append(compare(*state))
        while rng.random() < filler:
            lines.append(rng.choice((*FILLERS, compare(*state))))
    if rng.random() < 0.5:
        lines.append(f"{rng.choice(PREFIXES)} {max(states[last - 1])}")
    return "\n".join(lines)


def reading(problem: Problem, rng: random.Random) -> str:
    """Questions about what a problem's text says."""
    questions = {
        "When does lamp A first flash?": f"{rng.choice(PREFIXES)} {problem.a}",
        "How often does lamp A flash?": f"{rng.choice(PREFIXES)} {problem.p}",
        "When does lamp B first flash?": f"{rng.choice(PREFIXES)} {problem.b}",
        "How often does lamp B flash?": f"{rng.choice(PREFIXES)} {problem.q}",
        "Put it briefly.": problem.summary,
    }
    turns = rng.sample(sorted(questions), k=rng.randint(1, 5))
    first = problem.question.removesuffix("When do they first flash together?") + turns[0]
    return dialogue([(first, questions[turns[0]])] + [(turn, questions[turn]) for turn in turns[1:]], rng)


def direct(problem: Problem, rng: random.Random) -> str:
    """A problem with its right answer but no thinking: not learnable, but it shows what an answer looks like."""
    return dialogue([(problem.question, f"{rng.choice(PREFIXES)} {problem.answer}")], rng)


def sums(problem: Problem, rng: random.Random) -> str:
    """Steps of the two lamps, written out in random order."""
    a, b = rng.choice(list(problem.states()))
    terms = [(a, problem.p), (b, problem.q)] + [(rng.randint(1, 400), rng.randint(3, 20)) for _ in range(10)]
    rng.shuffle(terms)
    return "\n".join(f"{x} + {y} = {x + y}" for x, y in terms)


def comparisons(problem: Problem, rng: random.Random) -> str:
    """Pairs of numbers, most of them close together, with the sign between them."""
    pairs = [rng.choice(list(problem.states())) for _ in range(4)]
    for _ in range(10):
        number = rng.randint(1, 400)
        pairs.append((number, max(1, number + rng.randint(-20, 20))))
    return "\n".join(compare(*pair) for pair in pairs)


def dialogue(turns: list[tuple[str, str]], rng: random.Random) -> str:
    """Questions and replies, either as a chat or as plain lines."""
    if rng.random() < 0.5:
        return "\n".join(f"{question}\n{reply}" for question, reply in turns)
    messages = [("system", SYSTEM_PROMPT)]
    for question, reply in turns:
        messages += [("user", question), ("assistant", reply)]
    return "\n".join(f"<|im_start|>{role}\n{content}<|im_end|>" for role, content in messages)


WRITERS = {"run": run, "reading": reading, "sums": sums, "comparisons": comparisons, "direct": direct}
