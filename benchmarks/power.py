"""What a pilot of 30 problems is worth: plans from it, beside the truth of the embedded model's held-out problems.

    python benchmarks/run.py --only power [--quick]

The population: all 2,530 held-out problems answered greedily with 0, 1 and 2 ends ignored (the model card's numbers),
and 500 of them sampled four times at temperature 1. Two settings, and the difference that there truly is, are what a
run has to show. `planned` is `problems_to_show` with the whole population as its pilot; `shown` is in how many of 500
runs of so many problems, drawn from the population, the exact paired test then says p <= 0.05 in the right direction:
80 % is promised. Then 200 pilots of 30 problems each: between what numbers of problems eight in ten of them plan, what
the median plan shows, and in how many the safe number is enough, which is promised for 90 %.
"""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from reporting import Row, table
from s1_hf import embedded
from s1_hf.methods import Bench, BudgetForcing, problems_of, run_methods
from s1_hf.metrics import paired_test, problems_to_show
from s1_hf.results.differences import answers_of, matrix

PILOT, PILOTS, RUNS = 30, 200, 500
COMPARED = (("1 ignore", "no intervention"), ("2 ignores", "1 ignore"))


def _answers(folder: Path, **options: Any) -> dict[str, Any]:
    """By setting, whether each answer is right, of shape (problems, samples)."""
    model, tokenizer = embedded.load()
    problems = problems_of("s1:embedded", max_samples=options.pop("problems"))
    lengths = {"max_new_tokens": 300, "max_answer_tokens": 12, "batch_size": 128}
    bench = Bench(model=model, tokenizer=tokenizer, problems=problems, **lengths, **options)
    rows = run_methods([BudgetForcing(num_ignores=[0, 1, 2])], bench, folder)
    return {name[2]: matrix(of_setting) for name, of_setting in answers_of(rows).items()}


def _drawn(rng: np.random.Generator, a: Any, b: Any, problems: int, samples: int) -> tuple[Any, Any]:
    """Problems with so many samples each; both settings with the same ones, which share their draws."""
    which = rng.integers(len(a), size=(problems, 1))
    sample = rng.integers(a.shape[1], size=(problems, samples))
    return a[which, sample], b[which, sample]


def _shown(rng: np.random.Generator, a: Any, b: Any, problems: int, samples: int, runs: int) -> float:
    found = 0
    for _ in range(runs):
        one, other = _drawn(rng, a, b, problems, samples)
        found += bool(paired_test(one, other) <= 0.05 and one.mean() > other.mean())
    return 100 * found / runs


def _plan(a: Any, b: Any, names: tuple[str, str], pilot_samples: int, samples: int, scale: float) -> Row:
    """`scale`: of the pilots and runs."""
    rng = np.random.default_rng(0)
    gain = 100 * float(a.mean() - b.mean())
    whole = _drawn(rng, a, b, 200_000, pilot_samples)
    planned = problems_to_show(gain, *whole, samples=samples, resamples=1, rng=rng).problems
    pilots = []
    for _ in range(int(PILOTS * scale)):
        pilot = _drawn(rng, a, b, PILOT, pilot_samples)
        pilots.append(problems_to_show(gain, *pilot, samples=samples, rng=rng))
    low, middle, high = (int(np.quantile([one.problems for one in pilots], q)) for q in (0.1, 0.5, 0.9))
    runs = int(RUNS * scale)
    return {
        "settings": f"{names[0]} over {names[1]}",
        "gain, points": gain,
        "pilot": f"{PILOT} × {pilot_samples}",
        "samples": samples,
        "planned": planned,
        "shown, %": _shown(rng, a, b, planned, samples, runs),
        "pilots plan": f"{low} to {high}",
        "shown by the median plan, %": _shown(rng, a, b, middle, samples, runs),
        "safe is enough, %": 100 * float(np.mean([one.most >= planned for one in pilots])),
    }


def run(quick: bool, folder: Path | None = None) -> tuple[list[Row], list[str]]:
    """Plans and what becomes of them; `folder` may hold what an earlier run has generated."""
    with TemporaryDirectory() as temporary:
        place = folder or Path(temporary)
        greedy = _answers(place / "greedy", problems=40 if quick else None)
        sampled = _answers(place / "sampled", problems=20 if quick else 500, samples=2 if quick else 4)
    scale = 0.05 if quick else 1.0
    rows = [_plan(greedy[a], greedy[b], (a, b), 1, 1, scale) for a, b in COMPARED]
    for a, b in COMPARED:
        rows += [_plan(sampled[a], sampled[b], (a, b), 2, samples, scale) for samples in (1, 4)]
    return rows, []


def tables(rows: list[Row]) -> list[str]:
    return [table(rows)]
