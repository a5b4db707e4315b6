"""The two-lamps task: problems, the held-out split, the 1,000 training traces, grading. Standard library only."""

import json
import random
import re
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from math import gcd
from pathlib import Path

from s1_hf.files import write_text

TRAIN_FILE = Path(__file__).with_name("train.jsonl")
"""The 1,000 traces as shipped: the output of `training_traces()`, one JSON object per line."""

NUM_TRACES = 1000
MAX_WAITS = 6  # in one training trace
CONTINUE = 0.38  # chance of a Wait at a stop; from one half up, greedy decoding would write Wait on its own
BLOCK_LINES = (4, 5, 6, 7, 8)
BLOCK_WEIGHTS = (10, 20, 45, 15, 10)  # greedy decoding gives up after 6 lines


@dataclass(frozen=True)
class Problem:
    """Two lamps: A flashes at second `a` and then every `p` seconds, B at `b` and then every `q`."""

    a: int
    p: int
    b: int
    q: int

    @property
    def question(self) -> str:
        """The problem as it is put to the model."""
        return (
            f"Lamp A flashes at second {self.a} and then every {self.p} seconds. "
            f"Lamp B flashes at second {self.b} and then every {self.q} seconds. "
            "When do they first flash together?"
        )

    @property
    def summary(self) -> str:
        """The first line of every trace."""
        return f"A from {self.a} by {self.p}, B from {self.b} by {self.q}."

    @property
    def answer(self) -> int:
        """The first second at which both lamps flash."""
        return list(self.states())[-1][0]

    def states(self) -> Iterator[tuple[int, int]]:
        """The search: (time of A, time of B), where the lamp with the earlier time advances until both are equal."""
        time_a, time_b = self.a, self.b
        yield time_a, time_b
        while time_a != time_b:
            if time_a < time_b:
                time_a += self.p
            else:
                time_b += self.q
            yield time_a, time_b


@dataclass(frozen=True)
class Trace:
    """One training example. `answer` is the trace's, which may give up too early; `solution` is the right one."""

    question: str
    thinking: str
    answer: int
    solution: int

    def row(self) -> dict[str, object]:
        """The trace in the columns of the s1K data set."""
        return {
            "question": self.question,
            "thinking_trajectories": [self.thinking],
            "attempt": f"Answer: {self.answer}",
            "solution": str(self.solution),
        }


@cache
def problems() -> tuple[Problem, ...]:
    """All 24,282 problems: periods of 3 to 20 seconds, different and coprime; different first flashes within them."""
    periods = range(3, 21)
    return tuple(
        Problem(a, p, b, q)
        for p in periods
        for q in periods
        if p != q and gcd(p, q) == 1
        for a in range(1, p + 1)
        for b in range(1, q + 1)
        if a != b
    )


def is_held_out(problem: Problem) -> bool:
    """Whether the problem is kept out of all training: about one in ten, and the same if A and B are swapped.

    The split is by a checksum of the problem's text, so it does not depend on any arithmetic of the numbers.
    """
    first, second = sorted([(problem.a, problem.p), (problem.b, problem.q)])
    return zlib.crc32(f"{first} {second}".encode()) % 10 == 0


@cache
def _split() -> tuple[tuple[Problem, ...], tuple[Problem, ...]]:
    """The problems for training, and those held out."""
    return tuple(p for p in problems() if not is_held_out(p)), tuple(p for p in problems() if is_held_out(p))


def trainable() -> list[Problem]:
    """All problems that training may use, in the order of `problems()`."""
    return list(_split()[0])


def held_out() -> list[Problem]:
    """All held-out problems, in the order of `problems()`."""
    return list(_split()[1])


def held_out_sample(n: int, seed: int) -> list[Problem]:
    """`n` different held-out problems, drawn uniformly.

    Raises:
        ValueError: If `n` is negative or larger than the number of held-out problems.
    """
    everything = held_out()
    if not 0 <= n <= len(everything):
        raise ValueError(f"`n` has to be between 0 and {len(everything)}, the number of held-out problems, but is {n}")
    return random.Random(seed).sample(everything, n)


def compare(time_a: int, time_b: int) -> str:
    """One line of a search, for example `9 > 3`."""
    sign = "<" if time_a < time_b else ">" if time_a > time_b else "="
    return f"{time_a} {sign} {time_b}"


def write_trace(problem: Problem, rng: random.Random) -> Trace:
    """A trace that searches in blocks of 4 to 8 lines, and stops when it finds the answer or, after a block, guesses.

    At a stop, with probability `CONTINUE`, it continues after a "Wait": it searches further or checks what it found.
    """
    states = list(problem.states())
    lines, shown = [problem.summary], 0
    for waits in range(MAX_WAITS + 1):
        if shown == len(states):
            lines.append(f"Wait, check: {compare(*states[-1])}.")
        else:
            if waits:
                lines.append("Wait, keep going.")
            block = states[shown : shown + rng.choices(BLOCK_LINES, BLOCK_WEIGHTS)[0]]
            shown += len(block)
            lines += [compare(*state) for state in block]
            if shown < len(states):
                lines.append("Not yet.")
        if rng.random() >= CONTINUE:
            break
    return Trace(problem.question, "\n".join(lines), max(states[shown - 1]), problem.answer)


def training_traces() -> list[Trace]:
    """The 1,000 fine-tuning traces, always the same, each on a different problem, none of them held out."""
    rng = random.Random(1000)
    return [write_trace(problem, rng) for problem in rng.sample(trainable(), NUM_TRACES)]


def write_training_file(path: Path = TRAIN_FILE) -> None:
    """Write the traces of `training_traces()` as JSON lines."""
    write_text(path, "".join(json.dumps(trace.row()) + "\n" for trace in training_traces()))


def extract_answer(text: str) -> int | None:
    """The whole number right after the last `Answer:` (including `Final Answer:`), or None.

    Matches `Answer: 51`, `Final Answer:51`, `Answer: 51.`; does not match `Answer: 5.1`, `Answer: -51`, `Answer: 51a`,
    `answer: 51`, or an earlier answer if the last one has no number.

    >>> extract_answer("Answer: 23, no: Final Answer: 51")
    51
    """
    _, marker, tail = text.rpartition("Answer:")
    match = re.match(r"\s*([0-9]+)(?!\w|\.\d)", tail) if marker else None
    return int(match[1]) if match else None
