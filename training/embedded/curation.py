"""Does curation matter in the embedded model's world? The paper's question about s1K, at toy size.

    OMP_WAIT_POLICY=passive PYTHONPATH=src python training/embedded/curation.py --output curation

1. Make a pool: problems that are not held out, each with a trace by the embedded model at temperature 1, and a column
   `solved_greedy` that says whether the model solves it greedily.
2. For each seed, select 1,000 rows with `s1_hf.curate` (recipe `curate_embedded`: difficulty, then domains and long
   traces), and 1,000 at random.
3. Fine-tune the embedded *base* on each set with the recipe `sft_embedded` and the same seed.
4. Evaluate on held-out problems, greedily, ignoring no, one and two ends. Paired bootstrap over problems, with all
   seeds together.

Everything is kept in the output folder: rerun the same command to resume. The results are in curation.md.
"""

import argparse
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from datasets import Dataset, disable_progress_bars
from transformers.utils import logging

from s1_hf.curate import curate, read_recipe
from s1_hf.embedded import MODEL_PATH
from s1_hf.embedded.problems import held_out_sample
from s1_hf.metrics import accuracy, paired_bootstrap_interval, paired_test
from s1_hf.traces import LocalModel, embedded_pool, generate_traces
from s1_hf.traces.folder import write_rows

ARMS = {"curated": "algorithm_1", "random": "random"}
IGNORES = (0, 1, 2)
EQUAL = ((0, 1), (1, 2))  # ignored ends at which curated and random students think for about equally long
TEACHER = {"batch_size": 230, "dtype": "float32", "max_new_tokens": 380, "max_answer_tokens": 12}
STUDENT = TEACHER | {"max_new_tokens": 600}


def make_pool(folder: Path, problems: int) -> Dataset:
    teacher = str(MODEL_PATH)
    pool = embedded_pool(problems, seed=1)
    rows = generate_traces(pool, LocalModel(teacher, temperature=1.0, **TEACHER), folder / "traces")
    return generate_traces(rows, LocalModel(teacher, **TEACHER), folder / "pool", solved_as="greedy")


def make_set(pool: Dataset, folder: Path, arm: str, seed: int) -> Path:
    path = folder / "sets" / f"{arm}-{seed}"
    recipe = read_recipe("curate_embedded").changed(seed=seed, method=ARMS[arm])
    chosen = curate(pool, recipe)
    write_rows(chosen.dataset, path)
    stages = " -> ".join(f"{len(stage.rows):,} ({stage.name})" for stage in chosen.stages)
    tokens, right = np.mean(chosen.dataset["thinking_tokens"]), np.mean(chosen.dataset["correct"])
    waits = np.mean([trace[0].count("Wait") for trace in chosen.dataset["thinking_trajectories"]])
    print(f"{arm}, seed {seed}: {len(pool):,} -> {stages}; mean thinking tokens {tokens:.0f}, Waits {waits:.2f}, "
          f"correct {100 * right:.1f} %", flush=True)  # fmt: skip
    return path


def train(rows: Path, folder: Path, seed: int) -> Path:
    model = folder / "models" / rows.name
    if not (model / "model.safetensors").exists():
        fields = ["--dataset_path", rows, "--output_dir", model, "--seed", seed]
        subprocess.run([sys.executable, "-m", "s1_hf.sft", "sft_embedded", *map(str, fields)], check=True)
    return model


def answers(model: Path, folder: Path, problems: int, ignores: int) -> Dataset:
    """The held-out problems with the model's traces, graded."""
    drawn = held_out_sample(problems, seed=2)
    pool = Dataset.from_list([{"question": p.question, "solution": str(p.answer)} for p in drawn])
    student = LocalModel(str(model), num_ignores=ignores, **STUDENT)
    return generate_traces(pool, student, folder / "answers" / f"{model.name}-ignores-{ignores}")


def compare(results: dict[str, list[Dataset]]) -> str:
    """A row of the table: accuracy and thinking tokens of both, and the difference."""
    right = {arm: np.array([list(rows["correct"]) for rows in found]).T for arm, found in results.items()}
    low, high = paired_bootstrap_interval(right["curated"], right["random"], rng=np.random.default_rng(0))
    cells = []
    for arm, found in results.items():
        each = ", ".join(f"{accuracy(right[arm][:, i]):.1f}" for i in range(len(found)))
        tokens = np.mean([np.mean(rows["thinking_tokens"]) for rows in found])
        cells.append(f"{accuracy(right[arm]):.1f} ({each}) | {tokens:.0f}")
    difference = accuracy(right["curated"]) - accuracy(right["random"])
    p = paired_test(right["curated"], right["random"])
    return f"{' | '.join(cells)} | {difference:+.1f} [{low:+.1f}, {high:+.1f}] | {p:.2g}"


def run(folder: Path, pool_size: int, seeds: Sequence[int], problems: int) -> None:
    pool = make_pool(folder, pool_size)
    models: dict[str, list[Path]] = {arm: [] for arm in ARMS}
    for seed in seeds:
        for arm, found in models.items():
            found.append(train(make_set(pool, folder, arm, seed), folder, seed))
    print(f"{problems} held-out problems, greedy; accuracy % (per seed), thinking tokens, difference and its 95 % "
          "interval in points, exact paired test")  # fmt: skip
    for ignores, others in (*((i, i) for i in IGNORES), *EQUAL):
        times = {"curated": ignores, "random": others}
        results = {arm: [answers(m, folder, problems, times[arm]) for m in found] for arm, found in models.items()}
        print(f"| ends ignored: curated {ignores}, random {others} | {compare(results)} |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description="Compare curated with random traces on the embedded base.")
    parser.add_argument("--output", type=Path, required=True, help="folder for all results")
    parser.add_argument("--pool", type=int, default=6000, help="number of problems in the pool (default: %(default)s)")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2], help="random seeds (default: %(default)s)")
    parser.add_argument("--problems", type=int, default=1000, help="number of held-out problems (default: %(default)s)")
    args = parser.parse_args()
    disable_progress_bars()
    logging.disable_progress_bar()
    run(args.output, args.pool, args.seeds, args.problems)


if __name__ == "__main__":
    main()
