"""Reinforcement under thinking budgets on the embedded model: the table and the figure of docs/reinforcement.md.

    OMP_NUM_THREADS=1 PYTHONPATH=src python training/embedded/grpo.py FOLDER [--arms masked,...] [--seeds 0,1,2]
    PYTHONPATH=src python training/embedded/grpo.py FOLDER --table

Three arms from the recipe `grpo_embedded`, which differ in these fields alone; each with three seeds:

- masked: caps drawn from 16 to 96 thinking tokens, and in the loss only what the model chose;
- unmasked: the same caps, and every token in the loss;
- unbudgeted: no cap in training.

Each run is one command (`python -m s1_hf.rl grpo_embedded ...`) and resumes by itself; what is finished is not run
again. Then the model answers held-out problems greedily under each cap: one row of `ARM-SEED.jsonl` for each answer.
Several processes may share FOLDER if their arms or seeds differ.
"""

import argparse
import json
import subprocess
import sys
from pathlib import Path

import numpy as np

from s1_hf import embedded, sweep
from s1_hf.embedded.problems import extract_answer, held_out_sample
from s1_hf.files import write_text
from s1_hf.metrics import bootstrap_interval

ARMS = {
    "masked": (),
    "unmasked": ("--mask_forced", "false"),
    "unbudgeted": ("--max_thinking_tokens", "none"),
}
SEEDS = (0, 1, 2)
CAPS = (16, 32, 48, 64, 80, 96)
PROBLEMS, PROBLEMS_SEED = 400, 0
BATCH = 100
START = "before"


def train(folder: Path, arm: str, seed: int, fields: list[str]) -> Path:
    """The folder of the trained model."""
    output = folder / f"{arm}-{seed}"
    if (output / "model.safetensors").exists():
        return output
    command = [sys.executable, "-m", "s1_hf.rl", "grpo_embedded", "--output_dir", str(output), "--seed", str(seed)]
    subprocess.run([*command, *ARMS[arm], *fields], check=True)
    return output


def answer(model_folder: Path, rows: Path) -> None:
    """Answer the held-out problems under each cap, unless that is done."""
    if rows.exists():
        return
    model, tokenizer = embedded.load(model_folder)
    problems = sorted(held_out_sample(PROBLEMS, PROBLEMS_SEED), key=lambda problem: problem.answer)
    lines = []
    for begin in range(0, PROBLEMS, BATCH):
        batch = problems[begin : begin + BATCH]
        asked = [problem.question for problem in batch]
        result = sweep(model, tokenizer, asked, max_thinking_tokens=CAPS, max_answer_tokens=12, max_new_tokens=130)
        for cap, completions in zip(CAPS, result.completions, strict=True):
            for problem, completion in zip(batch, completions, strict=True):
                right = extract_answer(completion.answer) == problem.answer
                report = completion.report
                line = {"question": problem.question, "cap": cap, "correct": right, "ended": report.ended}
                lines.append(json.dumps(line | {"thinking_tokens": report.thinking_tokens}))
    write_text(rows, "\n".join(lines) + "\n")


def rows_of(folder: Path, name: str) -> list[dict]:
    return [json.loads(line) for line in (folder / f"{name}.jsonl").read_text().splitlines()]


def finished(folder: Path) -> list[int]:
    """The seeds that every arm has."""
    return [seed for seed in SEEDS if all((folder / f"{arm}-{seed}.jsonl").exists() for arm in ARMS)]


def read(folder: Path, arm: str) -> dict[int, np.ndarray]:
    """Of each cap, whether answers are right: `(problems, seeds)`."""
    names = [START] if arm == START else [f"{arm}-{seed}" for seed in finished(folder)]
    columns: dict[int, list[list[bool]]] = {cap: [] for cap in CAPS}
    for rows in (rows_of(folder, name) for name in names):
        for cap in CAPS:
            columns[cap].append([row["correct"] for row in rows if row["cap"] == cap])
    return {cap: np.array(found).T for cap, found in columns.items()}


def interval(correct: np.ndarray) -> tuple[float, float, float]:
    """Accuracy in percent, and its 95 % interval over problems, whose seeds belong together."""
    return 100 * float(correct.mean()), *bootstrap_interval(correct, rng=np.random.default_rng(0))


def table(folder: Path) -> str:
    """In Markdown: accuracy in percent with 95 % intervals over problems."""
    columns = {arm: read(folder, arm) for arm in (START, *ARMS)}
    lines = [f"| at most | {' | '.join(columns)} |", f"|---|{'---|' * len(columns)}"]
    for cap in CAPS:
        cells = ["{:.1f} [{:.1f}, {:.1f}]".format(*interval(found[cap])) for found in columns.values()]
        lines.append(f"| {cap} | {' | '.join(cells)} |")
    return "\n".join(lines)


def differences(folder: Path) -> str:
    """Between arms, on the same problems, with 95 % intervals over problems."""
    masked = read(folder, "masked")
    others = {arm: read(folder, arm) for arm in (START, "unmasked", "unbudgeted")}
    lines = [f"| at most | {' | '.join(f'masked - {arm}' for arm in others)} |", "|---|---|---|---|"]
    for cap in CAPS:
        cells = []
        for found in others.values():
            gap = 100 * (masked[cap].mean(1) - found[cap].mean(1))
            low, high = bootstrap_interval(gap, np.mean, rng=np.random.default_rng(0))
            cells.append(f"{gap.mean():+.1f} [{low:+.1f}, {high:+.1f}]")
        lines.append(f"| {cap} | {' | '.join(cells)} |")
    return "\n".join(lines)


def runs(folder: Path) -> str:
    """Of each run: thinking tokens under the largest cap, how often they ended by themselves, accuracy by cap."""
    lines = ["| run | thinking tokens at 96 | ended by itself |" + "".join(f" {cap} |" for cap in CAPS)]
    lines.append("|---|---|---|" + "---|" * len(CAPS))
    for name in (START, *(f"{arm}-{seed}" for seed in finished(folder) for arm in ARMS)):
        rows = rows_of(folder, name)
        free = [row for row in rows if row["cap"] == CAPS[-1]]
        mean = np.mean([row["thinking_tokens"] for row in free])
        own = 100 * np.mean([row["ended"] == "natural" for row in free])
        right = [100 * np.mean([row["correct"] for row in rows if row["cap"] == cap]) for cap in CAPS]
        lines.append(f"| {name} | {mean:.0f} | {own:.0f} % |" + "".join(f" {one:.1f} |" for one in right))
    return "\n".join(lines)


def draw(folder: Path, where: Path) -> None:
    """The figure: accuracy over the cap, one line for each arm."""
    from s1_hf.plots import style
    from s1_hf.plots.files import as_files, save

    figure = style.new_figure()
    axes = figure.add_subplot()
    lows, highs = [], []
    for number, arm in enumerate((START, *ARMS)):
        found = read(folder, arm)
        means, low, high = zip(*(interval(found[cap]) for cap in CAPS), strict=True)
        at = [cap + number - 1.5 for cap in CAPS]  # side by side, so that intervals can be told apart
        look = {"marker": "osD^"[number], "linestyle": "-", "linewidth": 0.8, "label": arm}
        style.points_with_intervals(axes, at, means, low, high, color=style.COLORS[number], **look)
        lows += low
        highs += high
    style.accuracy_axis(axes, lows, highs)
    axes.set_xticks(CAPS)
    style.legend_above(axes)
    style.finish(axes, x="maximum thinking tokens", y="accuracy (%)")
    save(as_files(figure, ["png"]), where, "reinforcement")


def main() -> None:
    parser = argparse.ArgumentParser(description="Reinforcement under thinking budgets on the embedded model.")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--arms", default=",".join(ARMS))
    parser.add_argument("--seeds", default=",".join(map(str, SEEDS)))
    parser.add_argument("--table", action="store_true", help="no training: the tables of what is there")
    parser.add_argument("fields", nargs="*", help="fields of the recipe, after --")
    args = parser.parse_args()
    if args.table:
        print(
            f"seeds {finished(args.folder)}",
            table(args.folder),
            differences(args.folder),
            runs(args.folder),
            sep="\n\n",
        )
        draw(args.folder, Path("docs"))
        return
    args.folder.mkdir(parents=True, exist_ok=True)
    for seed in map(int, args.seeds.split(",")):
        for arm in args.arms.split(","):
            answer(train(args.folder, arm, seed, args.fields), args.folder / f"{arm}-{seed}.jsonl")
    answer(embedded.MODEL_PATH, args.folder / f"{START}.jsonl")


if __name__ == "__main__":
    main()
